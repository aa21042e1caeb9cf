package exports

import (
	"testing"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestStatusOfAnOlderReading counts after a bulk export was read. Its last file was stored between
// the two, so that its manifest is due, which the status says.
func TestStatusOfAnOlderReading(t *testing.T) {
	l := newLab(t, sandbox.Config{})
	stop := l.run()
	b := l.start(order(1))
	l.awaitState(b.ID, ledger.BulkComplete)
	stop()
	again := func(t *ledger.Tx) error {
		return t.MoveBulk(b.ID, ledger.BulkComplete, ledger.BulkRunning, "", time.Time{})
	}
	if err := l.ledger.Write(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	older := b
	older.State, older.ManifestDue = ledger.BulkRunning, false
	if s, err := l.engine.StatusOf(t.Context(), older); err != nil || s.Counts.Left() > 0 || !s.Bulk.ManifestDue {
		t.Errorf("%d left, due %t, %v", s.Counts.Left(), s.Bulk.ManifestDue, err)
	}
}
