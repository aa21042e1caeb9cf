//go:build unix

package local

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// opens are all functions that open a file of a folder.
var opens = map[string]func(dir, name string) error{
	"Open":   func(dir, name string) error { return closed(Open(filepath.Join(dir, name))) },
	"Create": func(dir, name string) error { return closed(Create(filepath.Join(dir, name), 0)) },
	"OpenIn": func(dir, name string) error {
		return inside(dir, func(r *os.Root) error { return closed(OpenIn(r, name)) })
	},
	"CreateIn": func(dir, name string) error {
		return inside(dir, func(r *os.Root) error { return closed(CreateIn(r, name, 0)) })
	},
	"ReadFile":   func(dir, name string) error { _, err := ReadFile(filepath.Join(dir, name), 10); return err },
	"ReadSecret": func(dir, name string) error { _, err := ReadSecret(filepath.Join(dir, name), 10); return err },
	"ReadIn": func(dir, name string) error {
		return inside(dir, func(r *os.Root) error { _, err := ReadIn(r, name, 10); return err })
	},
}

func closed(f *os.File, err error) error {
	if err == nil {
		f.Close()
	}
	return err
}

func inside(dir string, open func(*os.Root) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return open(root)
}

// returns calls open, which must return: it would block for good otherwise.
func returns(t *testing.T, what string, open func() error) error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- open() }()
	select {
	case err := <-result:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("%s does not return", what)
		return nil
	}
}

// TestNotRegular opens a named pipe, a folder, a socket, a device and links to them.
func TestNotRegular(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	names := []string{"pipe", "folder", "socket"}
	for _, name := range names {
		if err := os.Symlink(name, filepath.Join(dir, "to-"+name)); err != nil {
			t.Fatal(err)
		}
		names = append(names, "to-"+name)
	}
	for to, name := range map[string]string{"/dev/zero": "to-device", "nothing": "to-nothing", "to-self": "to-self"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	for how, open := range opens {
		for _, name := range names {
			if err := returns(t, how+" of "+name, func() error { return open(dir, name) }); err == nil {
				t.Errorf("%s opened %s", how, name)
			}
		}
	}
}

// TestLinks opens a regular file by a link: only a path that a user gave may be one.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for how, open := range opens {
		if err := open(dir, "file"); err != nil {
			t.Errorf("%s of a file: %v", how, err)
		}
		if err := open(dir, "link"); (err == nil) == strings.HasSuffix(how, "In") {
			t.Errorf("%s of a link: %v", how, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 11), 0o600); err != nil {
		t.Fatal(err)
	}
	var large *SizeError
	if _, err := ReadFile(filepath.Join(dir, "large"), 10); !errors.As(err, &large) || large.Size != 11 {
		t.Errorf("11 bytes with a limit of 10: %v", err)
	}
}

// TestForeignSecret gives a secret a second name, or permissions for others.
func TestForeignSecret(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"":            func(string) error { return nil },
		"second name": func(path string) error { return os.Link(path, path+"2") },
		"other users": func(path string) error { return os.Chmod(path, 0o640) },
		"belongs to another user": func(path string) error {
			if os.Geteuid() != 0 {
				return errors.ErrUnsupported
			}
			return os.Chown(path, 12345, -1)
		},
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := change(path); errors.Is(err, errors.ErrUnsupported) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		_, err := ReadSecret(path, 10)
		if (err == nil) != (name == "") || err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckFolder opens folders that others may write in, with and without a sticky bit.
func TestCheckFolder(t *testing.T) {
	for mode, open := range map[fs.FileMode]bool{
		0o700: false, 0o775: false, 0o777: true, 0o702: true, 0o777 | fs.ModeSticky: false, 0o777 | fs.ModeSetgid: true,
	} {
		dir := filepath.Join(t.TempDir(), "x")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		err := inside(dir, func(r *os.Root) error { return CheckFolder(r, dir) })
		if (err != nil) != open || err != nil && !strings.Contains(err.Error(), "chmod o-w "+dir) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

// TestUmask creates files and folders with every umask that may be set, in a process of
// its own.
func TestUmask(t *testing.T) {
	dir := os.Getenv("FULLSTORY_EXPORT_TEST_UMASK")
	if dir == "" {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUmask$", "-test.v")
		c.Env = append(os.Environ(), "FULLSTORY_EXPORT_TEST_UMASK="+t.TempDir())
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for i, umask := range []int{0, 0o022, 0o077, 0o177, 0o277, 0o777} {
		inner := filepath.Join(dir, string(rune('a'+i)), "b")
		syscall.Umask(umask)
		err := errors.Join(MkdirAll(inner), closed(Create(filepath.Join(inner, "f"), 0)))
		err = errors.Join(err, inside(inner, func(r *os.Root) error {
			return errors.Join(MkdirIn(r, "c"), closed(CreateIn(r, "g", 0)))
		}))
		if err != nil {
			t.Errorf("umask %04o: %v", umask, err)
		}
		for name, want := range map[string]fs.FileMode{"": 0o700, "..": 0o700, "c": 0o700, "f": 0o600, "g": 0o600} {
			if info, err := os.Stat(filepath.Join(inner, name)); err != nil || info.Mode().Perm() != want {
				t.Errorf("umask %04o: %q has the mode %v, want %v, %v", umask, name, info.Mode(), want, err)
			}
		}
	}
	syscall.Umask(0o022)
}

func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"a-b_c.gz": "a-b_c.gz", "": `""`, "a b": "a b", "\x1b[31mred": `"\x1b[31mred"`, "a\nb": `"a\nb"`,
		"\u202egz.exe": `"\u202egz.exe"`, "é": `"\u00e9"`, "\u3164": `"\u3164"`, "\xff": `"\xff"`,
	} {
		if got := Shown(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	if got := Shown(strings.Repeat("x", 1<<20)); len(got) > 2000 {
		t.Errorf("a name of 1 MB is shown with %d bytes", len(got))
	}
}
