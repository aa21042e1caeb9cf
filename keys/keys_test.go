package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"

	"fullstory-export-mcp/client"
)

// secret is the key of most tests.
const secret = "na1.c4n4ry/KEY"

// store returns a store with a keychain in memory, which is shared by the process: tests with
// one do not run at the same time.
func store(t *testing.T, o Options) *Store {
	t.Helper()
	keyring.MockInit()
	o.Folder = filepath.Join(t.TempDir(), "above", "config")
	o.Getenv = func(name string) string { return "unix:path=/mock" } // of the D-Bus session
	return New(o)
}

// TestKeychain keeps keys of two accounts in the keychain, replaces and removes them.
func TestKeychain(t *testing.T) {
	s := store(t, Options{})
	if err := s.writeFile("", "na1.old/KEY"); err != nil {
		t.Fatal(err)
	}
	for _, account := range []string{"", "emea", ""} {
		kept, err := s.Keep(account, client.Key(secret+"-"+account))
		if err != nil || kept != (Kept{}) {
			t.Fatalf("%q is kept in %v, %v", account, kept, err)
		}
	}
	if _, err := s.FromFile(""); !errors.Is(err, ErrNone) {
		t.Errorf("the file of before is left: %v", err)
	}
	for _, account := range []string{"", "emea"} {
		if key, err := s.FromKeychain(account); err != nil || string(key) != secret+"-"+account {
			t.Errorf("%q has the key %q, %v", account, string(key), err)
		}
	}
	if from, err := s.Remove(""); err != nil || len(from) != 1 || from[0].String() != "the system's keychain" {
		t.Errorf("removed from %v, %v", from, err)
	}
	if from, err := s.Remove(""); err != nil || len(from) != 0 {
		t.Errorf("removed again from %v, %v", from, err)
	}
	if _, err := s.FromKeychain(""); !errors.Is(err, ErrNone) {
		t.Errorf("a removed key is still there: %v", err)
	}
	if _, err := s.FromKeychain("emea"); err != nil {
		t.Errorf("the key of another account is gone: %v", err)
	}
	s.NoKeychain = true
	if _, err := s.FromKeychain("emea"); !errors.Is(err, ErrNone) {
		t.Errorf("the keychain is used although it is switched off: %v", err)
	}
}

// TestFile keeps keys in files, which are for their owner alone.
func TestFile(t *testing.T) {
	s := store(t, Options{NoKeychain: true})
	for _, key := range []string{secret + "1", secret} {
		kept, err := s.Keep("", client.Key(key))
		if err != nil || kept != (Kept{Path: s.Path("")}) {
			t.Fatalf("kept in %v, %v", kept, err)
		}
		if got, err := s.FromFile(""); err != nil || string(got) != key {
			t.Errorf("got %q, %v", string(got), err)
		}
	}
	if _, err := s.FromFile("emea"); !errors.Is(err, ErrNone) {
		t.Errorf("another account: %v", err)
	}
	if entries, err := os.ReadDir(s.Folder); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	if err := os.WriteFile(s.Path("")+".new", nil, 0o644); err != nil { // left by a crash
		t.Fatal(err)
	}
	if _, err := s.Keep("", secret); err != nil {
		t.Fatal(err)
	}
	if from, err := s.Remove(""); err != nil || len(from) != 1 || from[0].Path != s.Path("") {
		t.Errorf("removed from %v, %v", from, err)
	}
}

// TestFileModes looks at the permissions of what login creates, and has none that others can
// read or change used.
func TestFileModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has access lists instead, which %AppData% inherits")
	}
	s := store(t, Options{NoKeychain: true})
	if _, err := s.Keep("", secret); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		s.Path(""): 0o600, s.Folder: 0o700 | os.ModeDir, filepath.Dir(s.Folder): 0o700 | os.ModeDir,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v, want %v, %v", path, info.Mode(), want, err)
		}
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o602} {
		if err := os.Chmod(s.Path(""), mode); err != nil {
			t.Fatal(err)
		}
		if key, err := s.FromFile(""); err == nil || !strings.Contains(err.Error(), "other users") || key != "" {
			t.Errorf("a file of the mode %v is used: %v", mode, err)
		}
	}
	if _, err := s.Keep("", secret); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FromFile(""); err != nil {
		t.Errorf("login does not replace a file that others can read: %v", err)
	}
}

