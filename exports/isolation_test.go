package exports

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestPanics makes a bug panic twice, while an export is created and while a file is
// fetched: the engine continues, and the bulk export completes.
func TestPanics(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]string{
		"create": `{"script":[{"on":"create","do":"200_error","message":"no"}]}`,
		"fetch":  `{"script":[{"on":"results","do":"404"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var panics atomic.Int32
			l := newLab(t, sandbox.Config{}, func(o *bulk.Options) {
				o.Explain = func(_ context.Context, err error) (string, string) {
					if panics.Add(1) <= 2 {
						panic("a bug")
					}
					return err.Error(), ""
				}
			})
			l.faults(fault)
			l.run()
			b := l.start(order(6))
			hurried := func(done func(Status) bool) func(Status) bool {
				return func(s Status) bool { l.hurryAll(b.ID, false); return done(s) }
			}
			l.await(b.ID, "panicking twice", hurried(func(Status) bool { return panics.Load() >= 2 }))
			l.faults(`{}`)
			l.await(b.ID, "complete", hurried(func(s Status) bool { return s.Bulk.State == ledger.BulkComplete }))
			l.checkFolder(b)
		})
	}
}

// TestRejectedKey has Fullstory reject one of two keys of an account: the bulk export of
// that key pauses and says why, and the bulk export of the other key completes by the
// process that has the other key.
func TestRejectedKey(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	other, err := client.New(client.Options{Key: sandbox.KeyAdmin, BaseURL: l.url, Tries: 2})
	if err != nil {
		t.Fatal(err)
	}
	options := l.options
	options.Client = other
	second := New(options)
	fixed := l.rejectAll(http.StatusUnauthorized, func(r *http.Request) bool {
		return strings.Contains(r.Header.Get("Authorization"), sandbox.KeyArchitect)
	})
	stop := l.run()
	bad := l.start(orderOf(victim, 4))
	o := order(8)
	good, _, err := second.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := l.awaitState(bad.ID, ledger.BulkPaused)
	if !strings.Contains(s.Bulk.Reason, "401") {
		t.Errorf("paused because %q", s.Bulk.Reason)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		second.Run(ctx)
	}()
	defer func() { cancel(); <-ended }()
	l.awaitState(good.ID, ledger.BulkComplete)
	l.checkFolder(good)
	if n := l.createsOf(victim); n > 1 {
		t.Errorf("%d creates were sent with the rejected key, want at most 1", n)
	}
	fixed()
	stop()
	if _, err := second.Control(t.Context(), bad.ID, Resume); err != nil {
		t.Fatal(err)
	}
	l.awaitState(bad.ID, ledger.BulkComplete)
}

// TestSlowStore has the store send the files of one bulk export slowly: the files of the
// other one are fetched meanwhile.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{Density: 1000})
	l.faults(`{"script":[{"on":"download","do":"slow_body","rate":50,"segment":"` + victim + `"}]}`)
	l.run()
	slow := l.start(orderOf(victim, 12))
	l.await(slow.ID, "being fetched", func(s Status) bool { return s.Counts.By[ledger.ChunkDownloading] >= 4 })
	neighbour := l.start(order(8))
	l.awaitState(neighbour.ID, ledger.BulkComplete)
	l.checkFolder(neighbour)
	if s, err := l.engine.Status(t.Context(), slow.ID); err != nil || s.Counts.By[ledger.ChunkStored] == 12 {
		t.Errorf("the slow bulk export is stored already, so that the test proves nothing: %+v, %v", s.Counts, err)
	}
}

// TestUnreadableRecord damages the request of one bulk export in the ledger: its chunks
// fail and say why, and the other bulk export completes.
func TestUnreadableRecord(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "ledger.db")
	l := newLabOn(t, place, sandbox.Config{})
	bad, good := l.start(orderOf(victim, 3)), l.start(order(6))
	db, err := sql.Open("sqlite", "file:"+place+"?_pragma=busy_timeout(120000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE bulks SET request = '{' WHERE id = ?", bad.ID); err != nil {
		t.Fatal(err)
	}
	l.run()
	l.awaitState(good.ID, ledger.BulkComplete)
	l.checkFolder(good)
	s := l.awaitState(bad.ID, ledger.BulkFailed)
	if text := l.reasons(s.Bulk); !strings.Contains(text, "Internal error") {
		t.Errorf("it failed because %q", text)
	}
}

// TestRetryMany loses more stored files than each status checks: retry_failed plans every
// one of them again.
func TestRetryMany(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "ledger.db")
	l := newLabOn(t, place, sandbox.Config{})
	b := l.start(order(alwaysChecked + 700))
	db, err := sql.Open("sqlite", "file:"+place+"?_pragma=busy_timeout(120000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range []string{
		"UPDATE attempts SET state = 'stored', stored_at = 1, byte_count = 7", "UPDATE bulks SET state = 'complete'",
	} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	s, err := l.engine.Status(t.Context(), b.ID)
	if err != nil || s.Bulk.State != ledger.BulkPartial || s.Damaged != alwaysChecked+700 {
		t.Errorf("%d files are missing of a bulk export that is %s, %v", s.Damaged, s.Bulk.State, err)
	}
	if _, err := l.engine.Control(t.Context(), b.ID, RetryFailed); err != nil {
		t.Fatal(err)
	}
	s, err = l.engine.Status(t.Context(), b.ID)
	if err != nil || s.Counts.By[ledger.ChunkPlanned] != alwaysChecked+700 || s.Bulk.State != ledger.BulkRunning {
		t.Errorf("after retry_failed: %s %v, %v", s.Bulk.State, s.Counts.By, err)
	}
}
