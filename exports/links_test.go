package exports

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestUnlistedStore has links to a host that the operator did not allow. Another export
// would have such a link as well, so that the bulk export waits for the operator, and no
// other one does.
func TestUnlistedStore(t *testing.T) {
	t.Parallel()
	stores, err := download.NewStores([]string{"storage.example.com"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, sandbox.Config{Density: 1000}, func(o *bulk.Options) { o.Stores = stores })
	const link = `{"location":"https://files.example.com/x?sig=s3cr3t","expires":"2099-01-01T00:00:00Z"}`
	m := &interceptor{ids: map[string]bool{}, exports: map[string]bool{}}
	m.results = func() answer { return answer{status: http.StatusOK, body: link} }
	l.intercept.Store(m)
	l.run()
	v, neighbour := l.start(orderOf(victim, 1)), l.start(order(4))
	s := l.await(v.ID, "paused", func(s Status) bool { return s.Bulk.State == ledger.BulkPaused })
	why := l.reasons(s.Bulk)
	if !strings.Contains(why, "files.example.com is not one of the storage hosts") || strings.Contains(why, "s3cr3t") {
		t.Errorf("it is paused because %s", why)
	}
	l.awaitState(neighbour.ID, ledger.BulkComplete)
	l.checkFolder(neighbour)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.creates != 1 {
		t.Errorf("%d creates were sent", m.creates)
	}
}
