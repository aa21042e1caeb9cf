package archive

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// derivedIn opens derived files in a new archive.
func derivedIn(t *testing.T) (*Archive, *Derived) {
	t.Helper()
	a, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(a.Path("one", ""), 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := a.OpenDerived(t.Context(), "one", "made")
	if err != nil {
		t.Fatal(err)
	}
	return a, d
}

func writes(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// TestDerived writes, replaces, lists and removes files.
func TestDerived(t *testing.T) {
	t.Parallel()
	a, d := derivedIn(t)
	defer d.Close()
	for _, file := range []string{"b/2", "a/1", "a/0"} {
		if err := d.Write(file, 1, writes("old")); err != nil {
			t.Fatal(err)
		}
	}
	failed := errors.New("failed")
	half := func(w io.Writer) error { return errors.Join(writes("half")(w), failed) }
	if err := d.Write("a/1", 1, half); !errors.Is(err, failed) {
		t.Error(err)
	}
	if err := d.Write("c/1", 1, half); !errors.Is(err, failed) {
		t.Error(err)
	}
	content := func(file string) string {
		raw, err := os.ReadFile(filepath.Join(a.Path("one", "made"), filepath.FromSlash(file)))
		if err != nil {
			t.Error(err)
		}
		return string(raw)
	}
	if got := content("a/1"); got != "old" {
		t.Errorf("after a failure the file has %q", got)
	}
	if err := d.Write("a/1", 1, writes("new")); err != nil || content("a/1") != "new" {
		t.Error(err, content("a/1"))
	}
	var full *DiskError
	if err := d.Write("a/1", 1<<62, writes("large")); !errors.As(err, &full) || content("a/1") != "new" {
		t.Error(err)
	}
	if err := errors.Join(d.Remove("b/2"), d.Remove("b/2")); err != nil {
		t.Error(err)
	}
	files, err := d.Files()
	if want := []string{"a/0", "a/1"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("%v: %v, want %v", err, files, want)
	}
	for _, gone := range []string{"b", "c"} {
		if _, err := os.Stat(filepath.Join(a.Path("one", "made"), gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder %s is left: %v", gone, err)
		}
	}
}

// TestDerivedPaths writes nothing outside the folder or hidden in it.
func TestDerivedPaths(t *testing.T) {
	t.Parallel()
	_, d := derivedIn(t)
	defer d.Close()
	for _, file := range []string{"x", "../x/y", "a/../y", ".a/y", "a/.y", "a/b/c", "/a/b", ""} {
		if err := d.Write(file, 1, writes("")); err == nil {
			t.Errorf("%q was written", file)
		}
	}
}

// TestDerivedAfterKill removes what a killed process was writing, and nothing else.
func TestDerivedAfterKill(t *testing.T) {
	t.Parallel()
	a, d := derivedIn(t)
	if err := d.Write("a/1", 1, writes("old")); err != nil {
		t.Fatal(err)
	}
	d.Close()
	folder := a.Path("one", "made")
	for _, file := range []string{"a/.1.part", "b/.2.part", "a/mine.part", "a/.hidden", "beside"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, file), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := a.OpenDerived(t.Context(), "one", "made")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var left []string
	err = filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		name, _ := filepath.Rel(folder, path)
		left = append(left, filepath.ToSlash(name))
		return err
	})
	want := []string{".", ".lock", "a", "a/.hidden", "a/1", "a/mine.part", "beside"}
	if err != nil || !slices.Equal(left, want) {
		t.Errorf("%v: left are %v, want %v", err, left, want)
	}
}

// TestDerivedLock opens the same folder twice: the second waits for the first.
func TestDerivedLock(t *testing.T) {
	t.Parallel()
	a, d := derivedIn(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*lockPause)
	defer cancel()
	if _, err := a.OpenDerived(ctx, "one", "made"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the folder was opened twice: %v", err)
	}
	opened := make(chan error)
	go func() {
		second, err := a.OpenDerived(t.Context(), "one", "made")
		if err == nil {
			second.Close()
		}
		opened <- err
	}()
	d.Close()
	select {
	case err := <-opened:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the second still waits")
	}
	if _, err := a.OpenDerived(t.Context(), "other", "made"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

// TestColumnNames collects the columns of a manifest that has them in pages.
func TestColumnNames(t *testing.T) {
	t.Parallel()
	a, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := Manifest{BulkID: "b"}
	for i, columns := range [][]string{{"a", "b"}, {"b", "c"}, {"a", "b"}, {}} {
		f := File{Name: string('a'+rune(i)) + ".gz", Columns: columns, ColumnsSHA256: columnsSum(columns)}
		m.Files = append(m.Files, f)
	}
	if err := a.WriteManifest(t.Context(), "one", m); err != nil {
		t.Fatal(err)
	}
	root, err := a.folder("one", true)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, paged := range []bool{false, true} {
		if paged { // as a manifest of many files is written
			if m, err = writePages(root, m.sharingColumns()); err != nil {
				t.Fatal(err)
			}
			raw, err := indent(m)
			if err != nil || replace(root, ManifestName, raw) != nil {
				t.Fatal(err)
			}
		}
		read, err := a.Manifest("one")
		if err != nil {
			t.Fatal(err)
		}
		names, err := a.ColumnNames("one", read)
		if want := []string{"a", "b", "c"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("paged %v: %v, %v, want %v", paged, err, names, want)
		}
	}
}
