package hosts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// read returns a file, or fails the test.
func read(t *testing.T, path string) *File {
	t.Helper()
	f, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// put writes a file with a mode.
func put(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// names returns what a folder has.
func names(t *testing.T, folder string) string {
	t.Helper()
	listed, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range listed {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// TestWrite replaces a file whose mode stays, and keeps what it was beside it.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mcp.json")
	put(t, path, "{}", 0o640)
	f := read(t, path)
	if err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "new", f.Backup(): "{}"} {
		content, err := os.ReadFile(name)
		info, statErr := os.Stat(name)
		if err != nil || statErr != nil || string(content) != want {
			t.Fatalf("%s is %q, %v", name, content, err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
	}
	if got := names(t, dir); got != "mcp.json mcp.json"+backupEnd {
		t.Errorf("there are %s", got)
	}
}

// TestWriteNew creates a file and its folder, for their owner alone, without a backup.
func TestWriteNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f := read(t, filepath.Join(dir, "mcp.json"))
	if f.Exists || f.Content != nil {
		t.Fatalf("%+v", f)
	}
	if err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.Path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if got := names(t, dir); got != "mcp.json" {
		t.Errorf("there are %s", got)
	}
}

// TestWriteLinked replaces what a symbolic link leads to. The link stays, and the backup
// is beside the link.
func TestWriteLinked(t *testing.T) {
	home, dotfiles := t.TempDir(), t.TempDir()
	target, link := filepath.Join(dotfiles, "settings.json"), filepath.Join(home, "settings.json")
	put(t, target, "{}", 0o600)
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	f := read(t, link)
	if err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(target); err != nil || string(content) != "new" {
		t.Errorf("the target is %q, %v", content, err)
	}
	if to, err := os.Readlink(link); err != nil || to != target {
		t.Errorf("the link leads to %s, %v", to, err)
	}
	if a, b := names(t, home), names(t, dotfiles); a != "settings.json settings.json"+backupEnd || b != "settings.json" {
		t.Errorf("there are %s and %s", a, b)
	}
}

// TestWriteNot writes files that may not be written. They stay, and nothing is left over.
func TestWriteNot(t *testing.T) {
	create := func(path string) { put(t, path, "{}", 0o600) }
	for name, test := range map[string]struct {
		before func(path string)
		after  func(path string) // after it was read
		want   error
	}{
		"read-only": {func(path string) { put(t, path, "{}", 0o400) }, func(string) {}, ErrReadOnly},
		"changed":   {create, func(path string) { put(t, path, "{ }", 0o600) }, ErrChanged},
		"created":   {func(string) {}, create, ErrChanged},
		"removed":   {create, func(path string) { os.Remove(path) }, ErrChanged},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "mcp.json")
		test.before(path)
		f := read(t, path)
		test.after(path)
		was, _ := os.ReadFile(path)
		list := names(t, dir)
		if err := f.Write([]byte("new")); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if is, _ := os.ReadFile(path); string(is) != string(was) || names(t, dir) != list {
			t.Errorf("%s: the file is %q, and there are %s", name, is, names(t, dir))
		}
	}
}

// TestReadNot reads what is not a file of settings.
func TestReadNot(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadFile(dir); err == nil {
		t.Error("a folder was read")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "none"), link); err != nil {
		t.Skip(err)
	}
	if _, err := ReadFile(link); err == nil || !strings.Contains(err.Error(), "link to a file that is missing") {
		t.Errorf("a link to nothing: %v", err)
	}
}

// TestWithout adds the entry to files without a table of servers. Without it they have
// their bytes back, unless something else changed: then that stays.
func TestWithout(t *testing.T) {
	for id, content := range map[string]string{
		"zed": "{\n  // c\n  \"a\": 1\n}\n", "gemini": "{}", "codex": "a = 1\n\n", "goose": "a: 1 # b\n",
		"cursor": " { }\n",
	} {
		h, _ := ByID(id)
		path := filepath.Join(t.TempDir(), "file")
		put(t, path, content, 0o600)
		added, _, err := h.Insert([]byte(content), example)
		if err != nil {
			t.Fatal(err)
		}
		if err := read(t, path).Write(added); err != nil {
			t.Fatal(err)
		}
		if rest, change, err := read(t, path).Without(h); err != nil || change != Removed || string(rest) != content {
			t.Errorf("%s: %s, %v, %q; want %q", id, change, err, rest, content)
		}
		edited := strings.Replace(string(added), "a", "other", 1)
		if id == "gemini" || id == "cursor" {
			edited = string(added) + "\n"
		}
		put(t, path, edited, 0o600)
		if rest, change, err := read(t, path).Without(h); err != nil || change != Removed || string(rest) == content ||
			strings.Contains(string(rest), Name) {
			t.Errorf("%s, edited: %s, %v, %q", id, change, err, rest)
		}
	}
}
