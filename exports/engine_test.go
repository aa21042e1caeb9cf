package exports

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestComplete exports a day, and starts it again: Start returns the existing bulk
// export, and nothing more is exported.
func TestComplete(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(24))
	s := l.awaitState(b.ID, ledger.BulkComplete)
	checked := l.checkFolder(b)
	if checked.Files != 24 || checked.Rows != s.Counts.Rows || checked.Bytes != s.Counts.Bytes || s.Counts.Rows < 1000 {
		t.Errorf("the folder has %d files with %d rows, %d bytes; the ledger says %+v",
			checked.Files, checked.Rows, checked.Bytes, s.Counts)
	}
	again, reused, err := l.engine.Start(t.Context(), order(24))
	if err != nil || !reused || again.ID != b.ID {
		t.Errorf("started again: %+v, %v, %v", again, reused, err)
	}
	other := order(24)
	other.Request.Type = client.TypeSessions
	if _, _, err := l.engine.Start(t.Context(), other); !errors.Is(err, ErrTaken) {
		t.Errorf("another request under the same name: %v", err)
	}
	if n := l.books(); n.CreatesAccepted != 24 || n.Windows != 24 {
		t.Errorf("the books say %+v", n)
	}
}

// TestReuse exports the same windows under another name: no more exports are created.
func TestReuse(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	l.awaitState(l.start(order(5)).ID, ledger.BulkComplete)
	o := order(5)
	o.Name = "once-more"
	b := l.start(o)
	l.awaitState(b.ID, ledger.BulkComplete)
	l.checkFolder(b)
	if n := l.books(); n.CreatesAccepted != 5 {
		t.Errorf("%d exports were created, want 5, all for the first name", n.CreatesAccepted)
	}
}

// TestCancelOfShared cancels one of two bulk exports that wait for the same
// operations: the other still gets its files.
func TestCancelOfShared(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	release := l.hold()
	l.run()
	first := l.start(orderOf(victim, 3))
	l.await(first.ID, "running", func(s Status) bool { return s.Counts.By[ledger.ChunkRunning] == 3 })
	o := orderOf(victim, 3)
	o.Name = "the-same"
	second := l.start(o)
	l.await(second.ID, "running", func(s Status) bool { return s.Counts.By[ledger.ChunkRunning] == 3 })
	if _, err := l.engine.Control(t.Context(), first.ID, Cancel); err != nil {
		t.Fatal(err)
	}
	release()
	l.awaitState(second.ID, ledger.BulkComplete)
	l.checkFolder(second)
	if n := l.books(); n.CreatesAccepted != 3 || n.Cancels != 0 {
		t.Errorf("the books say %+v, want 3 exports and none cancelled", n)
	}
}

// TestBrokenCreates loses the answer to a create that Fullstory accepted: the engine
// finds its operation.
func TestBrokenCreates(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"500_after_accept", "reset_after_accept"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sandbox.Config{})
			l.faults(`{"script":[{"on":"create","nth":2,"do":"` + fault + `"},
				{"on":"create","nth":4,"do":"` + fault + `"}]}`)
			l.run()
			b := l.start(order(6))
			l.awaitState(b.ID, ledger.BulkComplete)
			l.checkFolder(b)
			if n := l.books(); n.CreatesAccepted != 6 || n.Windows != 6 {
				t.Errorf("the books say %+v, want 6 exports", n)
			}
		})
	}
}

// TestCandidates has another program create an export while the answer to one of ours is
// lost: both operations are candidates, and the content of the files decides.
func TestCandidates(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	other, err := client.New(client.Options{Key: sandbox.KeyArchitect, BaseURL: l.url})
	if err != nil {
		t.Fatal(err)
	}
	l.faults(`{"script":[{"on":"create","nth":2,"do":"reset_after_accept"}]}`)
	if _, err := other.CreateSegmentExport(t.Context(), client.ExportRequest{
		SegmentID: "everyone", Type: client.TypeEvent, Format: client.FormatNDJSON,
		TimeRange: client.TimeRange{Start: "2026-09-20T00:00:00Z", End: "2026-09-21T00:00:00Z"},
	}); err != nil {
		t.Fatal(err)
	}
	l.run()
	b := l.start(order(3))
	l.awaitState(b.ID, ledger.BulkComplete)
	checked := l.checkFolder(b)
	if n := l.books(); n.CreatesAccepted != 4 || n.Windows != 4 {
		t.Errorf("the books say %+v, want 4, one of them by the other program", n)
	}
	if checked.Files != 3 {
		t.Errorf("%d files, want 3", checked.Files)
	}
}