// TestUnusableFiles reads files without a key, and writes to folders that cannot be used.
func TestUnusableFiles(t *testing.T) {
	s := store(t, Options{NoKeychain: true})
	if err := s.writeFile("", " "); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FromFile(""); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty file: %v", err)
	}
	if err := os.WriteFile(s.Path(""), make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FromFile(""); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a large file: %v", err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(s.Folder, 0o777); err != nil {
			t.Fatal(err)
		}
		if kept, err := s.Keep("", secret); err == nil {
			t.Errorf("a folder of everybody is used: %v", kept)
		}
	}
	s.Folder = ""
	if kept, err := s.Keep("", secret); err == nil || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("without a folder: %v, %v", kept, err)
	}
	if _, err := s.FromFile(""); !errors.Is(err, ErrNone) {
		t.Errorf("without a folder: %v", err)
	}
}

// TestBrokenKeychain keeps a key in a file if the keychain fails or is not there.
func TestBrokenKeychain(t *testing.T) {
	for _, test := range []struct {
		err     error
		because string
		missing bool
	}{
		{keyring.ErrUnsupportedPlatform, "this system has no keychain that can be used", true},
		{errors.New("exit status 36 \x1b[31m"), "the system's keychain cannot be used: exit status 36", false},
	} {
		s := store(t, Options{})
		keyring.MockInitWithError(test.err)
		kept, err := s.Keep("", secret)
		if err != nil || kept.Path != s.Path("") || !strings.HasPrefix(kept.Because, test.because) ||
			strings.Contains(kept.Because, "\x1b") {
			t.Errorf("%v: kept in %+v, %v", test.err, kept, err)
		}
		if _, err := s.FromKeychain(""); errors.Is(err, ErrNone) != test.missing || err == nil {
			t.Errorf("%v: reading fails with %v", test.err, err)
		}
		from, err := s.Remove("")
		if len(from) != 1 || (err == nil) != test.missing {
			t.Errorf("%v: removed from %v, %v", test.err, from, err)
		}
	}
}

// TestNoBus starts no D-Bus session where there is none.
func TestNoBus(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has D-Bus")
	}
	if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
		t.Skip("this user has a D-Bus session")
	}
	s := store(t, Options{})
	for _, address := range []string{"", "autolaunch:"} {
		s.Getenv = func(string) string { return address }
		kept, err := s.Keep("", secret)
		if err != nil || kept.Because != "this system has no keychain (no D-Bus session)" {
			t.Errorf("kept in %+v, %v", kept, err)
		}
	}
}

// TestSilentKeychain asks a keychain that answers only after the limit: for instance because
// it shows a window. The answer is that of the next call.
func TestSilentKeychain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		s := New(Options{Getenv: func(string) string { return "unix:path=/mock" }, Done: done})
		typed, asked := make(chan string), 0
		use := func() (string, error) { asked++; return <-typed, nil }
		for _, limit := range []time.Duration{ReadLimit, silentLimit, silentLimit} {
			began := time.Now()
			_, err := s.call("read", ReadLimit, use)
			if e, ok := errors.AsType[*KeychainError](err); !ok || !e.Silent || time.Since(began) != limit ||
				!strings.Contains(e.Reason, "did not answer within "+limit.String()) {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		}
		go func() { typed <- secret }()
		if key, err := s.call("read", ReadLimit, use); err != nil || key != secret || asked != 1 {
			t.Errorf("got %q, %v after %d questions", key, err, asked)
		}
		_, err := s.call("panic", ReadLimit, func() (string, error) { panic("not a path") })
		if err == nil || !strings.Contains(err.Error(), "its answer cannot be read") {
			t.Errorf("a panic of the module: %v", err)
		}
		time.AfterFunc(time.Second, func() { close(done) })
		_, err = s.call("read", ReadLimit, use)
		if e, ok := errors.AsType[*KeychainError](err); !ok || !e.Silent || !strings.Contains(e.Reason, "interrupted") {
			t.Errorf("at the end of the program: %v", err)
		}
		typed <- ""
	})
}

// TestFolder names the folder on each system.
func TestFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the paths are those of Unix")
	}
	for _, test := range []struct{ goos, home, variable, want string }{
		{"linux", "/home/a", "", "/home/a/.config/fullstory-export-mcp"},
		{"linux", "/home/a", "XDG_CONFIG_HOME=/c", "/c/fullstory-export-mcp"},
		{"linux", "/home/a", "XDG_CONFIG_HOME=relative", "/home/a/.config/fullstory-export-mcp"},
		{"linux", "", "", ""},
		{"darwin", "/Users/a", "XDG_CONFIG_HOME=/c", "/Users/a/Library/Application Support/fullstory-export-mcp"},
		{"windows", "/a", "AppData=/a/Roaming", "/a/Roaming/fullstory-export-mcp"},
		{"windows", "/a", "", "/a/AppData/Roaming/fullstory-export-mcp"},
	} {
		getenv := func(name string) string {
			value, _ := strings.CutPrefix(test.variable, name+"=")
			if value == test.variable {
				return ""
			}
			return value
		}
		if got := Folder(test.goos, test.home, getenv); got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
	}
}
