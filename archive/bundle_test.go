package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// bundled returns the bundle of three files and their manifest, and its folder.
func bundled(t *testing.T) (b *Bundle, files []File, folder string) {
	t.Helper()
	a := open(t)
	folderOf(t, a, "", zip(t, rowsOf(3)), zip(t, rowsOf(2000)), zip(t, rowsOf(0)))
	m, err := a.Manifest("x")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := a.Documents("x", m)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = NewBundle(documents, time.Unix(1_790_000_000, 5), m.Files, a.Opener("x")); err != nil {
		t.Fatal(err)
	}
	return b, m.Files, filepath.Join(a.dir, "x")
}

// TestBundle reads a bundle in every way that a reader can, and unpacks it.
func TestBundle(t *testing.T) {
	b, files, folder := bundled(t)
	defer b.Close()
	whole, err := io.ReadAll(b)
	if err != nil || int64(len(whole)) != b.Size() {
		t.Fatalf("%d bytes of %d were read, %v", len(whole), b.Size(), err)
	}
	b.Seek(0, io.SeekStart)
	if err := iotest.TestReader(b, whole); err != nil {
		t.Error(err)
	}
	r := tar.NewReader(bytes.NewReader(whole))
	for i := -1; i < len(files); i++ {
		name := ManifestName
		if i >= 0 {
			name = files[i].Name
		}
		h, err := r.Next()
		if err != nil || h.Name != name || h.Mode != 0o600 {
			t.Fatalf("member %d is %+v, %v, want %s", i, h, err, name)
		}
		content, err := io.ReadAll(r)
		want, wrong := os.ReadFile(filepath.Join(folder, name))
		if err != nil || wrong != nil || i >= 0 && !bytes.Equal(content, want) {
			t.Errorf("%s has %d bytes, %v, %v, want %d", name, len(content), err, wrong, len(want))
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("it does not end: %v", err)
	}
}

// TestBundleOfChangedFiles changes a file after the bundle was made: it does not look whole.
func TestBundleOfChangedFiles(t *testing.T) {
	for what, change := range map[string]func(path string) error{
		"removed":   os.Remove,
		"shorter":   func(path string) error { return os.Truncate(path, 10) },
		"longer":    func(path string) error { return appendTo(path, 'x') },
		"rewritten": overwrite,
		"a link":    func(path string) error { return linkInstead(path) },
		"a folder":  func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		b, files, folder := bundled(t)
		if err := change(filepath.Join(folder, files[1].Name)); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, b)
		if last := b.members[2].end() - padded(files[1].Bytes); err == nil || n > last+files[1].Bytes-1 {
			t.Errorf("%s: %d bytes were read, %v", what, n, err)
		}
		b.Close()
	}
}

func appendTo(path string, c byte) error {
	raw, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path, append(raw, c), 0o600))
}

// overwrite changes the last byte of a file, and not its size.
func overwrite(path string) error {
	raw, err := os.ReadFile(path)
	raw[len(raw)-1]++
	return errors.Join(err, os.WriteFile(path, raw, 0o600))
}

// linkInstead puts a link to a copy of a file in its place.
func linkInstead(path string) error {
	other := filepath.Join(filepath.Dir(filepath.Dir(path)), "copy")
	return errors.Join(os.Rename(path, other), os.Symlink(other, path))
}

// TestOpener opens names that lead out of the folder, and asks whether it holds files.
func TestOpener(t *testing.T) {
	_, files, folder := bundled(t)
	a, err := Open(filepath.Dir(folder))
	if err != nil {
		t.Fatal(err)
	}
	holds, done := a.Holds("x")
	defer done()
	for _, name := range []string{"../x/" + files[0].Name, "", ".", "..", "/etc/passwd", ".lock", `..\x`, "x\x00"} {
		f := files[0]
		f.Name = name
		if c, err := a.Opener("x")(f); err == nil {
			c.Close()
			t.Errorf("%q was opened", name)
		}
		if holds(f) {
			t.Errorf("%q is said to be there", name)
		}
	}
	if _, err := a.Opener("../" + filepath.Base(a.dir) + "/x")(files[0]); err == nil {
		t.Error("a folder outside was opened")
	}
	if !holds(files[0]) {
		t.Error("the file is said to be missing")
	}
	if err := linkInstead(filepath.Join(folder, files[0].Name)); err != nil {
		t.Fatal(err)
	}
	if holds(files[0]) {
		t.Error("a link counts as the file")
	}
}

// TestBundleOfLargeFiles has sizes and names that need longer headers.
func TestBundleOfLargeFiles(t *testing.T) {
	large := File{Name: strings.Repeat("n", 200), Bytes: 9 << 30}
	b, err := NewBundle(nil, time.Time{}, []File{large, {Name: "small"}}, func(File) (io.ReadSeekCloser, error) {
		return nil, errors.New("it is not read")
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := tar.NewReader(b).Next()
	if err != nil || h.Name != large.Name || h.Size != large.Bytes {
		t.Errorf("the header is %+v, %v", h, err)
	}
	if b.Size() < large.Bytes+5*blockSize {
		t.Errorf("the size is %d", b.Size())
	}
}

// TestBundleOfPages takes the pages of a manifest that is too large for one file.
func TestBundleOfPages(t *testing.T) {
	a := open(t)
	m := pagedManifest(100)
	write(t, a, m)
	documents, err := a.Documents("x", m)
	if err != nil || len(documents) < 2 || documents[0].Name != ManifestName ||
		!strings.HasPrefix(documents[1].Name, PagesFolder+"/") {
		t.Errorf("there are %d documents, %v", len(documents), err)
	}
}