// TestHalving makes an operation fail: its window is halved, and the other windows stay
// as they are.
func TestHalving(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.faults(`{"script":[{"on":"operation","nth":2,"do":"failed","message":"too many rows"}]}`)
	l.run()
	b := l.start(order(4))
	s := l.awaitState(b.ID, ledger.BulkComplete)
	if l.checkFolder(b).Files != 5 || s.Counts.All() != 5 {
		t.Errorf("%+v, want 3 and two halves", s.Counts)
	}
}

// TestGivenUp makes every export of one window fail: the shortest window is retried a
// few times, then it fails and the problems say why.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, func(o *bulk.Options) { o.Floor = time.Hour })
	l.faults(`{"rates":{"failed":1}}`)
	l.run()
	b := l.start(order(1))
	l.await(b.ID, "waiting for a retry", func(s Status) bool {
		problems, err := l.engine.Problems(t.Context(), s, 5)
		return err == nil && len(problems) == 1 && !problems[0].Failed
	})
	for range bulk.MostCreates {
		l.hurry(b.ID)
	}
	s := l.await(b.ID, "given up", func(s Status) bool {
		l.hurry(b.ID)
		return s.Bulk.State == ledger.BulkFailed
	})
	problems, err := l.engine.Problems(t.Context(), s, 5)
	if err != nil || len(problems) != 1 || !problems[0].Failed ||
		!strings.Contains(problems[0].Text, "could not complete") {
		t.Errorf("problems: %+v, %v", problems, err)
	}
	l.faults(`{}`)
	if _, err := l.engine.Control(t.Context(), b.ID, RetryFailed); err != nil {
		t.Fatal(err)
	}
	l.awaitState(b.ID, ledger.BulkComplete)
	l.checkFolder(b)
}

// hurry ends the delays of planned chunks.
func (l *lab) hurry(bulk string) {
	l.t.Helper()
	l.hurryChunks(bulk, ledger.ChunkPlanned, false)
	l.engine.engine.Wake()
}

// TestStuck cancels an operation that exceeds the deadline. The others take 50 ms, far
// less than the deadline even on a loaded machine.
func TestStuck(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, func(o *bulk.Options) { o.Deadline = slowness * 6 * time.Second })
	l.faults(`{"script":[{"on":"operation","nth":1,"do":"stuck"}]}`)
	l.run()
	b := l.start(order(2))
	l.awaitState(b.ID, ledger.BulkComplete)
	l.checkFolder(b)
	if n := l.books(); n.Cancels != 1 {
		t.Errorf("%d operations were cancelled, want the stuck one", n.Cancels)
	}
}

// TestDamagedFiles damages one file once, which a fresh link fixes, and another one each
// time, which a new export fixes.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, once := range []string{"truncate", "corrupt"} {
		t.Run(once, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sandbox.Config{})
			l.faults(`{"script":[{"on":"download","nth":1,"do":"` + once + `"},{"on":"operation","nth":3,"do":"checksum"}]}`)
			l.run()
			b := l.start(order(4))
			l.await(b.ID, "complete", func(s Status) bool {
				l.hurry(b.ID)
				return s.Bulk.State == ledger.BulkComplete
			})
			l.checkFolder(b)
			if n := l.books(); n.CreatesAccepted != 5 {
				t.Errorf("%d exports were created, want 4 and one for the file that is always damaged", n.CreatesAccepted)
			}
		})
	}
}

// TestControl pauses, resumes and cancels a bulk export.
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
	l.await(b.ID, "continuing", func(Status) bool { return l.books().CreatesAccepted > created+3 })
	cancelled, err := l.engine.Control(t.Context(), b.ID, Cancel)
	if err != nil || cancelled.State != ledger.BulkCancelled || cancelled.FinishedAt.IsZero() {
		t.Fatalf("cancel: %+v, %v", cancelled, err)
	}
	s := l.awaitState(b.ID, ledger.BulkCancelled)
	if s.Counts.By[ledger.ChunkPlanned]+s.Counts.Running() != 0 || s.Counts.All() != 200 {
		t.Errorf("after the cancel: %+v", s.Counts)
	}
	l.await(b.ID, "cancelled at Fullstory", func(Status) bool {
		n, err := l.ledger.InFlight(t.Context(), "lab")
		return err == nil && n.All == 0
	})
	if _, err := l.engine.Control(t.Context(), b.ID, Resume); !errors.Is(err, ErrWrongState) {
		t.Errorf("a cancelled one was resumed: %v", err)
	}
	if _, err := l.engine.Control(t.Context(), "no-such", Pause); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("an unknown one was paused: %v", err)
	}
}

