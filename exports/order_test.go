package exports

import (
	"testing"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestOldestFirst lists operations oldest first, which the API may do, on several pages:
// the engine still watches its operations, and finds the one whose answer was lost.
func TestOldestFirst(t *testing.T) {
	long(t)
	t.Parallel()
	l := newLab(t, sandbox.Config{Quirks: []string{"oldest_first"}})
	l.faults(`{"script":[{"on":"create","nth":108,"do":"reset_after_accept"}]}`)
	l.run()
	b := l.start(order(110))
	l.awaitState(b.ID, ledger.BulkComplete)
	l.checkFolder(b)
	if n := l.books(); n.CreatesAccepted != 110 || n.Windows != 110 {
		t.Errorf("the books say %+v, want 110 exports", n)
	}
}
