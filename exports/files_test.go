package exports

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/sandbox"
)

// TestFilesOfRunning deletes a stored file of a bulk export that is paused: it does not
// count, and the state stays.
func TestFilesOfRunning(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	b := l.start(order(200))
	l.await(b.ID, "under way", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 3 })
	if _, err := l.engine.Control(t.Context(), b.ID, Pause); err != nil {
		t.Fatal(err)
	}
	s := l.await(b.ID, "quiet", func(s Status) bool { return s.Counts.By[ledger.ChunkDownloading] == 0 })
	first := archive.FileName(september, september.Add(time.Hour), ".ndjson.gz")
	if err := os.Remove(filepath.Join(l.archive.Path(b.Name, ""), first)); err != nil {
		t.Fatal(err)
	}
	before := summarize(l.engine, s)
	s, err := l.engine.Status(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	after := summarize(l.engine, s)
	if after.State != "paused" || after.Chunks.Stored != before.Chunks.Stored-1 || after.Chunks.Missing != 1 ||
		after.Rows >= before.Rows || !strings.Contains(after.Summary, "; missing: 1 Sep 00:00 to 01:00 (UTC).") {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

// TestUnreadableMirror reads the status of a complete bulk export whose mirror does not
// answer: that is a problem, not an error.
func TestUnreadableMirror(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	stop := l.run()
	b := l.start(order(2))
	l.awaitState(b.ID, ledger.BulkComplete)
	stop()
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
	m, err := mirror.Open(mirror.Options{
		URL: "s3://bucket/prefix", Endpoint: "http://127.0.0.1:1", Region: "us-east-1",
		Getenv: func(name string) string { return keys[name] },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.options.Mirror = m
	e := New(l.options)
	s, err := e.Status(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	out := summarize(e, s)
	if out.State != "complete" || len(out.Problems) != 1 || out.Chunks.Stored != 2 ||
		!strings.Contains(out.Summary, "Whether the files are still there is not known.") {
		t.Errorf("got %+v", out)
	}
	began := time.Now()
	if _, err := e.Status(t.Context(), b.ID); err != nil || time.Since(began) > time.Second {
		t.Errorf("the mirror was asked again: %v, %v", time.Since(began), err)
	}
	if _, err := e.Control(t.Context(), b.ID, RetryFailed); err == nil {
		t.Error("retry_failed does not fail, although the mirror cannot be read")
	}
}

// TestBulksByFiles lists bulk exports by states that depend on their files, in pages.
func TestBulksByFiles(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.run()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		o := order(1)
		o.Name = name
		l.awaitState(l.start(o).ID, ledger.BulkComplete)
	}
	for _, name := range []string{"b", "d", "e"} {
		if err := os.RemoveAll(l.archive.Path(name, "")); err != nil {
			t.Fatal(err)
		}
	}
	a := &Account{ledger: l.ledger, engine: l.engine, bound: "lab", Client: l.options.Client, Sandbox: true}
	a.me = client.Me{OrgID: "lab", KeyHash: l.options.Client.KeyHash()}
	names := func(state ledger.BulkState) (names string) {
		t.Helper()
		for offset := 0; ; {
			page, err := a.Bulks(t.Context(), state, offset, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range page.Bulks {
				names += b.Name
			}
			if offset = page.Next; offset == 0 {
				return names
			}
		}
	}
	for state, want := range map[ledger.BulkState]string{
		"": "edcba", ledger.BulkPartial: "edb", ledger.BulkComplete: "ca",
	} {
		if got := names(state); got != want {
			t.Errorf("in state %q: %s, want %s", state, got, want)
		}
	}
}

// TestWindowsText names windows by their dates.
func TestWindowsText(t *testing.T) {
	t.Parallel()
	berlin, err := plan.Zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time { return client.Instant(text) }
	year := plan.Range{Start: at("2026-01-01T00:00:00Z"), End: at("2027-01-01T00:00:00Z")}
	for _, test := range []struct {
		windows []plan.Range
		whole   plan.Range
		zone    *time.Location
		want    string
	}{
		{[]plan.Range{{Start: at("2026-09-13T00:00:00Z"), End: at("2026-09-14T00:00:00Z")}}, year, time.UTC, "13 Sep"},
		{
			[]plan.Range{
				{Start: at("2026-10-24T22:00:00Z"), End: at("2026-10-25T23:00:00Z")}, // 25 hours
				{Start: at("2026-10-25T23:00:00Z"), End: at("2026-10-26T23:00:00Z")},
			},
			plan.Range{Start: year.Start, End: at("2026-12-01T00:00:00Z")}, berlin, "25 Oct to 26 Oct (Europe/Berlin)",
		},
		{
			[]plan.Range{{Start: at("2026-12-31T22:00:00Z"), End: at("2027-01-01T00:30:00Z")}},
			plan.Range{Start: year.Start, End: year.End.Add(time.Hour)}, time.UTC,
			"31 Dec 2026 22:00 to 1 Jan 2027 00:30 (UTC)",
		},
	} {
		if got := windowsText(test.windows, test.whole, test.zone); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	var many []plan.Range
	for i := range 8 {
		start := september.AddDate(0, 0, 2*i)
		many = append(many, plan.Range{Start: start, End: start.AddDate(0, 0, 1)})
	}
	if got := windowsText(many, year, time.UTC); got != "1 Sep, 3 Sep, 5 Sep, 7 Sep, 9 Sep and 3 more" {
		t.Errorf("got %s", got)
	}
}
