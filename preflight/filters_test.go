package preflight

import (
	"testing"

	"fullstory-export-mcp/client"
)

func TestFiltersOver(t *testing.T) {
	day := client.TimeRange{Start: "2026-10-01T00:00:00Z", End: "2026-10-02T00:00:00Z"}
	october := &client.TimeRange{Start: "2026-09-30T22:00:00Z", End: "2026-10-31T23:00:00Z"} // in Berlin
	for want, r := range map[string]client.ExportRequest{
		"the segment's own window.":                    {SegmentID: "x", TimeRange: day},
		"the segment's own window (the last 30 days).": {SegmentID: Everyone, TimeRange: day},
		"the same period.":                             {SegmentID: "x", TimeRange: day, SegmentTimeRange: &day},
		"all time.": {SegmentID: "x", TimeRange: day,
			SegmentTimeRange: &client.TimeRange{}},
		"2026-10-01 to now (UTC).": {SegmentID: "x",
			SegmentTimeRange: &client.TimeRange{Start: day.Start}},
		"the beginning to 2026-10-02 (end excluded, UTC).": {SegmentID: "x",
			SegmentTimeRange: &client.TimeRange{End: day.End}},
		"2026-10-01 to 2026-11-01 (end excluded, Europe/Berlin).": {SegmentID: "x", TimeRange: day,
			SegmentTimeRange: october, Timezone: "Europe/Berlin"},
		"2026-10-01T02:00:00+02:00 to 2026-10-02T02:00:00+02:00 (end excluded, Europe/Berlin).": {SegmentID: "x",
			SegmentTimeRange: &client.TimeRange{Start: day.Start, End: "2026-10-02T00:00:00.5Z"}, Timezone: "Europe/Berlin"},
	} {
		if got := FiltersOver(r); got != "Segment filters are evaluated over "+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
