//go:build unix

package command

import (
	"context"
	"sync"
	"testing"
)

// mostGreedy is how much the peak memory may grow, in kB, whatever one caller sends.
const mostGreedy = 200 << 10

// TestMemoryOfLargePlans has one caller make plans of half a million chunks, and dry runs
// of bulk exports, 20 at the same time. The unit of deploy allows 1 GB.
func TestMemoryOfLargePlans(t *testing.T) {
	t.Parallel()
	program := build(t)
	for _, test := range []struct {
		name, tool string
		args       map[string]any
	}{
		{"plans by the hour", "plan_time_chunks", map[string]any{
			"time_range": map[string]any{"start": "1970-01-01", "end": "2026-11-01"}, "chunk": "hour",
			"timezone": "Europe/Berlin", "limit": 1,
		}},
		{"plans that are cut in another way as well", "plan_time_chunks", map[string]any{
			"time_range": map[string]any{"start": "1970-01-01", "end": "2026-11-01"}, "chunk": "hour",
			"timezone": "Europe/Berlin", "align": false, "week_start": "sunday", "limit": 500,
		}},
		{"dry runs by the hour", "start_bulk_export", map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "hour", "timezone": "Europe/Berlin", "dry_run": true,
			"time_range": map[string]any{"start": "1970-01-01", "end": "2026-11-01"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCallers(t, program)
			c.add("anna")
			c.add("bert")
			s := serveProgram(t, program, t.TempDir(), "--callers", c.file)
			ctx, cancel := context.WithTimeout(t.Context(), testLimit)
			defer cancel()
			h, err := s.open(ctx, c.client("anna"))
			if err != nil {
				t.Fatal(err)
			}
			_, before := s.resident()
			var calling sync.WaitGroup
			for range 20 {
				calling.Go(func() {
					if err := callTool(ctx, h, test.tool, test.args, nil); err != nil {
						t.Error(err)
					}
				})
			}
			calling.Wait()
			grown := s.growth(before)
			t.Logf("the peak memory grew by %d MB", grown>>10)
			if grown > mostGreedy {
				t.Errorf("the peak memory grew by %d MB, want at most %d", grown>>10, mostGreedy>>10)
			}
		})
	}
}
