package preflight

import (
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// FiltersOver returns a sentence about the period over which the filters of the
// segment are evaluated. r is resolved; the period is in its zone.
func FiltersOver(r client.ExportRequest) string {
	w := r.SegmentTimeRange
	over := ""
	switch {
	case w == nil:
		over = "the segment's own window"
		if r.SegmentID == Everyone {
			over += " (the last 30 days)"
		}
	case *w == client.TimeRange{}:
		over = "all time"
	case *w == r.TimeRange:
		over = "the same period"
	default:
		over = periodIn(*w, r.Timezone)
	}
	return "Segment filters are evaluated over " + over + "."
}

// periodIn describes a resolved range by the calendar of a zone, such as "2026-10-01 to
// 2026-11-01 (end excluded, Europe/Berlin)". A side that is not a midnight there has
// its time of day, to the second, and its offset.
func periodIn(r client.TimeRange, zone string) string {
	location, err := plan.Zone(zone)
	if err != nil || zone == "" {
		location = time.UTC
	}
	side := func(text, open string) string {
		if text == "" {
			return open
		}
		stamp := plan.Stamp(client.Instant(text).In(location).Truncate(time.Second))
		if date, clock, _ := strings.Cut(stamp, "T"); strings.HasPrefix(clock, "00:00:00") {
			return date
		}
		return stamp
	}
	note := location.String()
	if r.End != "" {
		note = "end excluded, " + note
	}
	return side(r.Start, "the beginning") + " to " + side(r.End, "now") + " (" + note + ")"
}
