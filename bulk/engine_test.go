package bulk

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestComplete exports a day, and starts it again: it goes on, and nothing more
// is exported.
func TestComplete(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(24))
	s := l.awaitState(b.ID, ledger.BulkComplete)
	checked := l.whole(b)
	if checked.Files != 24 || checked.Rows != s.Counts.Rows || checked.Bytes != s.Counts.Bytes || s.Counts.Rows < 1000 {
		t.Errorf("the folder holds %d files with %d rows, %d bytes; the ledger says %+v", checked.Files, checked.Rows, checked.Bytes, s.Counts)
	}
	again, reused, err := l.engine.Start(t.Context(), order(24))
	if err != nil || !reused || again.ID != b.ID {
		t.Errorf("started again: %+v, %v, %v", again, reused, err)
	}
	other := order(24)
	other.Request.Type = client.TypeSessions
	var taken *TakenError
	if _, _, err := l.engine.Start(t.Context(), other); !errors.As(err, &taken) {
		t.Errorf("another request under the same name: %v", err)
	}
	if n := l.books(); n.CreatesAccepted != 24 || n.Windows != 24 {
		t.Errorf("the books say %+v", n)
	}
}

// TestReuse exports the same windows under another name: Fullstory is not asked
// again.
func TestReuse(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	l.awaitState(l.start(order(5)).ID, ledger.BulkComplete)
	o := order(5)
	o.Name = "once-more"
	b := l.start(o)
	l.awaitState(b.ID, ledger.BulkComplete)
	l.whole(b)
	if n := l.books(); n.CreatesAccepted != 5 {
		t.Errorf("%d exports were created, want the 5 of the first time", n.CreatesAccepted)
	}
}

// TestCancelOfShared cancels one of two bulk exports that wait for the same
// operations: the other still gets its files.
func TestCancelOfShared(t *testing.T) {
	t.Parallel()
	var slow sandbox.OpTime
	if err := slow.UnmarshalText([]byte("3s")); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, sandbox.Config{OpTime: slow})
	l.run()
	first := l.start(order(3))
	l.await(first.ID, "running", func(s Status) bool { return s.Counts.By[ledger.ChunkRunning] == 3 })
	o := order(3)
	o.Name = "the-same"
	second := l.start(o)
	l.await(second.ID, "running", func(s Status) bool { return s.Counts.By[ledger.ChunkRunning] == 3 })
	if _, err := l.engine.Control(t.Context(), first.ID, Cancel); err != nil {
		t.Fatal(err)
	}
	l.awaitState(second.ID, ledger.BulkComplete)
	l.whole(second)
	if n := l.books(); n.CreatesAccepted != 3 || n.Cancels != 0 {
		t.Errorf("the books say %+v, want 3 exports and none cancelled", n)
	}
}

// TestBrokenCreates breaks the connection after Fullstory accepted an export:
// its operation is found again.
func TestBrokenCreates(t *testing.T) {
	for _, fault := range []string{"500_after_accept", "reset_after_accept"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sandbox.Config{})
			l.faults(`{"script":[{"on":"create","nth":2,"do":"` + fault + `"},{"on":"create","nth":4,"do":"` + fault + `"}]}`)
			l.run()
			b := l.start(order(6))
			l.awaitState(b.ID, ledger.BulkComplete)
			l.whole(b)
			if n := l.books(); n.CreatesAccepted != 6 || n.Windows != 6 {
				t.Errorf("the books say %+v, want 6 exports", n)
			}
		})
	}
}

