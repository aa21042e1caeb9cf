// Package plan is arithmetic with time: it reads ranges of time in a zone and
// cuts them into chunks. It knows no clock and no network.
//
// A range is half-open: its start is in, its end is out. Its sides are
// expressions, read in a calendar against one now, in the years 1 to 9999, with
// or without white space around them:
//
//	2026-10-01T08:30:00+02:00    an instant (RFC 3339)
//	now  now-30d/d  now-1M/M     an instant by date math: now, shifted by s m h
//	                             (elapsed) or d w M Q y (of the calendar), and
//	                             rounded down to the unit after the slash
//	2026-10-01  2026-10          a date, a month
//	2026-Q3  2026-W40            a quarter, an ISO week
//	2026-10-01/2026-11-01        an interval: two expressions, or one and an
//	2026-10-01/P30D              ISO 8601 duration of elapsed time
//	today  yesterday             a day
//	last_7_days                  so many whole days before today
//	last_week  last_month  last_quarter  this_week  this_month  this_quarter
//	(empty)                      an open side
//
// All but instants are periods. A period as start without an end is the whole
// range; as end it stands for its first instant, and beside an end likewise as
// start.
package plan

import (
	"fmt"
	"strings"
	"time"
)

// Calendar is how dates are counted: the zone whose midnights begin them, and
// the day on which weeks begin, time.Monday for ISO weeks.
type Calendar struct {
	Zone *time.Location
	Week time.Weekday
}

// Range is a half-open range of time. A zero side is open.
type Range struct{ Start, End time.Time }

// Error is an expression that cannot be read or a range that cannot be cut.
// Message says what to write instead.
type Error struct {
	Field   string // which argument: start, end, chunk or timezone
	Got     string // as it was given, shortened
	Message string
}

func (e *Error) Error() string {
	if e.Got == "" {
		return e.Field + ": " + e.Message
	}
	return fmt.Sprintf("%s: got %q: %s", e.Field, e.Got, e.Message)
}

func refuse(field, got, format string, args ...any) *Error {
	if len(got) > 80 {
		got = strings.ToValidUTF8(got[:80], "") + "..."
	}
	return &Error{Field: field, Got: got, Message: fmt.Sprintf(format, args...)}
}

// startOf returns the first instant of a date in zone. Of a midnight that comes
// twice it is the first; where midnight is missing it is the first instant
// after; for a missing date it is the start of the next.
func startOf(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	from, until := t.ZoneBounds()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	switch shown := wall(t); {
	case shown.Before(midnight): // clocks skip midnight, and t is before that
		return until
	case shown.After(midnight):
		return from
	case from.IsZero() || t.Sub(from) > 48*time.Hour: // more than clocks were ever set by
		return t
	}
	_, now := t.Zone()
	_, before := from.Add(-time.Nanosecond).Zone()
	earlier := t.Add(time.Duration(now-before) * time.Second)
	if before > now && earlier.Before(from) {
		return earlier
	}
	return t
}

// Stamp writes t in RFC 3339 with the offset of its zone; in UTC where that
// offset is no whole number of minutes, which RFC 3339 cannot write: Liberia was
// 44 minutes and 30 seconds behind until 1972.
func Stamp(t time.Time) string {
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	return t.Format(time.RFC3339Nano)
}

// wall returns what the clock of t's zone shows, as if it were UTC.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// nextChange returns the first instant after t at which the clock of t's zone
// is set, or the zero time when it never is again.
func nextChange(t time.Time) time.Time {
	_, offset := t.Zone()
	for {
		_, until := t.ZoneBounds()
		switch {
		case until.IsZero():
			return until
		case !until.After(t):
			// From 2038 on, Go 1.26 lets the last day of a leap year end where
			// it begins.
			t = t.AddDate(0, 0, 1)
			continue
		}
		if _, after := until.Zone(); after != offset {
			return until
		}
		t = until
	}
}
