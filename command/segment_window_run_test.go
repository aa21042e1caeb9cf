//go:build unix

package command

import (
	"strings"
	"testing"
)

// TestWordsForSegmentWindowInRun gives the period of the segment's filters to run.
func TestWordsForSegmentWindowInRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hour := []string{
		"--segment", "rageClicks", "--from", "2026-07-01T10:00:00Z", "--to", "2026-07-01T11:00:00Z",
		"--timezone", "Europe/Berlin", "--segment-window",
	}
	for window, over := range map[string]string{
		"all": "all time.", "Range": "the same period.", "own": "the segment's own window.",
		"2026-07": "2026-07-01 to 2026-08-01 (end excluded, Europe/Berlin).",
	} {
		got := runs(t, t.Context(), dir, append(hour, window, "--name", window)...)
		if got.status != 0 || strings.Count(got.stdout, "Segment filters are evaluated over "+over) != 2 {
			t.Errorf("%s: status %d\n%s", window, got.status, got.all)
		}
	}
	if got := runs(t, t.Context(), dir, append(hour, "2026-07-01")...); got.status != 2 ||
		!strings.Contains(got.all, "may mean that day, or everything since then") {
		t.Errorf("a single date: status %d\n%s", got.status, got.all)
	}
}