// TestStrangers creates another export in the moment in which one of ours is cut
// off: both may be it, and the content decides.
func TestStrangers(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	stranger, err := client.New(client.Options{Key: sandbox.KeyArchitect, BaseURL: l.url})
	if err != nil {
		t.Fatal(err)
	}
	l.faults(`{"script":[{"on":"create","nth":2,"do":"reset_after_accept"}]}`)
	if _, err := stranger.CreateSegmentExport(t.Context(), client.ExportRequest{
		SegmentID: "everyone", Type: client.TypeEvent, Format: client.FormatNDJSON,
		TimeRange: client.TimeRange{Start: "2026-09-20T00:00:00Z", End: "2026-09-21T00:00:00Z"},
	}); err != nil {
		t.Fatal(err)
	}
	l.run()
	b := l.start(order(3))
	l.awaitState(b.ID, ledger.BulkComplete)
	checked := l.whole(b)
	if n := l.books(); n.CreatesAccepted != 4 || n.Windows != 4 {
		t.Errorf("the books say %+v, want the stranger's and our 3", n)
	}
	if checked.Files != 3 {
		t.Errorf("%d files, want 3", checked.Files)
	}
}

// TestHalving lets an operation fail: its window is halved, its neighbours are
// not touched.
func TestHalving(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.faults(`{"script":[{"on":"operation","nth":2,"do":"failed","message":"too many rows"}]}`)
	l.run()
	b := l.start(order(4))
	s := l.awaitState(b.ID, ledger.BulkComplete)
	if l.whole(b).Files != 5 || s.Counts.All() != 5 {
		t.Errorf("%+v, want the 3 and two halves", s.Counts)
	}
}

// TestHopeless lets every export of one window fail: it is tried at the floor
// so often, then given up, and told.
func TestHopeless(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, func(o *Options) { o.Floor = time.Hour })
	l.faults(`{"rates":{"failed":1}}`)
	l.run()
	b := l.start(order(1))
	l.await(b.ID, "tried again", func(s Status) bool {
		problems, err := l.engine.Problems(t.Context(), s.Bulk, 5)
		return err == nil && len(problems) == 1 && !problems[0].Failed
	})
	for range attempts {
		l.hurry(b.ID)
	}
	s := l.await(b.ID, "given up", func(s Status) bool { l.hurry(b.ID); return s.Bulk.State == ledger.BulkFailed })
	problems, err := l.engine.Problems(t.Context(), s.Bulk, 5)
	if err != nil || len(problems) != 1 || !problems[0].Failed || !strings.Contains(problems[0].Text, "could not complete") {
		t.Errorf("problems: %+v, %v", problems, err)
	}
	l.faults(`{}`)
	if _, err := l.engine.Control(t.Context(), b.ID, RetryFailed); err != nil {
		t.Fatal(err)
	}
	l.awaitState(b.ID, ledger.BulkComplete)
	l.whole(b)
}

// hurry makes due what waits for its time.
func (l *lab) hurry(bulk string) {
	l.t.Helper()
	chunks, err := l.ledger.Chunks(l.t.Context(), bulk, 0, 100, ledger.ChunkPlanned)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, c := range chunks {
		if c.NextAt.IsZero() {
			continue
		}
		c.NextAt = time.Time{}
		err := l.ledger.Write(l.t.Context(), func(t *ledger.Tx) error { return t.SaveChunk(c, ledger.ChunkPlanned) })
		if err != nil && !errors.Is(err, ledger.ErrMoved) {
			l.t.Fatal(err)
		}
	}
	l.engine.wake()
}

// TestStuck cancels an operation that takes longer than it may.
func TestStuck(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, func(o *Options) { o.Deadline = 2 * time.Second })
	l.faults(`{"script":[{"on":"operation","nth":1,"do":"stuck"}]}`)
	l.run()
	b := l.start(order(2))
	l.awaitState(b.ID, ledger.BulkComplete)
	l.whole(b)
	if n := l.books(); n.Cancels != 1 {
		t.Errorf("%d operations were cancelled, want the stuck one", n.Cancels)
	}
}

