package archive

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fullstory-export-mcp/rows"
)

// replacing stores the file old, if set, and returns a file that replaces it.
func replacing(t *testing.T, a *Archive, old []byte) Wanted {
	t.Helper()
	w := wanted()
	w.Replace = true
	if err := os.MkdirAll(filepath.Join(a.Dir(), w.Folder), 0o700); err != nil {
		t.Fatal(err)
	}
	if old != nil {
		if err := os.WriteFile(a.Path(w.Folder, w.Name), old, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// holds checks the content of a file of the folder.
func holds(t *testing.T, a *Archive, w Wanted, name string, want []byte) {
	t.Helper()
	if on, err := os.ReadFile(a.Path(w.Folder, name)); err != nil || string(on) != string(want) {
		t.Errorf("%s has %d bytes, want %d: %v", name, len(on), len(want), err)
	}
}

// asides lists the superseded files, without their notes.
func asides(t *testing.T, a *Archive, w Wanted) []string {
	t.Helper()
	found, err := filepath.Glob(a.Path(w.Folder, superseded+"/*.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestReplace replaces a stored file while a goroutine checks that its name exists.
func TestReplace(t *testing.T) {
	a, old, content := open(t), zip(t, rowsOf(3)), zip(t, rowsOf(5))
	w := replacing(t, a, old)
	stop := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			if _, err := os.Stat(a.Path(w.Folder, w.Name)); err != nil {
				t.Errorf("the name was missing: %v", err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	got, was, err := a.Bring(t.Context(), w, whole(content))
	close(stop)
	looking.Wait()
	if err != nil || got.Rows != 5 {
		t.Fatalf("got %+v, %v", got, err)
	}
	holds(t, a, w, w.Name, content)
	if !strings.HasPrefix(was, ".superseded/") || !strings.HasSuffix(was, "_"+w.Name) {
		t.Fatalf("the old one is at %q", was)
	}
	holds(t, a, w, was, old)

	// A second call, as after a crash before the caller recorded the first.
	if _, again, err := a.Bring(t.Context(), w, whole(content)); err != nil || again != was {
		t.Errorf("repeated: %q instead of %q, %v", again, was, err)
	}
	if d, err := a.Compare(t.Context(), w.Folder, was, got); err != nil || d.Added != 2 || d.Gone != 0 {
		t.Errorf("compared: %+v, %v", d, err)
	}
	if left := asides(t, a, w); len(left) != 1 {
		t.Errorf("set aside: %q", left)
	}
}

// TestReplaceAfterCrash brings a file after a crash between the second name of the old
// file and the rename.
func TestReplaceAfterCrash(t *testing.T) {
	a, old, content := open(t), zip(t, rowsOf(3)), zip(t, rowsOf(5))
	w := replacing(t, a, old)
	root, err := a.folder(w.Folder, true)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	crashed, err := supersede(root, w.Name, sumOf(old), succession{SHA256: "another", At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, a, w, w.Name, old)
	if _, was, err := a.Bring(t.Context(), w, whole(content)); err != nil || was != crashed {
		t.Errorf("the old one is at %q, not %q: %v", was, crashed, err)
	}
	holds(t, a, w, w.Name, content)
	holds(t, a, w, crashed, old)
	if left := asides(t, a, w); len(left) != 1 {
		t.Errorf("set aside: %q", left)
	}
}

// TestReplaceBySame brings content that is stored already, which replaces nothing,
// although an older file of the same content was set aside.
func TestReplaceBySame(t *testing.T) {
	a, content := open(t), zip(t, rowsOf(5))
	w := replacing(t, a, content)
	if _, err := a.SetAside(w.Folder, w.Name, time.Now()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first has no file to replace
		if _, was, err := a.Bring(t.Context(), w, whole(content)); err != nil || was != "" {
			t.Errorf("the old one is at %q, %v", was, err)
		}
	}
	holds(t, a, w, w.Name, content)
}

func TestNoReplace(t *testing.T) {
	a, old := open(t), zip(t, rowsOf(3))
	w := replacing(t, a, old)
	w.Replace = false
	var conflict *ConflictError
	if _, _, err := a.Bring(t.Context(), w, whole(zip(t, rowsOf(5)))); !errors.As(err, &conflict) {
		t.Errorf("got %v", err)
	}
	holds(t, a, w, w.Name, old)
}

// TestReplaceOnlyBySound checks that a damaged file does not replace the old one.
func TestReplaceOnlyBySound(t *testing.T) {
	a, old := open(t), zip(t, rowsOf(3))
	w := replacing(t, a, old)
	w.KeepDamaged = true
	var content *rows.Error
	_, was, err := a.Bring(t.Context(), w, whole(zip(t, "{")))
	if !errors.As(err, &content) || content.Kept == "" || was != "" {
		t.Errorf("got %v, %q", err, was)
	}
	holds(t, a, w, w.Name, old)
}

// TestSupersededWithoutLinks copies a file, as on file systems without hard links.
func TestSupersededWithoutLinks(t *testing.T) {
	a, old := open(t), zip(t, rowsOf(3))
	w := replacing(t, a, old)
	root, err := a.folder(w.Folder, true)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.Mkdir(superseded, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(root, w.Name, superseded+"/x"); err != nil {
		t.Fatal(err)
	}
	holds(t, a, w, superseded+"/x", old)
	if err := copyFile(root, "missing", superseded+"/y"); err == nil {
		t.Error("a missing file was copied")
	}
	if left, _ := filepath.Glob(a.Path(w.Folder, superseded+"/*.part")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestSetAsideBefore finds a file that an earlier version of the program set aside.
func TestSetAsideBefore(t *testing.T) {
	a, w := open(t), Wanted{Folder: "x", Name: "f.gz"}
	const latest = "superseded/20260101T000000.000000Z_f.gz"
	for _, path := range []string{
		latest, ".superseded/20250101T000000.000000Z_f.gz", ".superseded/20270101T000000.000000Z_other_f.gz",
	} {
		path = a.Path(w.Folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := a.SetAside(w.Folder, w.Name, time.Now()); err != nil || got != latest {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := a.SetAside(w.Folder, "none.gz", time.Now()); err != nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
}
