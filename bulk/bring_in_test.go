package bulk

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
)

// october is a day of October 2026 in UTC.
func october(day int) time.Time { return time.Date(2026, 10, day, 0, 0, 0, 0, time.UTC) }

// bringer is a daily sync that begins on 5 October, and an engine that brings files in.
type bringer struct {
	t      *testing.T
	engine *Engine
	ledger *ledger.Ledger
	sync   ledger.Sync
	bulk   ledger.Bulk
	folder string
}

func newBringer(t *testing.T, place string) *bringer {
	l, err := ledger.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dir := t.TempDir()
	files, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Options{Key: "na1.key", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	b := &bringer{t: t, ledger: l, folder: filepath.Join(dir, "visits")}
	b.engine = New(Options{Ledger: l, Client: c, Archive: files, Account: "a", Now: time.Now})
	const open = `{"start":"2026-10-05T00:00:00Z","end":""}`
	request := `{"segment_id":"everyone","type":"TYPE_EVENT","format":"FORMAT_NDJSON","timezone":"UTC",` +
		`"segment_time_range":` + open + `,"time_range":` + open + `}`
	b.bulk = ledger.Bulk{
		ID: "bulk", Account: "a", Name: "visits", Request: []byte(request), Granularity: "day", State: ledger.BulkComplete,
		CreatedAt: october(1), Fetch: true, Sync: "sync", Settle: true,
	}
	b.sync = ledger.Sync{
		ID: "sync", Account: "a", Name: "visits", Bulk: "bulk", Generation: 1, Request: []byte(request), Chunk: "day",
		Every: "day", Anchor: october(5), Lag: 24 * time.Hour, CatchUp: ledger.CatchUpAll, CoveredTo: october(6),
		Parquet: true,
	}
	err = l.Write(t.Context(), func(t *ledger.Tx) error {
		return errors.Join(t.AddBulk(b.bulk), t.AddSync(b.sync))
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bring brings a file with so many rows into the window of a day.
func (b *bringer) bring(day, rows int, exported time.Time, seen *ledger.Attempt) error {
	_, _, err := b.engine.BringIn(b.t.Context(), Bringing{
		Sync: "sync", Bulk: b.bulk, Window: ledger.SyncWindow{Start: october(day), End: october(day + 1)}, Seen: seen,
		Request: client.ExportRequest{Type: client.TypeEvent, Format: client.FormatNDJSON}, ExportedAt: exported,
		Load: func(_ context.Context, to io.Writer) error {
			w := gzip.NewWriter(to)
			for i := range rows {
				fmt.Fprintf(w, `{"EventStart":%q}`+"\n", october(day).Add(time.Duration(i)*time.Second).Format(time.RFC3339))
			}
			return w.Close()
		},
		From: func() ([]archive.MergedFile, int) { return []archive.MergedFile{{Folder: "old", Name: "x"}}, 3 },
	})
	return err
}

// chunk returns the chunk of a day.
func (b *bringer) chunk(day int) *ledger.Attempt {
	b.t.Helper()
	chunks, err := b.ledger.Chunks(b.t.Context(), "bulk", 0, 100, "")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range chunks {
		if c.Start.Equal(october(day)) {
			return &c
		}
	}
	return nil
}

// file returns the content of the file of a day; "" if there is none.
func (b *bringer) file(day int) string {
	content, _ := os.ReadFile(filepath.Join(b.folder, archive.FileName(october(day), october(day+1), ".ndjson.gz")))
	return string(content)
}

// TestBringIn adds windows with a file, gives chunks without one a file, and replaces files. What
// another process has changed meanwhile stays as that process left it.
func TestBringIn(t *testing.T) {
	t.Parallel()
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBringer(t, place)
			b.addsWindow()
			b.spares()
			b.replaces()
		})
	}
}

// addsWindow brings in a window before the first one.
func (b *bringer) addsWindow() {
	t := b.t
	if err := b.bring(3, 2, october(10), nil); err != nil {
		t.Fatal(err)
	}
	c := b.chunk(3)
	if c == nil || c.State != stored || c.Rows != 2 || c.Provisional || c.StoredAt.IsZero() {
		t.Fatalf("the chunk: %+v", c)
	}
	s, err := b.ledger.Sync(t.Context(), "a", "sync")
	var r client.ExportRequest
	if err = errors.Join(err, json.Unmarshal(s.Request, &r)); err != nil || !s.Anchor.Equal(october(3)) ||
		!s.CoveredTo.IsZero() || r.TimeRange.Start != "2026-10-03T00:00:00Z" || *r.SegmentTimeRange != r.TimeRange {
		t.Errorf("the sync: %+v, %s, %v", s, s.Request, err)
	}
	now, err := b.ledger.Bulk(t.Context(), "a", "bulk")
	if err = errors.Join(err, json.Unmarshal(now.Request, &r)); err != nil || now.State != ledger.BulkComplete ||
		!now.ManifestDue || r.TimeRange.End != "2026-10-04T00:00:00Z" {
		t.Errorf("the bulk export: %+v, %v", now, err)
	}
	if c, err := b.ledger.Conversion(t.Context(), "bulk"); err != nil || !c.Due() {
		t.Errorf("the conversion: %+v, %v", c, err)
	}
	m, err := b.engine.Manifest(t.Context(), now)
	if err != nil || len(m.Files) != 1 || len(m.Files[0].MergedFrom) != 1 || m.Files[0].MergedLeftOut != 3 {
		t.Errorf("the manifest: %+v, %v", m.Files, err)
	}
	if err := b.bring(2, 1, october(3), nil); err != nil {
		t.Fatal(err)
	}
	if now, err := b.ledger.Bulk(t.Context(), "a", "bulk"); err != nil || now.State != ledger.BulkRunning {
		t.Errorf("a bulk export that has to settle: %+v, %v", now, err)
	}
}

// spares leaves what is not as it was read.
func (b *bringer) spares() {
	t := b.t
	before := b.file(3)
	if err := b.bring(3, 5, october(10), nil); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a window that was added meanwhile: %v", err)
	}
	stale := *b.chunk(3)
	stale.Rows++
	if err := b.bring(3, 5, october(10), &stale); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a chunk that was changed meanwhile: %v", err)
	}
	if b.file(3) != before || b.chunk(3).Rows != 2 {
		t.Error("it was changed all the same")
	}
	if _, err := b.engine.WakeSync(t.Context(), "sync", october(7)); err != nil { // adds 4 and 5 October
		t.Fatal(err)
	}
	if err := b.bring(4, 5, october(10), nil); !errors.Is(err, ledger.ErrConflict) || b.file(4) != "" {
		t.Errorf("a window that the sync added meanwhile: %v", err)
	}
	other := b.bulk
	other.ID = "other" // as if the sync had another request now
	b.bulk, other = other, b.bulk
	if err := b.bring(9, 5, october(20), nil); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a sync with another bulk export: %v", err)
	}
	b.bulk = other
	sending := *b.chunk(5)
	err := b.ledger.Write(t.Context(), func(t *ledger.Tx) error {
		now := sending
		now.State = creating
		return t.SaveAttempt(now, planned)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.bring(5, 5, october(20), b.chunk(5)); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a chunk that is being exported: %v", err)
	}
}

