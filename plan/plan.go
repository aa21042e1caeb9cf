// Package plan is arithmetic with time: it reads ranges of time in a zone, cuts
// them into chunks, and estimates how many rows a chunk holds. It reads no clock
// and uses no network.
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
// All expressions but instants are periods. A period as the start, without an
// end, is the whole range. A period as the end, or as the start of a range with
// an end, counts as its first instant.
package plan

import (
	"fmt"
	"strings"
	"time"
)

// Calendar defines where dates and weeks begin: at the midnights of Zone, and on
// the weekday Week, which is time.Monday for ISO weeks.
type Calendar struct {
	Zone *time.Location
	Week time.Weekday
}

// Range is a half-open range of time. A zero side is open.
type Range struct{ Start, End time.Time }

// Error is an argument that cannot be used, such as an expression that cannot be
// read or a range that cannot be cut. Message says why and what to give instead;
// names of arguments and tools in it are in backticks.
type Error struct {
	Field   string // the argument; this package names start, end, chunk, timezone and target_rows
	Got     string // the value that was given, at most 80 bytes and "..."; empty: none, or Message has it
	Message string
}

func (e *Error) Error() string { return e.Field + ": " + e.Text() }

// Text is what Error says, without the argument's name.
func (e *Error) Text() string {
	if e.Got == "" {
		return e.Message
	}
	return fmt.Sprintf("got %q: %s", e.Got, e.Message)
}

// reject returns an *Error about the value got of an argument; format and args
// make its Message.
func reject(field, got, format string, args ...any) *Error {
	if len(got) > 80 {
		got = strings.ToValidUTF8(got[:80], "") + "..."
	}
	return &Error{Field: field, Got: got, Message: fmt.Sprintf(format, args...)}
}

// startOf returns the first instant of a date in zone. If midnight occurs twice,
// it is the first one; if clocks skip midnight, it is the first instant after
// the gap; if the date does not exist, it is the start of the next date.
func startOf(year int, month time.Month, day int, zone *time.Location) time.Time {
	return clockAt(year, month, day, 0, zone)
}

// clockAt returns the instant at which the clock of zone shows a time of day, given as
// the time since midnight, on a date. If that comes twice, it is the first one; if
// clocks skip it, it is the first instant after the gap.
func clockAt(year int, month time.Month, day int, at time.Duration, zone *time.Location) time.Time {
	hour, minute, second := int(at/time.Hour), int(at%time.Hour/time.Minute), int(at%time.Minute/time.Second)
	t := time.Date(year, month, day, hour, minute, second, 0, zone)
	from, until := t.ZoneBounds()
	wanted := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	switch shown := wall(t); {
	case shown.Before(wanted): // clocks skip it, and time.Date chose an instant before the gap
		return until
	case shown.After(wanted): // likewise, after the gap
		return from
	case from.IsZero() || t.Sub(from) > 48*time.Hour: // no clock was ever changed by more
		return t
	}
	// Shortly after a change backwards, the same wall time may have occurred
	// once before it.
	_, now := t.Zone()
	_, before := from.Add(-time.Nanosecond).Zone()
	earlier := t.Add(time.Duration(now-before) * time.Second)
	if before > now && earlier.Before(from) {
		return earlier
	}
	return t
}

// Stamp formats t as RFC 3339 with the offset of its zone. It uses UTC if that
// offset is not a whole number of minutes, which RFC 3339 cannot express:
// Liberia was 44 minutes and 30 seconds behind UTC until 1972.
func Stamp(t time.Time) string {
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	return t.Format(time.RFC3339Nano)
}

// wall returns the time that the clock of t's zone shows, as a time in UTC. The
// difference of two such times is a difference of clocks, not elapsed time.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// nextChange returns the first instant after t at which the offset of t's zone
// changes, or the zero time if it never changes again. Transitions that only
// rename the zone do not count.
func nextChange(t time.Time) time.Time {
	_, offset := t.Zone()
	for {
		_, until := t.ZoneBounds()
		switch {
		case until.IsZero():
			return until
		case !until.After(t):
			// Beyond 2037, ZoneBounds of Go 1.26 returns an end that is not after
			// t on the last day of a leap year; skip that day.
			t = t.AddDate(0, 0, 1)
			continue
		}
		if _, after := until.Zone(); after != offset {
			return until
		}
		t = until
	}
}
