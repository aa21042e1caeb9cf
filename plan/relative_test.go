package plan

import (
	"testing"
	"time"
)

// TestRelative compares Relative with what Resolve returns at two instants: an expression is
// relative if its range differs.
func TestRelative(t *testing.T) {
	texts := []string{
		"2026-10-01", "2026-10", "2026-Q3", "2026-W40", "2026-10-01/P30D", "P1D/2026-10-01", "2026-10-01/2026-11",
		"2026-10-01T00:00:00Z", "now-30d", "now-30d/d", "now-1M/M", "yesterday/P1D", "P7D/today", "2025-01-01/yesterday",
		"2025-01-01/now", "last_9_days", "TODAY", " last_month ",
	}
	calendar := Calendar{Zone: time.UTC, Week: time.Monday}
	at := time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC)
	for _, text := range append(texts, words...) {
		first, err := Resolve(text, "", calendar, at)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		later, err := Resolve(text, "", calendar, at.AddDate(0, 5, 0))
		if err != nil {
			t.Errorf("%q, later: %v", text, err)
			continue
		}
		if got := Relative(text); got != (first != later) {
			t.Errorf("Relative(%q) is %v; at two instants the range is %v and %v", text, got, first, later)
		}
	}
}
