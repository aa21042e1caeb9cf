package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/rows"
)

// bulkManifest returns the manifest of a bulk export of n files. Every fifth file has
// columns of its own.
func bulkManifest(n int, own ...string) Manifest {
	common := []string{"EventStart", "EventType", "PageUrl"}
	m := Manifest{Name: "x", BulkID: "bulk_x", Request: json.RawMessage(`{"segment_id":"everyone"}`), Files: []File{}}
	for i := range n {
		start := from.Add(time.Duration(i) * time.Hour)
		f := File{
			Name: FileName(start, start.Add(time.Hour), ".ndjson.gz"), Start: instant(start), End: instant(start.Add(time.Hour)),
			OperationID: fmt.Sprintf("U0VBUkNIX0VYUE9SVDo%d", i), Bytes: 1234567, SHA256: fmt.Sprintf("%064x", i), Rows: 98765,
			FirstEvent: instant(start), LastEvent: instant(start.Add(59 * time.Minute)), ExportedAt: start.Add(48 * time.Hour),
			Columns: common, RowsByHour: rows.Counts{98765},
		}
		if i%5 == 0 && len(own) > 0 {
			f.Columns = append([]string{fmt.Sprintf("evt_of_%d_str", i)}, own...)
		}
		f.ColumnsSHA256 = columnsSum(f.Columns)
		m.Files = append(m.Files, f)
	}
	m.Columns = common
	m.Coverage = CoverageOf(plan.Range{Start: from, End: from.Add(time.Duration(n) * time.Hour)}, m.Files)
	return m
}

// write writes a manifest to the folder x.
func write(t testing.TB, a *Archive, m Manifest) {
	t.Helper()
	if err := a.WriteManifest(t.Context(), "x", m); err != nil {
		t.Fatal(err)
	}
}

// sizes returns the bytes of the manifest in the folder x and of its pages, by name. It
// fails if one is larger than a manifest may be.
func sizes(t testing.TB, a *Archive) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	paths, err := filepath.Glob(filepath.Join(a.Path("x", PagesFolder), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, a.Path("x", ManifestName)) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = info.Size()
		if info.Size() > 16<<20 {
			t.Errorf("%s has %d bytes", path, info.Size())
		}
	}
	return all
}

// pagedManifest returns the manifest of n files that has pages, because the names of the
// columns of some of them have 500 kB each.
func pagedManifest(n int) Manifest {
	own := make([]string, 1000)
	for i := range own {
		own[i] = fmt.Sprintf("evt_%s_%d", strings.Repeat("x", 480), i)
	}
	return bulkManifest(n, own...)
}

var full = flag.Bool("full", false, "run the tests of large manifests as well")

// long skips a test that takes long, unless -full is given.
func long(t *testing.T) {
	t.Helper()
	if !*full {
		t.Skip("takes long; run with -full")
	}
}

// TestLargeManifest writes the manifest of 100,000 chunks, which is read as it was
// written, and then a smaller one, which leaves no pages.
func TestLargeManifest(t *testing.T) {
	long(t)
	t.Parallel()
	a, want := open(t), bulkManifest(100_000)
	write(t, a, want)
	if n := len(sizes(t, a)); n < 3 {
		t.Errorf("the manifest has %d files", n)
	}
	got, err := a.Manifest("x")
	if err != nil {
		t.Fatal(err)
	}
	want.Version, got.ColumnPages = pagedVersion, nil
	if !slices.EqualFunc(got.Files, want.Files, func(a, b File) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("read %d files, wrote %d, or they differ", len(got.Files), len(want.Files))
	}
	if n := int64(len(want.Files)); *got.Totals != (Totals{int(n), n * 98765, n * 1234567}) || len(got.Schema) != 3 {
		t.Errorf("totals are %+v, the schema is %+v", *got.Totals, got.Schema)
	}
	got.Totals, got.Schema = nil, nil
	got.Files, want.Files, got.Request, want.Request = nil, nil, nil, nil // the request is indented
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("written and read: %s", diff)
	}
	write(t, a, bulkManifest(3))
	if all := sizes(t, a); len(all) != 1 {
		t.Errorf("a small manifest has the files %v", all)
	}
	if m, err := a.Manifest("x"); err != nil || len(m.Files) != 3 || m.Version != 2 {
		t.Errorf("got version %d, %d files, %v", m.Version, len(m.Files), err)
	}
}

// TestManifestOfManyColumns writes the manifest of files whose names of columns have
// 1 MB each.
func TestManifestOfManyColumns(t *testing.T) {
	t.Parallel()
	a, m := open(t), pagedManifest(200)
	write(t, a, m)
	if main := sizes(t, a)[ManifestName]; main > 1<<20 {
		t.Errorf("%s has %d bytes", ManifestName, main)
	}
	got, err := a.Manifest("x")
	if err != nil || len(got.Files) != 200 || got.Files[0].Columns != nil || len(got.Files[1].Columns) != 3 {
		t.Fatalf("got %d files, %v", len(got.Files), err)
	}
	// The lists can be found by their checksum, also after an update that had none of them.
	err = a.UpdateManifest(t.Context(), "x", func(m *Manifest) error { m.put(File{Name: "new"}); return nil })
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = a.EachManifestFile("x", func(name string, content []byte) error {
		var p page
		if name == ManifestName {
			return nil
		}
		if err := json.Unmarshal(content, &p); err != nil {
			return err
		}
		for sum, list := range p.Columns {
			if columnsSum(list) != sum {
				t.Errorf("%s has another list", sum)
			}
			found++
		}
		return nil
	})
	if err != nil || found != 40 {
		t.Errorf("found %d lists of columns, %v", found, err)
	}
}

