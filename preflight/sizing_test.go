package preflight

import (
	"testing"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// TestLintOfSizing cuts weeks of everyone in three ways: large windows are a surprise
// only if they were not measured.
func TestLintOfSizing(t *testing.T) {
	s := Subject{
		Request: client.ExportRequest{SegmentID: Everyone, Type: client.TypeEvent, SegmentTimeRange: &client.TimeRange{}},
		Range:   plan.Range{Start: now.AddDate(0, 0, -30), End: now.AddDate(0, 0, -2)},
		Files:   4, Longest: 7 * 24 * time.Hour, Now: now,
	}
	for sizing, want := range map[Sizing]string{ByTime: "large_window", BySize: "", Unmeasured: "sizes_unknown"} {
		if s.Sizing = sizing; codesOf(t, Lint(s)) != want {
			t.Errorf("sizing %d: %v, want %s", sizing, Lint(s), want)
		}
	}
}
