package client

import "time"

// Instant parses a side of a resolved TimeRange, in RFC 3339. It returns the zero
// time for an open side, and for text that is not an instant.
func Instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}
