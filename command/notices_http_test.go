//go:build unix

package command

import (
	"context"
	"testing"
)

// TestNoticesOnceOverHTTP makes a dry run in one session, and starts the same export in
// another session and then in the first one. Only the first one has read the notices.
func TestNoticesOnceOverHTTP(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	var sessions [2]*httpSession
	for i := range sessions {
		h, err := s.open(ctx, newHTTPClient(t))
		if err != nil {
			t.Fatal(err)
		}
		sessions[i] = h
	}
	const full, short = "everyone_window_set+", "everyone_window_set"
	day := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-09-01"}
	for _, step := range []struct {
		session int
		dry     bool
		want    string
	}{{0, true, full}, {1, false, full}, {0, false, short}} {
		var got noticed
		args := with(day, map[string]any{"dry_run": step.dry})
		if err := callTool(ctx, sessions[step.session], "create_segment_export", args, &got); err != nil {
			t.Fatal(err)
		}
		if got.codes() != step.want {
			t.Errorf("session %d, dry run %v: %q, want %q", step.session, step.dry, got.codes(), step.want)
		}
	}
}