// TestRetryMissing removes and truncates stored files: they are problems of their
// windows, and retry_failed exports them again.
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
	s, err := l.engine.Status(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	problems, err := l.engine.Problems(t.Context(), s, 10)
	if err != nil || len(problems) != 2 || !strings.Contains(problems[0].Text, "is missing") ||
		!strings.Contains(problems[1].Text, "100 bytes instead of") {
		t.Errorf("problems: %+v, %v", problems, err)
	}
	if _, err := l.engine.Control(t.Context(), b.ID, RetryFailed); err != nil {
		t.Fatal(err)
	}
	l.await(b.ID, "complete again", func(s Status) bool {
		return s.Bulk.State == ledger.BulkComplete && s.Counts.By[ledger.ChunkStored] == 5
	})
	l.checkFolder(b)
}

// TestSettle exports a day that has just ended, and again when its rows have settled: the
// manifest has the difference.
func TestSettle(t *testing.T) {
	t.Parallel()
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
		t.Errorf("before the rows settle: %+v, %s", s.Counts, s.Bulk.State)
	}
	first := s.Counts.Rows
	l.faults(`{"clock_skew":"30h"}`)
	if _, err := l.options.Client.Me(t.Context()); err != nil { // its answer has the new time
		t.Fatal(err)
	}
	s = l.awaitState(b.ID, ledger.BulkComplete)
	checked := l.checkFolder(b)
	d := checked.Manifest.Files[0].Settled
	if s.Counts.Provisional != 0 || d == nil || first+d.Added-d.Gone != s.Counts.Rows || d.Added == 0 {
		t.Errorf("%d rows at first, %d when settled, and the manifest says %+v", first, s.Counts.Rows, d)
	}
	earlier, err := filepath.Glob(filepath.Join(l.archive.Path(b.Name, ""), ".superseded", "*.gz"))
	if err != nil || len(earlier) != 1 {
		t.Errorf("the provisional file is %q, %v", earlier, err)
	}
}

// TestTwoEngines runs two engines on one ledger: one has the lease, and the other takes
// over when it stops.
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
	l.checkFolder(b)
	if n := l.books(); n.CreatesAccepted != 30 {
		t.Errorf("%d exports were created, want 30", n.CreatesAccepted)
	}
}

// TestSingle creates single exports: one whose answer is lost is found, an identical one
// is reused, and the error of a rejected one has Fullstory's reason.
func TestSingle(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	r := order(1).Request
	l.faults(`{"script":[{"on":"create","nth":1,"do":"reset_after_accept"}]}`)
	first, err := l.engine.Create(t.Context(), Single{Request: r}, false)
	if err != nil || first.Operation == "" || first.Reused {
		t.Fatalf("a create whose answer is lost: %+v, %v", first, err)
	}
	r.Now = "2026-10-20T00:00:05Z"
	again, err := l.engine.Create(t.Context(), Single{Request: r}, false)
	if err != nil || !again.Reused || again.Operation != first.Operation {
		t.Errorf("the same once more: %+v, %v", again, err)
	}
	for name, create := range map[string]func() (Created, error){
		"with another now": func() (Created, error) {
			return l.engine.Create(t.Context(), Single{Request: r, NowGiven: true}, false)
		},
		"with force": func() (Created, error) { return l.engine.Create(t.Context(), Single{Request: r}, true) },
		"with an open end": func() (Created, error) {
			o := r
			o.TimeRange.End = ""
			return l.engine.Create(t.Context(), Single{Request: o}, false)
		},
		"with other fields": func() (Created, error) {
			o := r
			o.Fields = []string{"UserId"}
			return l.engine.Create(t.Context(), Single{Request: o}, false)
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
	_, err = l.engine.Create(t.Context(), Single{Request: r}, false)
	failed, ok := errors.AsType[*client.Error](err)
	if !ok || failed.Status != http.StatusNotFound || failed.Message == "" {
		t.Errorf("an unknown segment: %v", err)
	}
}

// TestUnusableID has Fullstory name a single export by an id that cannot be used. The
// caller learns that it exists, and it is not created again.
func TestUnusableID(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.faults(`{"script":[{"on":"operation","do":"id_long"}]}`)
	l.run()
	_, err := l.engine.Create(t.Context(), Single{Request: order(1).Request}, false)
	failed, ok := errors.AsType[*client.Error](err)
	if !ok || failed.Code != client.CodeUnusableID || !failed.Uncertain {
		t.Errorf("got %v", err)
	}
	if x := Explain(err); x.Kind != Uncertain || !strings.Contains(x.ForModel(), "id of 2048 bytes") {
		t.Errorf("the caller reads %q", x.ForModel())
	}
	if n := l.books(); n.CreatesAccepted != 1 {
		t.Errorf("%d exports were created, want 1", n.CreatesAccepted)
	}
}

// TestConflict puts a file with other content in the place of a chunk's file: it is moved
// aside, not lost.
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
	l.checkFolder(b)
	aside, err := filepath.Glob(filepath.Join(folder, ".superseded", "*"+name))
	if err != nil || len(aside) != 1 {
		t.Errorf("the other file is %q, %v", aside, err)
	}
}
