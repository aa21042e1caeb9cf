package preflight

import (
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// Relative reports whether a side of one of the ranges is an expression that depends on the
// time at which it is read. A nil range has none.
func Relative(ranges ...*client.TimeRange) bool {
	for _, r := range ranges {
		if r != nil && (plan.Relative(r.Start) || plan.Relative(r.End)) {
			return true
		}
	}
	return false
}

// Today returns the date at the instant now in a zone, if one of the ranges is Relative, so
// that a reader can check what was made of it; else "".
func Today(now time.Time, zone *time.Location, ranges ...*client.TimeRange) string {
	if !Relative(ranges...) {
		return ""
	}
	return now.In(zone).Format(time.DateOnly)
}

// TodayText returns a sentence about a date that Today returned in the zone with a name; ""
// if there is none.
func TodayText(today, zone string) string {
	if today == "" {
		return ""
	}
	return "Today is " + today + " in " + zone + "."
}