// TestSpoiltFiles lets files arrive spoilt once, and always: a fresh link, or a
// new export helps.
func TestSpoiltFiles(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.faults(`{"script":[{"on":"download","nth":1,"do":"truncate"},{"on":"download","nth":2,"do":"corrupt"},{"on":"operation","nth":3,"do":"checksum"}]}`)
	l.run()
	b := l.start(order(4))
	l.await(b.ID, "complete", func(s Status) bool { l.hurry(b.ID); return s.Bulk.State == ledger.BulkComplete })
	l.whole(b)
	if n := l.books(); n.CreatesAccepted != 5 {
		t.Errorf("%d exports were created, want 4 and one for the file that is always spoilt", n.CreatesAccepted)
	}
}

// TestControl pauses, resumes and cancels.
func TestControl(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(200))
	l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 3 })
	paused, err := l.engine.Control(t.Context(), b.Name, Pause)
	if err != nil || paused.State != ledger.BulkPaused {
		t.Fatalf("pause: %+v, %v", paused, err)
	}
	l.await(b.ID, "at rest", func(s Status) bool {
		return s.Counts.Running() == s.Counts.By[ledger.ChunkReady] && s.Counts.By[ledger.ChunkPlanned] > 0
	})
	created := l.books().CreatesAccepted
	if _, err := l.engine.Control(t.Context(), b.ID, Resume); err != nil {
		t.Fatal(err)
	}
	l.await(b.ID, "going on", func(Status) bool { return l.books().CreatesAccepted > created+3 })
	cancelled, err := l.engine.Control(t.Context(), b.ID, Cancel)
	if err != nil || cancelled.State != ledger.BulkCancelled || cancelled.FinishedAt.IsZero() {
		t.Fatalf("cancel: %+v, %v", cancelled, err)
	}
	s := l.awaitState(b.ID, ledger.BulkCancelled)
	if s.Counts.By[ledger.ChunkPlanned]+s.Counts.Running() != 0 || s.Counts.All() != 200 {
		t.Errorf("after the cancel: %+v", s.Counts)
	}
	l.await(b.ID, "let go at Fullstory", func(Status) bool {
		n, err := l.ledger.InFlight(t.Context(), "lab")
		return err == nil && len(n) == 0
	})
	var wrong *StateError
	if _, err := l.engine.Control(t.Context(), b.ID, Resume); !errors.As(err, &wrong) {
		t.Errorf("a cancelled one was resumed: %v", err)
	}
	if _, err := l.engine.Control(t.Context(), "no-such", Pause); !errors.Is(err, ledger.ErrUnknown) {
		t.Errorf("an unknown one was paused: %v", err)
	}
}

// TestRetryMissing removes and cuts stored files: they are problems of their
// windows, and are stored again when asked for.
func TestRetryMissing(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(5))
	l.awaitState(b.ID, ledger.BulkComplete)
	files, err := filepath.Glob(filepath.Join(l.archive.Path(b.Name, ""), "*.gz"))
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	if err := errors.Join(os.Remove(files[1]), os.Truncate(files[3], 100)); err != nil {
		t.Fatal(err)
	}
	problems, err := l.engine.Problems(t.Context(), b, 10)
	if err != nil || len(problems) != 2 || !strings.Contains(problems[0].Text, "is missing") || !strings.Contains(problems[1].Text, "100 bytes instead of") {
		t.Errorf("problems: %+v, %v", problems, err)
	}
	if _, err := l.engine.Control(t.Context(), b.ID, RetryFailed); err != nil {
		t.Fatal(err)
	}
	l.await(b.ID, "complete again", func(s Status) bool {
		return s.Bulk.State == ledger.BulkComplete && s.Counts.By[ledger.ChunkStored] == 5
	})
	l.whole(b)
}

