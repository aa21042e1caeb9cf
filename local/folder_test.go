//go:build unix

package local

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestNotFolder opens and lists what is not a folder: no call waits for a named pipe.
func TestNotFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	names := []string{"pipe", "file", "socket"}
	for link, to := range map[string]string{"to-pipe": "pipe", "to-device": "/dev/zero"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		names = append(names, link)
	}
	calls := map[string]func(name string) error{
		"OpenFolder": func(name string) error { _, err := OpenFolder(filepath.Join(dir, name)); return err },
		"List":       func(name string) error { _, err := List(filepath.Join(dir, name)); return err },
		"CheckPlace": func(name string) error { return CheckPlace(filepath.Join(dir, name)) },
		"OpenFolderIn": func(name string) error {
			return inside(dir, func(r *os.Root) error { _, err := OpenFolderIn(r, name); return err })
		},
		"ListIn": func(name string) error {
			return inside(dir, func(r *os.Root) error { return ListIn(r, name, func(fs.DirEntry) {}) })
		},
	}
	for call, open := range calls {
		for _, name := range names {
			err := returns(t, call+" of "+name, func() error { return open(name) })
			outside := name == "to-device" && (call == "OpenFolderIn" || call == "ListIn")
			if err == nil || !outside && !errors.Is(err, ErrNotFolder) {
				t.Errorf("%s of %s: %v", call, name, err)
			}
		}
	}
}

// TestReplacedFolder opens a folder that becomes a named pipe after the look at it.
func TestReplacedFolder(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	err := returns(t, "the open", func() error { _, err := os.OpenRoot(asFolder(pipe)); return err })
	if !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v", err)
	}
}

// TestList lists a folder of more entries than are read at once.
func TestList(t *testing.T) {
	dir := t.TempDir()
	for i := range listStep + 10 {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i%26))+string(rune(0x4e00+i))), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := List(dir)
	if err != nil || len(listed) != listStep+10 {
		t.Fatalf("%d entries, %v", len(listed), err)
	}
	for i := range listed[1:] {
		if listed[i].Name() >= listed[i+1].Name() {
			t.Fatalf("%q is before %q", listed[i].Name(), listed[i+1].Name())
		}
	}
}

// TestCheckFile checks files of different modes, and what is not a file.
func TestCheckFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := CheckFile(path); err != nil {
		t.Errorf("without a file: %v", err)
	}
	if err := CheckFile(dir); !errors.Is(err, ErrNotRegular) {
		t.Errorf("of a folder: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, open := range map[fs.FileMode]bool{0o600: false, 0o664: false, 0o666: true, 0o602: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var e *OpenError
		if err := CheckFile(path); errors.As(err, &e) != open || open == (err == nil) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}