// TestManifestAfterACrash stops the writing of a manifest after each of its steps. The
// manifest before or the new one can be read, whole.
func TestManifestAfterACrash(t *testing.T) {
	before, after := pagedManifest(100), pagedManifest(200)
	a := open(t)
	write(t, a, before)
	expect := func(step string, files int) {
		t.Helper()
		if m, err := a.Manifest("x"); err != nil || len(m.Files) != files {
			t.Errorf("%s: %d files, want %d, %v", step, len(m.Files), files, err)
		}
	}
	root, err := a.folder("x", false)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := os.WriteFile(a.Path("x", PagesFolder+"/0.json.part"), []byte("half a pa"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("half a page", len(before.Files))
	paged, err := writePages(root, after)
	if err != nil {
		t.Fatal(err)
	}
	expect("the new pages", len(before.Files))
	raw, err := indent(paged)
	if err != nil {
		t.Fatal(err)
	}
	if err := replace(root, ManifestName, raw); err != nil {
		t.Fatal(err)
	}
	expect("the new manifest", len(after.Files))
	many := len(sizes(t, a))
	write(t, a, after)
	expect("the next writing", len(after.Files))
	if few := len(sizes(t, a)); few >= many || few != 1+len(paged.Pages)+len(paged.ColumnPages) {
		t.Errorf("%d files, and %d before", few, many)
	}
}

// TestManifestIsReadWhileItIsReplaced reads a manifest with pages while another process replaces
// it again and again.
func TestManifestIsReadWhileItIsReplaced(t *testing.T) {
	a := open(t)
	kinds := []Manifest{pagedManifest(100), pagedManifest(101)}
	write(t, a, kinds[0])
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 10 && err == nil; i++ {
			err = a.WriteManifest(t.Context(), "x", kinds[1-i%2])
		}
		done <- err
	}()
	for reading := true; reading; {
		select {
		case err := <-done:
			if reading = false; err != nil {
				t.Error(err)
			}
		default:
		}
		if m, err := a.Manifest("x"); err != nil || len(m.Files) < 100 {
			t.Fatalf("got %d files, %v", len(m.Files), err)
		}
	}
}

// TestTooLargeManifest puts a manifest of 1 GB into a folder: nothing reads it, and only
// its own bulk export replaces it.
func TestTooLargeManifest(t *testing.T) {
	a := open(t)
	write(t, a, bulkManifest(3))
	write(t, a, bulkManifest(3))
	path := a.Path("x", ManifestName)
	if err := os.Truncate(path, 1<<30); err != nil {
		t.Fatal(err)
	}
	var damaged *ManifestError
	const says = "has 1.07 GB and the limit is 16.8 MB"
	if _, err := a.Manifest("x"); !errors.As(err, &damaged) || !strings.Contains(err.Error(), says) {
		t.Errorf("Manifest: %v", err)
	}
	for name := range a.Manifests() {
		t.Errorf("Manifests has %s", name)
	}
	if _, err := Check(t.Context(), filepath.Dir(path), nil); !errors.As(err, &damaged) {
		t.Errorf("Check: %v", err)
	}
	if err := a.UpdateManifest(t.Context(), "x", func(*Manifest) error { return nil }); !errors.As(err, &damaged) {
		t.Errorf("UpdateManifest: %v", err)
	}
	foreign := bulkManifest(1)
	foreign.BulkID = "bulk_y"
	var conflict *ConflictError
	if err := a.WriteManifest(t.Context(), "x", foreign); !errors.As(err, &conflict) {
		t.Errorf("WriteManifest of another bulk export: %v", err)
	}
	write(t, a, bulkManifest(4))
	if m, err := a.Manifest("x"); err != nil || len(m.Files) != 4 {
		t.Errorf("after its own bulk export wrote it: %d files, %v", len(m.Files), err)
	}
}

// TestDamagedPages changes, removes and renames the page of a manifest.
func TestDamagedPages(t *testing.T) {
	for name, damage := range map[string]func(page, manifest string) error{
		"is missing":               func(page, _ string) error { return os.Remove(page) },
		"has another checksum":     func(page, _ string) error { return os.WriteFile(page, []byte(`{"files":[]}`), 0o600) },
		"has 1.07 GB":              func(page, _ string) error { return os.Truncate(page, 1<<30) },
		"not a regular file":       func(page, _ string) error { return errors.Join(os.Remove(page), os.Mkdir(page, 0o700)) },
		"is not its checksum":      func(_, manifest string) error { return edit(manifest, PagesFolder+"/", "../") },
		"newer version":            func(_, manifest string) error { return edit(manifest, `"version": 3`, `"version": 4`) },
		"page is not its checksum": func(_, manifest string) error { return edit(manifest, `"sha256": "`, `"sha256": "/`) },
	} {
		a := open(t)
		write(t, a, pagedManifest(100))
		m, err := os.ReadFile(a.Path("x", ManifestName))
		if err != nil {
			t.Fatal(err)
		}
		var listed Manifest
		if err := json.Unmarshal(m, &listed); err != nil || len(listed.Pages) == 0 {
			t.Fatal(err)
		}
		if err := damage(a.Path("x", listed.Pages[0].Name), a.Path("x", ManifestName)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Manifest("x"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// edit replaces the first old in a file.
func edit(path, old, new string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Replace(raw, []byte(old), []byte(new), 1), 0o600)
}
