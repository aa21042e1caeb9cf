package exports

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestReuseWhileCancelling starts an export like one that was cancelled, while the operations of
// that are being cancelled. It reuses those that are not, and none of its windows loses its operation.
func TestReuseWhileCancelling(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	release := l.hold()
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	holdCancel := func(r *http.Request) int {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/cancel") {
			once.Do(func() {
				close(asked)
				<-answer
			})
		}
		return 0
	}
	l.reject.Store(&holdCancel)
	l.run()
	allRun := func(s Status) bool { return s.Counts.By[ledger.ChunkRunning] == 4 }
	first := l.start(orderOf(victim, 4))
	l.await(first.ID, "running", allRun)
	if _, err := l.engine.Control(t.Context(), first.ID, Cancel); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-time.After(patience):
		t.Fatal("no operation is cancelled")
	}
	like := orderOf(victim, 4)
	like.Name = "like"
	second := l.start(like)
	l.await(second.ID, "running", allRun)
	close(answer)
	l.await(second.ID, "left with its own operations", func(Status) bool {
		orphans, err := l.ledger.Orphans(t.Context(), "lab", time.Now().Add(time.Hour), 10)
		return err == nil && len(orphans) == 0
	})
	release()
	if s := l.awaitState(second.ID, ledger.BulkComplete); s.Counts.By[ledger.ChunkSplit] > 0 {
		t.Errorf("windows were halved: %v", s.Counts.By)
	}
	l.checkFolder(second)
	if n := l.books().CreatesAccepted; n != 5 {
		t.Errorf("%d exports were created, want 5: one in place of the operation that was being cancelled", n)
	}
}
