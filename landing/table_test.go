package landing

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/delta"
)

// snapshot reads the Delta table of a folder.
func snapshot(t *testing.T, folder string) delta.Snapshot {
	t.Helper()
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	table, err := delta.Open(t.Context(), delta.Folder(root))
	if err != nil {
		t.Fatal(err)
	}
	return table.Snapshot()
}

// windows returns the windows of the files of a table, sorted, and fails unless each file is there.
func windows(t *testing.T, folder string) (found []string) {
	t.Helper()
	s := snapshot(t, folder)
	for path, f := range s.Files() {
		found = append(found, f.Tags[delta.WindowTag])
		if info, err := os.Stat(filepath.Join(folder, path)); err != nil || info.Size() != f.Size {
			t.Errorf("%s of the table: %v", path, err)
		}
		if !strings.Contains(f.Stats, `"numRecords":1`) {
			t.Errorf("%s has the statistics %s", path, f.Stats)
		}
	}
	slices.Sort(found)
	return found
}

func (b *bulk) parquet() string { return b.Path("bulk", Folder) }

// day puts a file of a window of a day of October with one row.
func (b *bulk) day(from, to, row string) {
	b.t.Helper()
	b.put("2026-10-"+from+":00:00Z", "2026-10-"+to+":00:00Z", row+"\n")
}

func window(from, to string) string { return "2026-10-" + from + ":00:00Z/2026-10-" + to + ":00:00Z" }

// TestTable keeps a Delta table equal to the files of a manifest: files are added, replaced by one
// or by several at once, and removed; a former content comes back; a column is added.
func TestTable(t *testing.T) {
	t.Parallel()
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	convert := func(delta bool) Result {
		t.Helper()
		r, err := Convert(t.Context(), b.Archive, "bulk", Options{Delta: delta}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	expect := func(when string, version int64, want ...string) {
		t.Helper()
		if got := windows(t, b.parquet()); !slices.Equal(got, want) {
			t.Errorf("%s the table has %q, want %q", when, got, want)
		}
		if got := snapshot(t, b.parquet()).Version; got != version {
			t.Errorf("%s the table has version %d, want %d", when, got, version)
		}
	}
	b.day("01T00", "02T00", `{"PageUrl":"/a"}`)
	convert(false) // a table may come later
	b.day("02T00", "03T00", `{"PageUrl":"/b"}`)
	convert(true)
	expect("at first", 1, window("01T00", "02T00"), window("02T00", "03T00"))
	if names := b.files(); slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, "Z.parquet") }) {
		t.Errorf("a file without a version is left: %q", names)
	}
	convert(false)
	expect("with nothing new", 1, window("01T00", "02T00"), window("02T00", "03T00"))

	first := slices.Collect(keys(snapshot(t, b.parquet())))
	b.day("01T00", "02T00", `{"PageUrl":"/c","evt_order_int":9007199254740993}`)
	convert(true)
	expect("replaced", 2, window("01T00", "02T00"), window("02T00", "03T00"))
	if s := snapshot(t, b.parquet()).Schema; !slices.ContainsFunc(s, func(c delta.Column) bool {
		return c.Name == "evt_order_int" && c.Type == delta.Long
	}) {
		t.Errorf("the new column is not in %v", s)
	}
	for _, path := range first {
		if _, err := os.Stat(filepath.Join(b.parquet(), path)); err != nil {
			t.Errorf("a reader of the version before misses a file: %v", err)
		}
	}
	b.day("01T00", "02T00", `{"PageUrl":"/a"}`)
	if r := convert(true); r.Kept != 2 {
		t.Errorf("a former content was made again: %+v", r)
	}
	expect("with the former content", 3, window("01T00", "02T00"), window("02T00", "03T00"))

	b.m.Files = nil
	b.day("02T00", "03T00", `{"PageUrl":"/b"}`)
	b.day("01T00", "01T12", `{"PageUrl":"/d"}`)
	b.day("01T12", "02T00", `{"PageUrl":"/e"}`)
	convert(true)
	expect("in halves", 4, window("01T00", "01T12"), window("01T12", "02T00"), window("02T00", "03T00"))
}

func keys(s delta.Snapshot) func(func(string) bool) {
	return func(yield func(string) bool) {
		for path := range s.Files() {
			if !yield(path) {
				return
			}
		}
	}
}

// TestTableExpires deletes a file a day after it left the table, also from the copies, and at once
// one that never was in it.
func TestTableExpires(t *testing.T) {
	t.Parallel()
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	c := &memory{objects: map[string][]byte{}}
	copied, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { copied.Close() })
	convert := func() {
		t.Helper()
		source := Source{
			Options: Options{Delta: true}, Manifest: b.manifest, Open: b.Opener("bulk"),
			Copies: c, CopiedTable: delta.Folder(copied),
		}
		if _, err := ConvertFiles(t.Context(), b.Archive, "bulk", source, nil); err != nil {
			t.Fatal(err)
		}
	}
	b.day("01T00", "02T00", `{"PageUrl":"/a"}`)
	convert()
	old := slices.Collect(keys(snapshot(t, b.parquet())))[0]
	b.day("01T00", "02T00", `{"PageUrl":"/b"}`)
	convert()
	stray := filepath.Join(b.parquet(), filepath.Dir(old), "made-before-a-kill.parquet")
	if err := os.WriteFile(stray, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	convert()
	c.same(t, b, "while readers may need a file")
	if _, err := os.Stat(filepath.Join(b.parquet(), old)); err != nil || len(c.objects) != 2 {
		t.Errorf("a file that has just left the table: %v, %d copies", err, len(c.objects))
	}
	if _, err := os.Stat(stray); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that was never in the table: %v", err)
	}
	for _, folder := range []string{b.parquet(), copied.Name()} {
		letADayPass(t, folder)
	}
	convert()
	c.same(t, b, "a day later")
	if _, err := os.Stat(filepath.Join(b.parquet(), old)); !errors.Is(err, os.ErrNotExist) || len(c.objects) != 1 {
		t.Errorf("a day later: %v, %d copies", err, len(c.objects))
	}
	windows(t, b.parquet())
}

// letADayPass writes into the log of a table that files left it a day earlier.
func letADayPass(t *testing.T, folder string) {
	t.Helper()
	stamps := regexp.MustCompile(`"deletionTimestamp":\d+`)
	old := []byte(`"deletionTimestamp":` + time.Now().Add(-keptFor-time.Hour).Format("20060102"))
	commits, _ := filepath.Glob(filepath.Join(folder, delta.LogFolder, "*.json"))
	changed := 0
	for _, path := range commits {
		content := file(t, path)
		if stamps.Match(content) {
			changed++
		}
		if err := os.WriteFile(path, stamps.ReplaceAll(content, old), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if changed == 0 {
		t.Fatalf("no file has left the table in %s", folder)
	}
}
