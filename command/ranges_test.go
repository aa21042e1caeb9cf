package command

import "testing"

// TestRangesAsText gives ranges as strings, as models and hosts write them.
func TestRangesAsText(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	for text, want := range map[string]window{
		"2026-09":                   {"2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		" last_7_days ":             {"2026-10-29T00:00:00Z", "2026-11-05T00:00:00Z"},
		"2026-10-01/P30D":           {"2026-10-01T00:00:00Z", "2026-10-31T00:00:00Z"},
		`"2026-W40"`:                {"2026-09-28T00:00:00Z", "2026-10-05T00:00:00Z"},
		`{"start":"2026-Q3"}`:       {"2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		`"{\"start\":\"2026-10\"}"`: {"2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"},
	} {
		var p struct{ Range window }
		if c.call("plan_time_chunks", map[string]any{"time_range": text}, &p); p.Range != want {
			t.Errorf("%s is planned as %v, want %v", text, p.Range, want)
		}
		for given, over := range map[string]window{text: want, "range": want, `"range"`: want, "all": {}} {
			args := map[string]any{
				"segment_id": "Big baskets", "type": "TYPE_EVENT", "time_range": text, "segment_time_range": given, "dry_run": true,
			}
			var made struct {
				Range   window
				Request struct {
					TimeRange        window  `json:"time_range"`
					SegmentTimeRange *window `json:"segment_time_range"`
				}
			}
			c.call("create_segment_export", args, &made)
			c.call("start_bulk_export", args, &made)
			r := made.Request
			if r.TimeRange != want || made.Range != want || r.SegmentTimeRange == nil || *r.SegmentTimeRange != over {
				t.Errorf("%s with filters over %s: %+v", text, given, made)
			}
		}
	}
}
