package bulk

import (
	"testing"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestOldestFirst lists operations in the other order, which nothing forbids, on
// more pages than one: exports are watched and found again all the same.
func TestOldestFirst(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{Quirks: []string{"oldest_first"}})
	l.faults(`{"script":[{"on":"create","nth":108,"do":"reset_after_accept"}]}`)
	l.run()
	b := l.start(order(110))
	l.awaitState(b.ID, ledger.BulkComplete)
	l.whole(b)
	if n := l.books(); n.CreatesAccepted != 110 || n.Windows != 110 {
		t.Errorf("the books say %+v, want 110 exports", n)
	}
}
