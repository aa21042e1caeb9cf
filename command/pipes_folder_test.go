//go:build unix

package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// putPipe puts a named pipe, to which nobody writes, in the place of what is at path.
func putPipe(t *testing.T, path string) {
	t.Helper()
	os.RemoveAll(path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestNotFolders puts a named pipe in the place of each folder that a command opens or
// lists, and of the files that the ledger keeps beside it: the command ends.
func TestNotFolders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, args string // D is a new folder
		pipe       string // in D
		first      bool   // the command has run before; the name of pipe is then a pattern
		status     int
		says       string
	}{
		{name: "verify, folder", args: "verify D/p", pipe: "p", status: 1, says: "not a folder"},
		{name: "verify, folder of pages", args: "verify D", pipe: ".manifest", status: 1,
			says: ".manifest cannot be used: not a directory"},
		{name: "run, folder of files", args: strings.Replace(run, "D", "D/p", 1), pipe: "p", status: 1,
			says: "not a directory"},
		{name: "run, folder of the export", args: run, pipe: "x", status: 4, says: "x is not a folder"},
		{name: "run, folder of pages of the export", args: run, pipe: "x/.manifest", says: "x is complete"},
		{name: "run, folder of replaced files", args: run, pipe: "x/.superseded", says: "x is complete"},
		{name: "run, state", args: run, pipe: ".state", status: 1, says: ".state"},
		{name: "run, state of the sandbox", args: run, pipe: ".state/sandbox", status: 1, says: "sandbox"},
		{name: "run, files of the sandbox", args: run, pipe: ".state/sandbox/files", status: 1, says: "sandbox"},
		{name: "run, log of the ledger", args: run, pipe: ".state/ledger.db-wal", status: 1, says: "not a regular file"},
		{name: "run, journal of the ledger", args: run, pipe: ".state/ledger.db-journal", status: 1,
			says: "not a regular file"},
		{name: "run, index of the ledger", args: run, pipe: ".state/ledger.db-shm", status: 1, says: "not a regular file"},
		{name: "run, lock of the lease", args: run + " --detach", first: true, pipe: ".state/ledger.db.worker-*",
			says: "x"},
		{name: "audit, log of the ledger", args: "audit --database D/p", first: true, pipe: "p-wal", status: 1,
			says: "not a regular file"},
		{name: "sandbox, state", args: "sandbox --addr 127.0.0.1:0 --state D/p", pipe: "p", status: 1,
			says: "state of the sandbox"},
		{name: "doctor, folder of files", args: "doctor --sandbox --dir D/p", pipe: "p", status: 1, says: "p"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			args := strings.Fields(strings.ReplaceAll(test.args, "D", folder))
			pipe := filepath.Join(folder, test.pipe)
			switch {
			case strings.HasPrefix(test.name, "verify"):
				writePagedManifest(t, folder)
			case strings.HasPrefix(test.name, "audit"):
				if err := os.WriteFile(filepath.Join(folder, "p"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			case test.first:
				endsWith(t, 0, nil, strings.Fields(strings.ReplaceAll(run, "D", folder))...)
				found, err := filepath.Glob(pipe)
				if err != nil || len(found) != 1 {
					t.Fatalf("%s is %v, %v", test.pipe, found, err)
				}
				pipe = found[0]
			}
			putPipe(t, pipe)
			out := endsWith(t, test.status, []string{"FULLSTORY_API_KEY=na1.x/Y"}, args...)
			if !strings.Contains(out, test.says) {
				t.Errorf("it says\n%s\nwant … %s", out, test.says)
			}
		})
	}
}

// writePagedManifest writes a manifest that names a page.
func writePagedManifest(t *testing.T, folder string) {
	t.Helper()
	manifest := `{"version":3,"pages":[{"name":".manifest/` + zeros + `.json","sha256":"` + zeros + `"}],"files":[]}`
	if err := os.WriteFile(filepath.Join(folder, "manifest.json"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestStartBesideAPipe starts an export whose folder is a named pipe: the server answers,
// and ends.
func TestStartBesideAPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	putPipe(t, filepath.Join(dir, "september"))
	c := converse(t, nil, "--sandbox", "--sandbox-op-time", "1ms", "--dir", dir)
	args := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "day",
		"time_range": window{Start: "2026-09-01", End: "2026-09-02"}, "name": "september",
	}
	if text, failed := c.try("start_bulk_export", args); failed && !strings.Contains(text, "september") {
		t.Errorf("it is answered %s", text)
	}
	c.end()
}

// TestOpenState runs again with a state that every user of the machine may replace or change.
func TestOpenState(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	args := strings.Fields(strings.ReplaceAll(run, "D", folder))
	endsWith(t, 0, nil, args...)
	for _, test := range []struct {
		name, path string
		mode       os.FileMode
		open       bool
	}{
		{"folder of the state", ".state", 0o777, true},
		{"folder of the state, sticky", ".state", 0o777 | os.ModeSticky, false},
		{"ledger", ".state/ledger.db", 0o666, true},
		{"ledger that others may read", ".state/ledger.db", 0o644, false},
		{"lock of the ledger", ".state/ledger.db.lock", 0o602, true},
		{"folder of the sandbox", ".state/sandbox", 0o777, true},
		{"files of the sandbox", ".state/sandbox/files", 0o703, true},
		{"secret of the sandbox", ".state/sandbox/secret", 0o666, true},
		{"journal of the sandbox", ".state/sandbox/journal.jsonl", 0o666, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(folder, test.path)
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(path, before.Mode().Perm())
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			status := 0
			if test.open {
				status = 1
			}
			out := endsWith(t, status, nil, args...)
			if test.open != strings.Contains(out, "chmod o-w "+path) {
				t.Errorf("it says\n%s", out)
			}
		})
	}
}
