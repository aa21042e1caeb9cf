package exports

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// converting makes a lab's engine make Parquet files as that of an account does.
func converting(o *bulk.Options) { o.Convert = (&Account{Archive: o.Archive}).convert }

// parquetOrder is an order with Parquet files.
func parquetOrder(hours int) Order {
	o := order(hours)
	o.Parquet = true
	return o
}

// awaitParquet waits until the Parquet files of a bulk export are in a state.
func (l *lab) awaitParquet(id string, state ParquetState) BulkSummary {
	l.t.Helper()
	var out BulkSummary
	l.await(id, "Parquet "+string(state), func(s Status) bool {
		out = summarize(l.engine, s)
		return out.Parquet != nil && out.Parquet.State == state
	})
	return out
}

// checkParquet checks that each stored file has a Parquet file of its content, that
// nothing else is in the folder, and that all have the same columns. It returns their rows.
func (l *lab) checkParquet(b ledger.Bulk) (rows int64) {
	l.t.Helper()
	m, err := l.engine.Manifest(l.t.Context(), b)
	if err != nil {
		l.t.Fatal(err)
	}
	want, got, columns := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range m.Files {
		want[f.SHA256] = true
	}
	folder := l.archive.Path(b.Name, "parquet")
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(entry.Name(), ".parquet") {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			l.t.Errorf("%s has the mode %v", path, info.Mode())
		}
		p, err := parquet.OpenFile(file, info.Size())
		if err != nil {
			return err
		}
		sum, _ := p.Lookup("fullstory.source_sha256")
		rows, got[sum], columns[p.Schema().String()] = rows+p.NumRows(), true, true
		return nil
	})
	if err != nil || !maps.Equal(want, got) || len(columns) != 1 {
		l.t.Errorf("the Parquet files are of %q with %d sets of columns, want %q: %v", slices.Collect(maps.Keys(got)),
			len(columns), slices.Collect(maps.Keys(want)), err)
	}
	return rows
}

// TestParquet makes Parquet files of a bulk export, and again what is missing on request, on
// every kind of database.
func TestParquet(t *testing.T) {
	t.Parallel()
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLabOn(t, place, sandbox.Config{}, converting)
			stop := l.run()
			b := l.start(parquetOrder(4))
			out := l.awaitParquet(b.ID, ParquetMade)
			if rows := l.checkParquet(b); out.Parquet.Files != 4 || out.Parquet.Rows != rows || rows != out.Rows ||
				!strings.Contains(out.Summary, "Its folder parquet has 4 Parquet files with ") {
				t.Errorf("%d rows in the files, and the status says %+v: %s", rows, *out.Parquet, out.Summary)
			}
			if err := os.RemoveAll(out.Parquet.Folder); err != nil {
				t.Fatal(err)
			}
			if _, err := l.engine.Control(t.Context(), b.ID, RetryFailed); err != nil {
				t.Fatal(err)
			}
			l.await(b.ID, "looked at again", func(s Status) bool { return !s.Conversion.Due() })
			l.checkParquet(b)
			stop()
			l.laterParquet(b)
		})
	}
}

// laterParquet requests Parquet files of a bulk export that has ended without any, while no
// engine runs; the next one makes them.
func (l *lab) laterParquet(before ledger.Bulk) {
	l.t.Helper()
	o := order(2)
	o.Name = "later"
	l.engine = New(l.options)
	stop := l.run()
	b := l.start(o)
	if s := l.awaitState(b.ID, ledger.BulkComplete); s.Conversion != nil {
		l.t.Errorf("nobody requested a conversion: %+v", s.Conversion)
	}
	stop()
	o.Parquet = true
	if _, reused, err := l.engine.Start(l.t.Context(), o); err != nil || !reused {
		l.t.Fatal(reused, err)
	}
	if p, _ := l.engine.parquet(l.await(b.ID, "requested", func(s Status) bool { return s.converting() })); p.Files != 0 {
		l.t.Errorf("nothing runs: %+v", p)
	}
	l.engine = New(l.options)
	l.run()
	l.awaitParquet(b.ID, ParquetMade)
	l.checkParquet(b)
	l.checkParquet(before)
}

