package preflight

import (
	"testing"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// TestLintOfSizing cuts weeks of everyone in three ways: only chunks of unknown sizes are
// a surprise.
func TestLintOfSizing(t *testing.T) {
	s := Subject{
		Request: client.ExportRequest{SegmentID: Everyone, Type: client.TypeEvent, SegmentTimeRange: &client.TimeRange{}},
		Range:   plan.Range{Start: now.AddDate(0, 0, -30), End: now.AddDate(0, 0, -2)},
		Cut:     true, Files: 4, Now: now,
	}
	for sizing, want := range map[Sizing]string{ByTime: "", BySize: "", Unmeasured: "sizes_unknown"} {
		if s.Sizing = sizing; codesOf(t, Lint(s)) != want {
			t.Errorf("sizing %d: %v, want %s", sizing, Lint(s), want)
		}
	}
}
