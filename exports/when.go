package exports

import (
	"cmp"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// zoneOf returns the zone of a request, in which its times are shown; UTC if it is not
// known.
func zoneOf(r client.ExportRequest) *time.Location {
	zone, err := plan.Zone(r.Timezone)
	if r.Timezone == "" || err != nil {
		return time.UTC
	}
	return zone
}

// StampIn writes an instant in a zone with its offset, to the second; "" for the zero
// time.
func StampIn(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return plan.Stamp(t.In(zone).Truncate(time.Second))
}

// At writes an instant for a person: in the zone of a request and, where that differs,
// in UTC, such as "2026-10-01T02:00:00+02:00 (2026-10-01T00:00:00Z)".
func At(t time.Time, r client.ExportRequest) string {
	local, utc := StampIn(t, zoneOf(r)), Stamp(t)
	if local == utc {
		return utc
	}
	return local + " (" + utc + ")"
}

// WindowText describes the time range of a resolved request in its zone and, where that
// differs, in UTC, such as "from 2026-10-01T00:00:00Z to 2026-10-02T00:00:00Z (excluded)".
func WindowText(r client.ExportRequest) string {
	zone, start, end := zoneOf(r), client.Instant(r.TimeRange.Start), client.Instant(r.TimeRange.End)
	from := cmp.Or(StampIn(start, zone), "the beginning of the data")
	to := "the time of the request"
	if !end.IsZero() {
		to = StampIn(end, zone) + " (excluded)"
	}
	text := "from " + from + " to " + to
	if StampIn(start, zone) != Stamp(start) || StampIn(end, zone) != Stamp(end) {
		text += ", in UTC " + cmp.Or(Stamp(start), "the beginning") + " to " + cmp.Or(Stamp(end), "that time")
	}
	return text
}

// FileWindow describes the window of a stored file after its rows, such as " from
// 2026-10-01T00:00:00Z to 2026-10-02T00:00:00Z (excluded)"; "" if it is not known.
func FileWindow(f Fetched) string {
	if f.Request.SegmentID == "" {
		return ""
	}
	return " " + WindowText(f.Request)
}

// lasted writes a duration for a person, such as "45 s", "3 min", "2 h 5 min" or "3 days".
func lasted(d time.Duration) string {
	switch minutes := int(d.Round(time.Minute).Minutes()); {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(max(0, d).Round(time.Second).Seconds()))
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case minutes >= 72*60:
		return fmt.Sprintf("%d days", minutes/60/24)
	case minutes%60 == 0:
		return fmt.Sprintf("%d h", minutes/60)
	default:
		return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
	}
}
