package command

import (
	"strings"
	"testing"
)

// TestWordsForSegmentWindow gives the period of the segment's filters as a word, as a
// range and as an ambiguous date to both tools that start exports.
func TestWordsForSegmentWindow(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request := map[string]any{
		"segment_id": "Rage clickers", "type": "TYPE_PAGES", "time_range": "2026-07-03", "timezone": "Europe/Berlin",
		"dry_run": true,
	}
	for _, tool := range []string{"create_segment_export", "start_bulk_export"} {
		for _, test := range []struct {
			window any
			over   string
		}{
			{"all", "all time."}, {"own", "the segment's own window."}, {"range", "the same period."},
			{window{Start: "Own"}, "the segment's own window."}, {window{Start: " all "}, "all time."},
			{map[string]any{"start": "range", "end": ""}, "the same period."},
			{map[string]any{"start": "range", "end": nil}, "the same period."},
			{window{End: "own"}, "the segment's own window."}, {window{Start: "all", End: "all"}, "all time."},
			{"2026-07", "2026-07-01 to 2026-08-01 (end excluded, Europe/Berlin)."},
			{"2026-07-01/now", "2026-07-01 to 2026-11-05T13:0"},
			{"2026-07-01/P1D", "2026-07-01 to 2026-07-02 (end excluded, Europe/Berlin)."},
			{window{Start: "2026-07-01", End: "2026-07-02"}, "2026-07-01 to 2026-07-02 (end excluded, Europe/Berlin)."},
			{window{End: "2026-08-01"}, "the beginning to 2026-08-01 (end excluded, Europe/Berlin)."},
		} {
			var got noticed
			c.call(tool, with(request, map[string]any{"segment_time_range": test.window}), &got)
			if !strings.Contains(got.Summary, "Segment filters are evaluated over "+test.over) {
				t.Errorf("%s over %v: %s", tool, test.window, got.Summary)
			}
		}
		for _, date := range []any{
			"2026-07-01", window{Start: "2026-07-01"}, map[string]any{"start": "2026-07-01", "end": ""},
		} {
			c.rejected(tool, with(request, map[string]any{"segment_time_range": date}),
				"segment_time_range: ", "may mean that day, or everything since then", "2026-07-01/P1D", "2026-07-01/now")
		}
		c.rejected(tool, with(request, map[string]any{"segment_time_range": "ever"}), `"own"`, `"range"`, `"all"`)
		c.rejected(tool, with(request, map[string]any{"dry_run": false}), "segment_time_range: ", `"range"`, `"own"`)
	}
}