// TestSettle exports a day that has hardly ended, and again when its rows have
// settled: what differs is told.
func TestSettle(t *testing.T) {
	now := september.Add(26 * time.Hour)
	l := newLab(t, sandbox.Config{Now: now, Late: true})
	l.run()
	o := order(24)
	o.Settle = true
	o.Windows[0].End = o.Windows[len(o.Windows)-1].End
	o.Windows = o.Windows[:1]
	b := l.start(o)
	s := l.await(b.ID, "stored", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] == 1 })
	if s.Counts.Provisional != 1 || s.Bulk.State != ledger.BulkRunning {
		t.Errorf("before it has settled: %+v, %s", s.Counts, s.Bulk.State)
	}
	first := s.Counts.Rows
	l.faults(`{"clock_skew":"30h"}`)
	if _, err := l.options.Client.Me(t.Context()); err != nil { // tells the clock
		t.Fatal(err)
	}
	s = l.awaitState(b.ID, ledger.BulkComplete)
	checked := l.whole(b)
	d := checked.Manifest.Files[0].Settled
	if s.Counts.Provisional != 0 || d == nil || first+d.Added-d.Gone != s.Counts.Rows || d.Added == 0 {
		t.Errorf("%d rows at first, %d when settled, and the manifest says %+v", first, s.Counts.Rows, d)
	}
	earlier, err := filepath.Glob(filepath.Join(l.archive.Path(b.Name, ""), "superseded", "*.gz"))
	if err != nil || len(earlier) != 1 {
		t.Errorf("the provisional file is %q, %v", earlier, err)
	}
}

// TestTwoEngines lets two engines work on one ledger: one leads, the other
// takes over when it stops.
func TestTwoEngines(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	stop := l.run()
	b := l.start(order(30))
	l.engine = New(l.options)
	l.run()
	l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 3 })
	stop()
	l.awaitState(b.ID, ledger.BulkComplete)
	l.whole(b)
	if n := l.books(); n.CreatesAccepted != 30 {
		t.Errorf("%d exports were created, want 30", n.CreatesAccepted)
	}
}

// TestSingle creates single exports: a broken one is found, an identical one is
// used again, a refused one says why.
func TestSingle(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	r := order(1).Request
	l.faults(`{"script":[{"on":"create","nth":1,"do":"reset_after_accept"}]}`)
	first, err := l.engine.Create(t.Context(), r, false, false)
	if err != nil || first.Operation == "" || first.Reused {
		t.Fatalf("broken off: %+v, %v", first, err)
	}
	r.Now = "2026-10-20T00:00:05Z"
	again, err := l.engine.Create(t.Context(), r, false, false)
	if err != nil || !again.Reused || again.Operation != first.Operation {
		t.Errorf("the same once more: %+v, %v", again, err)
	}
	for name, create := range map[string]func() (Created, error){
		"with another now": func() (Created, error) { return l.engine.Create(t.Context(), r, true, false) },
		"with force":       func() (Created, error) { return l.engine.Create(t.Context(), r, false, true) },
		"with an open end": func() (Created, error) {
			o := r
			o.TimeRange.End = ""
			return l.engine.Create(t.Context(), o, false, false)
		},
		"with other fields": func() (Created, error) {
			o := r
			o.Fields = []string{"UserId"}
			return l.engine.Create(t.Context(), o, false, false)
		},
	} {
		if c, err := create(); err != nil || c.Reused || c.Operation == first.Operation {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if n := l.books(); n.CreatesAccepted != 5 {
		t.Errorf("%d exports were created, want 5", n.CreatesAccepted)
	}
	r.SegmentID = "no-such-segment"
	var failed *client.Error
	if _, err := l.engine.Create(t.Context(), r, false, false); !errors.As(err, &failed) || failed.Status != http.StatusNotFound || failed.Message == "" {
		t.Errorf("an unknown segment: %v", err)
	}
}

// TestConflict leaves a file of another content in the place of a chunk's: it is
// moved aside, not lost.
func TestConflict(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	folder := l.archive.Path("september", "")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	name := archive.FileName(september, september.Add(time.Hour), ".ndjson.gz")
	if err := os.WriteFile(filepath.Join(folder, name), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.run()
	b := l.start(order(2))
	l.awaitState(b.ID, ledger.BulkComplete)
	l.whole(b)
	aside, err := filepath.Glob(filepath.Join(folder, "superseded", "*"+name))
	if err != nil || len(aside) != 1 {
		t.Errorf("the other file is %q, %v", aside, err)
	}
}
