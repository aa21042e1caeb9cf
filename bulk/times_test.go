package bulk

import (
	"testing"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// TestImpossibleTimes gives an operation times of other decades: they neither slow the
// polling of other exports nor make the rows count as settled.
func TestImpossibleTimes(t *testing.T) {
	now := time.Now()
	began := now.Add(-time.Minute)
	for _, times := range []struct{ created, finished time.Time }{
		{now.AddDate(-30, 0, 0), now.AddDate(70, 0, 0)},
		{now.AddDate(70, 0, 0), now.AddDate(70, 0, 1)},
		{}, // none at all
	} {
		is := client.Operation{
			ID: "op", State: client.Completed, ExportID: "x", CreatedAt: times.created, FinishedAt: times.finished,
		}
		a := ledger.Attempt{
			Bulk: "b", Account: "a", State: running, Operation: "op",
			IntentAt: began, CreatedAt: began, WatchedSince: began,
		}
		e := Event{Kind: Complete, Operation: "op", Is: is, At: now}
		if took := tookFor(a, e); took > 2*time.Minute {
			t.Errorf("it took %s, longer than it was watched", took)
		}
		got, _ := Next(Attempt{Attempt: a}, e, now)
		if !got.CreatedAt.Equal(a.CreatedAt) || got.FinishedAt.Sub(got.CreatedAt) > 2*time.Minute {
			t.Errorf("created at %s, finished at %s, want %s and not much later", got.CreatedAt, got.FinishedAt, a.CreatedAt)
		}
	}
}