// replaces gives a planned chunk a file, and then another one.
func (b *bringer) replaces() {
	t := b.t
	if err := b.bring(4, 5, october(5), b.chunk(4)); err != nil {
		t.Fatal(err)
	}
	if c := b.chunk(4); c.State != stored || c.Rows != 5 || !c.Provisional {
		t.Errorf("a planned chunk: %+v", c)
	}
	if err := b.bring(4, 7, october(10), b.chunk(4)); err != nil {
		t.Fatal(err)
	}
	if c := b.chunk(4); c.Rows != 7 || c.Provisional {
		t.Errorf("a stored chunk: %+v", c)
	}
	if kept, _ := filepath.Glob(filepath.Join(b.folder, ".superseded", "*.gz")); len(kept) != 1 {
		t.Errorf("the former files: %q", kept)
	}
}

// TestLacking says which windows a sync lacks, and where it begins with them.
func TestLacking(t *testing.T) {
	at := func(text string) time.Time {
		at, err := time.Parse("02T15", text)
		if err != nil {
			t.Fatal(err)
		}
		return at.AddDate(2026, 9, 0)
	}
	span := func(from, to string) plan.Range { return plan.Range{Start: at(from), End: at(to)} }
	for _, c := range []struct {
		name, chunk, anchor string
		covered, recorded   []plan.Range
		begin               string
		want                []plan.Range
	}{
		{"a day before", "day", "05T00", []plan.Range{span("04T00", "05T00")}, nil, "04T00",
			[]plan.Range{span("04T00", "05T00")}},
		{"part of a day before", "day", "05T00", []plan.Range{span("03T12", "05T00")}, nil, "04T00",
			[]plan.Range{span("04T00", "05T00")}},
		{"only part of a day", "day", "05T00", []plan.Range{span("03T12", "04T12")}, nil, "05T00", nil},
		{"a gap between", "day", "05T00", []plan.Range{span("01T12", "02T06"), span("03T00", "04T00")}, nil, "03T00",
			[]plan.Range{span("03T00", "04T00")}},
		{"recorded", "day", "05T00", []plan.Range{span("05T00", "07T00")}, []plan.Range{span("05T00", "06T00")}, "05T00",
			[]plan.Range{span("06T00", "07T00")}},
		{"not over", "day", "05T00", []plan.Range{span("08T00", "11T00")}, nil, "05T00",
			[]plan.Range{span("08T00", "09T00")}},
		{"a first window within a day", "day", "05T12", []plan.Range{span("04T00", "06T00")},
			[]plan.Range{span("05T12", "06T00")}, "04T00", []plan.Range{span("04T00", "05T00"), span("05T00", "05T12")}},
		{"the part of a day before the first window", "day", "05T12", []plan.Range{span("05T00", "05T12")},
			[]plan.Range{span("05T12", "06T00")}, "05T00", []plan.Range{span("05T00", "05T12")}},
		{"elapsed time", "PT7H", "05T00", []plan.Range{span("04T00", "05T00")}, nil, "04T03",
			[]plan.Range{span("04T03", "04T10"), span("04T10", "04T17"), span("04T17", "05T00")}},
	} {
		terms, err := TermsOf(ledger.Sync{
			Request: []byte(`{"timezone":"UTC"}`), Every: "day", Chunk: c.chunk, Anchor: at(c.anchor), Lag: 24 * time.Hour,
			CatchUp: ledger.CatchUpLatest, CoveredTo: at("06T00"),
		})
		if err != nil {
			t.Fatal(err)
		}
		var recorded []ledger.SyncWindow
		for _, r := range c.recorded {
			recorded = append(recorded, ledger.SyncWindow(r))
		}
		got, begin := terms.Lacking(plan.NewWindows(c.covered...), recorded, at("10T00"))
		if fmt.Sprint(rangesOf(got)) != fmt.Sprint(c.want) && len(got)+len(c.want) > 0 || !begin.Equal(at(c.begin)) {
			t.Errorf("%s: %v from %v, want %v from %v", c.name, got, begin, c.want, at(c.begin))
		}
	}
}
