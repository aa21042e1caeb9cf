package exports

import (
	"context"
	"database/sql"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// checkCreates fails if a fault of the account counted against a chunk: then the chunk
// has used up one of its creates.
func (l *lab) checkCreates(id string) {
	l.t.Helper()
	chunks, err := l.ledger.Chunks(l.t.Context(), id, 0, 1000, "")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, c := range chunks {
		if c.State == ledger.ChunkPlanned && c.Creates != 0 || c.Creates > 1 {
			l.t.Errorf("chunk %d, which is %s, has used up %d creates: %s", c.Number, c.State, c.Creates, c.Reason)
		}
	}
}

// resumes resumes a paused bulk export and waits until it is complete.
func (l *lab) resumes(b ledger.Bulk, created int) {
	l.t.Helper()
	l.checkCreates(b.ID)
	if _, err := l.engine.Control(l.t.Context(), b.ID, Resume); err != nil {
		l.t.Fatal(err)
	}
	l.completes(b, created)
}

// completes waits until a bulk export is complete, for which so many exports were
// created in all, one for each window.
func (l *lab) completes(b ledger.Bulk, created int) {
	l.t.Helper()
	l.awaitState(b.ID, ledger.BulkComplete)
	l.checkFolder(b)
	if n := l.books(); n.CreatesAccepted != created || n.Windows != created {
		l.t.Errorf("the books say %+v, want %d exports", n, created)
	}
}

// TestAccountFaults makes the API reject all requests, or all of a kind, after a few
// files: the bulk export pauses, no chunk has used up a create, and a resume completes
// it.
func TestAccountFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		match  func(*http.Request) bool
	}{
		"key revoked":    {http.StatusUnauthorized, isAny},
		"add-on missing": {http.StatusForbidden, isCreate},
		"no results":     {http.StatusForbidden, isResults},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sandbox.Config{}, func(o *bulk.Options) {
				o.Explain = func(_ context.Context, err error) (string, string) { return err.Error() + ".", "Fix this." }
			})
			fixed := l.rejectFrom(2, isResults, test.status, test.match)
			l.run()
			b := l.start(order(30))
			s := l.awaitState(b.ID, ledger.BulkPaused)
			if !strings.HasSuffix(s.Bulk.Reason, ". Fix this.") {
				t.Errorf("paused because %q", s.Bulk.Reason)
			}
			fixed()
			l.resumes(b, 30)
		})
	}
}

// TestRejectedRequest makes the API reject every create: the bulk export pauses, and a
// resume completes it.
func TestRejectedRequest(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	fixed := l.rejectAll(http.StatusBadRequest, isCreate)
	b := l.start(order(20))
	l.awaitState(b.ID, ledger.BulkPaused)
	fixed()
	l.resumes(b, 20)
}

// TestFileInPlace puts a file where the folder should be.
func TestFileInPlace(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	path := l.archive.Path("september", "")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.run()
	b := l.start(order(5))
	s := l.awaitState(b.ID, ledger.BulkPaused)
	if !strings.Contains(s.Bulk.Reason, "september") {
		t.Errorf("paused because %q", s.Bulk.Reason)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.resumes(b, 5)
}

// TestDiskFull fills a small disk midway.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=72m", "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Skipf("this test mounts a small disk, which is not permitted: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	files, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, sandbox.Config{}, func(o *bulk.Options) { o.Archive = files })
	l.archive = files
	l.run()
	b := l.start(order(40))
	l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 2 })
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := l.awaitState(b.ID, ledger.BulkPaused)
	if !strings.Contains(s.Bulk.Reason, "Not enough space") {
		t.Errorf("paused because %q", s.Bulk.Reason)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	l.resumes(b, 40)
}

// TestLockedLedger locks the database by another connection: the status is paused, and
// the work continues when the lock is gone.
func TestLockedLedger(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(60))
	l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 2 })
	db, err := sql.Open("sqlite", "file:"+l.ledger.Place()+"?_pragma=busy_timeout(120000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	locked, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Close()
	if _, err := locked.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	s := l.awaitState(b.ID, ledger.BulkPaused)
	if !strings.Contains(s.Bulk.Reason, "locked by another program") {
		t.Errorf("paused because %q", s.Bulk.Reason)
	}
	if _, err := locked.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	l.completes(b, 60)
}

// TestClockJumps sets the API's clock forward by a day, twice. It does not set it back:
// operations that were created in its future would not complete before then.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(40))
	for _, skew := range []string{"24h", "48h"} {
		n := l.books().CreatesAccepted
		l.await(b.ID, "continuing", func(s Status) bool {
			return l.books().CreatesAccepted >= n+5 || s.Bulk.State.Ended()
		})
		l.faults(`{"clock_skew":"` + skew + `"}`)
	}
	l.checkCreates(b.ID)
	l.completes(b, 40)
}

// TestOutage breaks all connections to the API for a while: nothing pauses, and no chunk
// has used up a create.
func TestOutage(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(20))
	l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 2 })
	l.faults(`{"rates":{"reset":1}}`)
	l.await(b.ID, "blocked", func(s Status) bool { return s.BlockedReason != "" })
	l.faults(`{}`)
	l.checkCreates(b.ID)
	l.completes(b, 20)
}
