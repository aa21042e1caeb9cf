package bulk

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
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// unburnt fails when a chunk has used up an attempt.
func (l *lab) unburnt(id string) {
	l.t.Helper()
	chunks, err := l.ledger.Chunks(l.t.Context(), id, 0, 1000)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, c := range chunks {
		if c.Attempts != 0 {
			l.t.Errorf("chunk %d has used up %d attempts", c.Number, c.Attempts)
		}
	}
}

// goesOn resumes a paused bulk export and waits for its end.
func (l *lab) goesOn(b ledger.Bulk, created int) {
	l.t.Helper()
	l.unburnt(b.ID)
	if _, err := l.engine.Control(l.t.Context(), b.ID, Resume); err != nil {
		l.t.Fatal(err)
	}
	l.awaitState(b.ID, ledger.BulkComplete)
	l.whole(b)
	if n := l.books(); n.CreatesAccepted != created || n.Windows != created {
		l.t.Errorf("the books say %+v, want %d exports", n, created)
	}
}

// TestAccountFaults lets the API refuse everything, or creates alone, midway: the
// bulk export pauses, no attempt is burnt, and it goes on.
func TestAccountFaults(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		fits   func(*http.Request) bool
	}{
		"key revoked":    {http.StatusUnauthorized, func(*http.Request) bool { return true }},
		"add-on missing": {http.StatusForbidden, isCreate},
		"no results":     {http.StatusForbidden, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/results") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sandbox.Config{}, func(o *Options) {
				o.Explain = func(_ context.Context, err error) string { return "A person mends this: " + err.Error() }
			})
			l.run()
			b := l.start(order(30))
			l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 2 })
			mended := l.refuseAll(test.status, test.fits)
			s := l.awaitState(b.ID, ledger.BulkPaused)
			if !strings.HasPrefix(s.Bulk.Reason, "A person mends this: ") {
				t.Errorf("paused because %q", s.Bulk.Reason)
			}
			mended()
			l.goesOn(b, 30)
		})
	}
}

// TestRefusedRequest lets the API refuse what is asked for, from the first chunk
// on: not every chunk is tried.
func TestRefusedRequest(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	mended := l.refuseAll(http.StatusBadRequest, isCreate)
	b := l.start(order(20))
	l.awaitState(b.ID, ledger.BulkPaused)
	mended()
	l.goesOn(b, 20)
}

// TestFileInPlace finds a file where the folder should be.
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
	l.goesOn(b, 5)
}

// TestDiskFull fills a small disk midway.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=72m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small disk needs the right to mount one: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	files, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, sandbox.Config{}, func(o *Options) { o.Archive = files })
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
	l.goesOn(b, 40)
}

// TestLockedLedger lets another program lock the database: it is told as paused,
// and goes on when the lock is gone.
func TestLockedLedger(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(60))
	l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 2 })
	db, err := sql.Open("sqlite", "file:"+l.ledger.Place()+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	held, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := held.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	s := l.awaitState(b.ID, ledger.BulkPaused)
	if !strings.Contains(s.Bulk.Reason, "locked by another program") {
		t.Errorf("paused because %q", s.Bulk.Reason)
	}
	if _, err := held.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	l.goesOn(b, 60)
}

// TestClockJumps sets the API's clock on by a day, twice. It is not set back:
// what was created in its future would not end before that.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(40))
	for _, skew := range []string{"24h", "48h"} {
		n := l.books().CreatesAccepted
		l.await(b.ID, "going on", func(s Status) bool { return l.books().CreatesAccepted >= n+5 || s.Bulk.State.Ended() })
		l.faults(`{"clock_skew":"` + skew + `"}`)
	}
	l.goesOn(b, 40)
}

// TestOutage lets the API be away for a while: nothing is paused, nothing burnt.
func TestOutage(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(20))
	l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 2 })
	l.faults(`{"rates":{"reset":1}}`)
	l.await(b.ID, "held up", func(s Status) bool { return s.Held != "" })
	l.faults(`{}`)
	l.goesOn(b, 20)
}
