package exports

import (
	"fmt"
	"time"

	"fullstory-export-mcp/plan"
)

// Counted writes a number of things with a regular plural, such as "1 chunk" or "2 chunks".
func Counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// Stamp writes an instant in UTC, to the second; "" for the zero time.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// WindowText describes a range, such as "from 2026-10-01T00:00:00Z to
// 2026-10-02T00:00:00Z (excluded)". A zero bound is an open end.
func WindowText(r plan.Range) string {
	start, end := "the beginning of the data", "the time of the request"
	if !r.Start.IsZero() {
		start = Stamp(r.Start)
	}
	if !r.End.IsZero() {
		end = Stamp(r.End) + " (excluded)"
	}
	return "from " + start + " to " + end
}
