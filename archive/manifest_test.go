package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestManifest(t *testing.T) {
	a := open(t)
	if _, err := a.Manifest("x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no manifest: got %v", err)
	}
	if _, err := os.Stat(a.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made the folder: %v", err)
	}
	err := a.UpdateManifest(t.Context(), "x", func(m *Manifest) error {
		m.Account, m.OperationID, m.Request = "ORG", "op=", json.RawMessage(`{"segment_id":"everyone"}`)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.Manifest("x")
	if err != nil || m.Version != 2 || m.Account != "ORG" || len(m.Files) != 0 || m.Files == nil {
		t.Errorf("got %+v, %v", m, err)
	}
	info, err := os.Stat(filepath.Join(a.Dir(), "x"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v", info, err)
	}
	rejected := errors.New("no")
	err = a.UpdateManifest(t.Context(), "x", func(m *Manifest) error { m.Account = "OTHER"; return rejected })
	if err != rejected {
		t.Errorf("got %v", err)
	}
	if m, _ := a.Manifest("x"); m.Account != "ORG" {
		t.Error("a change that failed was written")
	}
}

func TestManifestUpdatesAreSerialized(t *testing.T) {
	a := open(t)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			other, err := Open(a.Dir()) // as another process opens it
			if err != nil {
				t.Error(err)
				return
			}
			err = other.UpdateManifest(t.Context(), "x", func(m *Manifest) error {
				m.put(File{Name: fmt.Sprint(i)})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if m, err := a.Manifest("x"); err != nil || len(m.Files) != 40 {
		t.Errorf("%d files, %v", len(m.Files), err)
	}
}

func TestUnreadableManifestStays(t *testing.T) {
	for content, says := range map[string]string{
		`{"version":99}`: "newer version", `{"version`: "damaged", ``: "damaged",
	} {
		a := open(t)
		path := filepath.Join(a.Dir(), "x", ManifestName)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := a.UpdateManifest(t.Context(), "x", func(*Manifest) error { return nil })
		if on, _ := os.ReadFile(path); err == nil || !strings.Contains(err.Error(), says) || string(on) != content {
			t.Errorf("%q: got %v, and now %q", content, err, on)
		}
	}
}

func TestNamesStayInside(t *testing.T) {
	a := open(t)
	for _, name := range []string{"", ".", "..", "../x", "/etc", "a/b", `a\b`, "C:", ".hidden"} {
		if err := a.UpdateManifest(t.Context(), name, func(*Manifest) error { return nil }); err == nil {
			t.Errorf("the folder %q was made", name)
		}
	}
	outside := t.TempDir()
	if err := os.MkdirAll(a.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(a.Dir(), "link")); err != nil {
		t.Fatal(err)
	}
	var disk *DiskError
	if err := a.UpdateManifest(t.Context(), "link", func(*Manifest) error { return nil }); !errors.As(err, &disk) {
		t.Errorf("a link out of the archive: got %v", err)
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("written outside: %v", entries)
	}
}

func TestWritable(t *testing.T) {
	a := open(t)
	if err := a.Writable(); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(a.Dir())); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
	if err := os.WriteFile(a.Dir(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var disk *DiskError
	if err := a.Writable(); !errors.As(err, &disk) {
		t.Errorf("a file in its place: got %v", err)
	}
	if os.Geteuid() != 0 {
		readOnly := filepath.Join(t.TempDir(), "x")
		if err := os.Mkdir(readOnly, 0o500); err != nil {
			t.Fatal(err)
		}
		b, err := Open(readOnly)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Writable(); !errors.As(err, &disk) || !strings.Contains(err.Error(), "Permission is missing") {
			t.Errorf("a read-only folder: got %v", err)
		}
	}
}

// TestFullDisk fills a small file system, which only root on Linux can mount.
func TestFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs root on Linux to mount a small tmpfs")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a tmpfs here: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a.reserve = 0
	content := zip(t, rowsOf(5000))
	var disk *DiskError
	for _, etag := range []string{"", tag(content)} { // with a tag the part could be continued
		_, _, err = a.BringOnce(t.Context(), wanted(), func(_ context.Context, p *Part) (Loaded, error) {
			if err := p.Begin(etag, -1); err != nil { // no length, so that the disk is full midway
				return Loaded{}, err
			}
			_, err := p.Write(content)
			return Loaded{}, err
		})
		if !errors.As(err, &disk) || !errors.Is(err, syscall.ENOSPC) ||
			!strings.Contains(err.Error(), "No space is left in "+dir) {
			t.Errorf("got %v", err)
		}
		if left := leftovers(t, a, wanted()); len(left) > 0 {
			t.Errorf("with the tag %s: left behind: %q", etag, left)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 128<<10), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	if err := a.Writable(); !errors.As(err, &disk) {
		t.Errorf("on a full disk: got %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		start, end time.Time
		want       string
	}{
		{from, until, "20261001T000000Z_20261002T000000Z.csv.gz"},
		{time.Time{}, time.Time{}, "all.csv.gz"},
		{time.Time{}, until, "open_20261002T000000Z.csv.gz"},
		{from, time.Time{}, "20261001T000000Z_open.csv.gz"},
		{
			from.Add(time.Millisecond), from.Add(1500 * time.Millisecond).In(time.FixedZone("", 7200)),
			"20261001T000000_001Z_20261001T000001_5Z.csv.gz",
		},
	} {
		if got := FileName(test.start, test.end, ".csv.gz"); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	const id = "U0VBUkNIX0VYUE9SVDpleGFtcGxl"
	if got := OperationFolder(id); len(got) != 16 || got != OperationFolder(id) || got == OperationFolder("x") {
		t.Errorf("folder %s", got)
	}
}

// TestLockedManifest ends a wait for a manifest that another process has locked.
func TestLockedManifest(t *testing.T) {
	a := open(t)
	write(t, a, bulkManifest(1))
	root, err := a.folder("x", false)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	unlock, err := lock(t.Context(), root, ".lock")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.WriteManifest(ctx, "x", bulkManifest(2)) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	unlock()
	if err := a.WriteManifest(ctx, "x", bulkManifest(2)); err != nil {
		t.Errorf("with a free lock, a context that has ended does not matter: %v", err)
	}
}