// TestParquetFollows replaces a file whose rows have settled, and one that was lost: their
// Parquet files are made again without a request.
func TestParquetFollows(t *testing.T) {
	t.Parallel()
	now := september.Add(26 * time.Hour)
	l := newLab(t, sandbox.Config{Now: now, Late: true}, converting)
	l.run()
	o := parquetOrder(24)
	o.Settle = true
	o.Windows[0].End = o.Windows[len(o.Windows)-1].End
	o.Windows = o.Windows[:1]
	b := l.start(o)
	out := l.awaitParquet(b.ID, ParquetMade)
	first := l.checkParquet(b)
	if out.State != "running" || out.Provisional != 1 || first != out.Rows {
		t.Errorf("before the rows settle: %+v", out)
	}
	l.faults(`{"clock_skew":"30h"}`)
	if _, err := l.options.Client.Me(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := l.awaitState(b.ID, ledger.BulkComplete)
	out = l.awaitParquet(b.ID, ParquetMade)
	if rows := l.checkParquet(b); rows == first || rows != s.Counts.Rows || rows != out.Parquet.Rows {
		t.Errorf("%d rows at first, %d when settled, and %d in Parquet: %+v", first, s.Counts.Rows, rows, out.Parquet)
	}
	stored := l.checkFolder(b).Manifest.Files[0].Name
	parquets, err := filepath.Glob(filepath.Join(out.Parquet.Folder, "*", "*.parquet"))
	if err := errors.Join(err, os.Remove(l.archive.Path(b.Name, stored)), os.Remove(parquets[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := l.engine.Control(t.Context(), b.ID, RetryFailed); err != nil {
		t.Fatal(err)
	}
	l.await(b.ID, "exported again", func(s Status) bool {
		return s.Bulk.State == ledger.BulkComplete && !s.Conversion.Due()
	})
	l.checkParquet(b)
}

// TestParquetFails lets conversions fail: the export is complete all the same, its status
// says why there are no Parquet files, and they are tried again.
func TestParquetFails(t *testing.T) {
	t.Parallel()
	var fail atomic.Pointer[func(context.Context) error]
	l := newLab(t, sandbox.Config{}, func(o *bulk.Options) {
		convert := (&Account{Archive: o.Archive}).convert
		o.Convert = func(
			ctx context.Context, b ledger.Bulk, table ledger.TableFormat, m func() (archive.Manifest, error),
			report func(bulk.ConvertProgress),
		) (bulk.Converted, error) {
			if f := fail.Load(); f != nil {
				return bulk.Converted{}, (*f)(ctx)
			}
			return convert(ctx, b, table, m, report)
		}
		o.Explain = func(_ context.Context, err error) (string, string) { return Explain(err).Recorded() }
	})
	failing := func(f func(context.Context) error) { fail.Store(&f) }
	failing(func(context.Context) error { panic("a bug") })
	stop := l.run()
	b := l.start(parquetOrder(2))
	failed := func(out BulkSummary, says ...string) {
		t.Helper()
		if out.State != "complete" || len(out.Problems) != 1 {
			t.Fatalf("it is %s with the problems %v", out.State, out.Problems)
		}
		for _, want := range says {
			if !strings.Contains(out.Problems[0].Problem, want) {
				t.Errorf("%q lacks %q", out.Problems[0].Problem, want)
			}
		}
	}
	l.await(b.ID, "failed", func(s Status) bool { return s.Conversion.Reason != "" })
	s := l.awaitState(b.ID, ledger.BulkComplete)
	failed(summarize(l.engine, s), "internal error", "It is tried again at 2026-")
	failing(func(context.Context) error {
		return &archive.DiskError{Path: "/data", Need: 10 << 20, Keep: 1 << 20, Free: 1}
	})
	l.await(b.ID, "failed once more", func(s Status) bool { return strings.Contains(s.Conversion.Reason, "/data") })

	// The last try.
	stop()
	c, err := l.ledger.Conversion(t.Context(), b.ID)
	c.Tries, c.NextAt = bulk.MostConversions-1, september
	if err := errors.Join(err, l.ledger.SaveConversion(t.Context(), c)); err != nil {
		t.Fatal(err)
	}
	l.engine = New(l.options)
	stop = l.run()
	out := l.awaitParquet(b.ID, ParquetFailed)
	failed(out, "/data", "`retry_failed` tries again", "`convert`")
	if !strings.Contains(out.Next, "`control_bulk_export` with `retry_failed`") {
		t.Errorf("the next step is %q", out.Next)
	}

	// Somebody asks, and the process stops in the middle: that try does not count.
	begun := make(chan struct{})
	failing(func(ctx context.Context) error { close(begun); <-ctx.Done(); return ctx.Err() })
	if _, err := l.engine.Control(t.Context(), b.ID, RetryFailed); err != nil {
		t.Fatal(err)
	}
	<-begun
	stop()
	if c, err = l.ledger.Conversion(t.Context(), b.ID); err != nil || c.Tries != 0 || !c.NextAt.IsZero() || !c.Due() {
		t.Errorf("after a stop: %+v, %v", c, err)
	}
	fail.Store(nil)
	l.engine = New(l.options)
	l.run()
	if out := l.awaitParquet(b.ID, ParquetMade); len(out.Problems) > 0 {
		t.Errorf("made, with the problems %v", out.Problems)
	}
	l.checkParquet(b)
}

// TestParquetBlocked puts a file where the folder of Parquet files should be, and damages an
// exported file.
func TestParquetBlocked(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, converting)
	if err := os.MkdirAll(l.archive.Path("september", ""), 0o700); err != nil {
		t.Fatal(err)
	}
	blocker := l.archive.Path("september", "parquet")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.run()
	b := l.start(parquetOrder(2))
	l.awaitState(b.ID, ledger.BulkComplete)
	l.await(b.ID, "failed", func(s Status) bool { return s.Conversion.Reason != "" })
	files := l.checkFolder(b).Manifest.Files
	damaged := l.archive.Path(b.Name, files[0].Name)
	content, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := errors.Join(os.WriteFile(damaged, content, 0o600), os.Remove(blocker)); err != nil {
		t.Fatal(err)
	}
	out := BulkSummary{}
	l.await(b.ID, "made in part", func(s Status) bool {
		out = summarize(l.engine, s)
		return out.Parquet.Files == 1 && len(out.Problems) == 1
	})
	if want := "Parquet files could not be made of 1 file; the first, " + files[0].Name; out.State != "complete" ||
		!strings.Contains(out.Problems[0].Problem, want) {
		t.Errorf("%s with %+v, want %q", out.State, out.Problems, want)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(damaged, content, 0o600); err != nil {
		t.Fatal(err)
	}
	l.awaitParquet(b.ID, ParquetMade)
	l.checkParquet(b)
}
