//go:build unix

package command

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
)

// TestNotRegularFiles puts a named pipe, to which nobody writes, in the place of each file
// that a command opens: the command ends, and says so.
func TestNotRegularFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, args string // D is a new folder
		env        string
		pipe       string // in D
		status     int    // 0: 1
		says       string
	}{
		{name: "verify, file", args: "verify D", pipe: "x.gz", says: "x.gz is not a regular file"},
		{name: "verify, manifest", args: "verify D", pipe: archive.ManifestName, says: "not a regular file"},
		{name: "audit, ledger", args: "audit --database D/p", pipe: "p", says: "not a regular file"},
		{name: "run, lock of the ledger", args: run + "--database D/p", pipe: "p.lock", says: "not a regular file"},
		{name: "run, ledger", args: run + "--database D/p", pipe: "p", says: "not a regular file"},
		{name: "run, manifest", args: run, status: 4, pipe: "x/" + archive.ManifestName,
			says: "x/manifest.json is not a regular file"},
		{name: "run, lock", args: run, status: 4, pipe: "x/.lock", says: "x/.lock is not a regular file"},
		{name: "run, part", args: run, status: 4, pipe: "x/20260901T000000Z_20260902T000000Z.ndjson.gz.part",
			says: ".part is not a regular file"},
		{name: "run, secret of the sandbox", args: run, pipe: ".state/sandbox/secret", says: "not a regular file"},
		{name: "sandbox, faults", args: "sandbox --addr 127.0.0.1:0 --faults D/p", pipe: "p", says: "not a regular file"},
		{name: "sandbox, data", args: "sandbox --addr 127.0.0.1:0 --data D/p", pipe: "p", says: "not a regular file"},
		{name: "sandbox, journal", args: "sandbox --addr 127.0.0.1:0 --state D", pipe: "journal.jsonl",
			says: "not a regular file"},
		{name: "sandbox, clock", args: "sandbox --addr 127.0.0.1:0 --state D --now 2026-11-05T12:00:00Z --tls",
			pipe: "tls.pem", says: "not a regular file"},
		{name: "doctor, key", args: "doctor --dir D", env: "FULLSTORY_API_KEY_FILE=D/p", pipe: "p",
			says: "not a regular file"},
		{name: "serve, callers", args: "serve --sandbox --addr 127.0.0.1:0 --dir D --callers D/p", pipe: "p",
			status: 2, says: "is not a file"},
		{name: "serve token, callers", args: "serve token x --callers D/p", pipe: "p", status: 2, says: "is not a file"},
		{name: "serve token, lock", args: "serve token x --callers D/p", pipe: "p.lock", status: 2,
			says: "not a regular file"},
		{name: "serve, certificate", pipe: "p", status: 2, says: "not a regular file",
			args: "serve --sandbox --addr 127.0.0.1:0 --dir D --tls-cert D/p --tls-key D/p"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			in := func(text string) string { return strings.ReplaceAll(text, "D", folder) }
			pipe := filepath.Join(folder, test.pipe)
			if err := errors.Join(os.MkdirAll(filepath.Dir(pipe), 0o700), syscall.Mkfifo(pipe, 0o600)); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(test.pipe, ".gz") {
				writeManifestOf(t, folder, test.pipe)
			}
			env := "FULLSTORY_API_KEY=na1.x/Y"
			if test.env != "" {
				env = strings.Replace(test.env, "D/", folder+"/", 1)
			}
			out := endsWith(t, cmp.Or(test.status, 1), []string{env}, strings.Fields(in(test.args))...)
			if !strings.Contains(out, test.says) {
				t.Errorf("it says\n%s\nwant … %s", out, test.says)
			}
		})
	}
}

// run is a small export with the files in the folder D.
const run = "run --sandbox --segment everyone --from 2026-09-01 --to 2026-09-02 --chunk day --name x " +
	"--sandbox-op-time 1ms --sandbox-density 10 --dir D "

// endsWith executes a command line, which must end by itself with a status, and returns its
// output. env has variables of the environment, as NAME=VALUE; there are no others.
func endsWith(t *testing.T, status int, env []string, args ...string) string {
	t.Helper()
	var out buffer
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), args, func(name string) string {
			for _, v := range env {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
			return ""
		}, strings.NewReader(""), &out, &out)
	}()
	select {
	case err := <-ended:
		if got := Status(err); got != status {
			t.Errorf("%v ended with %v, status %d, want %d:\n%s", args, err, got, status, out.String())
		}
	case <-time.After(patience):
		t.Fatalf("%v does not end:\n%s", args, out.String())
	}
	return out.String()
}

// writeManifestOf writes a manifest that names a file.
func writeManifestOf(t *testing.T, folder, name string) {
	t.Helper()
	manifest := fmt.Sprintf(`{"version":2,"files":[{"name":%q,"bytes":0,"sha256":""}]}`, name)
	if err := os.WriteFile(filepath.Join(folder, archive.ManifestName), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyFollowsNoLink verifies a link to a file elsewhere, and a device.
func TestVerifyFollowsNoLink(t *testing.T) {
	t.Parallel()
	elsewhere := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"inside", elsewhere, "/dev/zero"} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "inside"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(folder, "x.gz")); err != nil {
			t.Fatal(err)
		}
		writeManifestOf(t, folder, "x.gz")
		if out := endsWith(t, 1, nil, "verify", folder); !strings.Contains(out, "x.gz is not a regular file") {
			t.Errorf("a link to %s: %s", to, out)
		}
	}
}

// TestVerifyQuotesNames verifies a folder with names that would move the cursor, in the
// folder and in its manifest.
func TestVerifyQuotesNames(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	const evil = "\x1b[2J\u202efine.gz"
	if err := os.WriteFile(filepath.Join(folder, evil), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	manifest := `{"version":2,"files":[{"name":"\u001b[31mx.gz"}],` +
		`"coverage":{"missing":[{"start":"\u001b[1A","end":"\u202e"}],"provisional":[{"start":"\u001b[1A","end":""}]}}`
	for _, content := range []string{
		manifest, `{"files":"\u001b[31m"`, "{\x1b[31m", `{"files":[{"exported_at":"\u001b[31m"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, archive.ManifestName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := endsWith(t, 1, nil, "verify", folder); strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%q: verify prints %q", content, out)
		}
	}
	named := filepath.Join(folder, "\x1b[2J")
	if out := endsWith(t, 1, nil, "verify", named); strings.Contains(out, "\x1b") {
		t.Errorf("verify prints %q", out)
	}
}

// TestOpenFolder exports into folders in which every user may replace files.
func TestOpenFolder(t *testing.T) {
	t.Parallel()
	for mode, status := range map[os.FileMode]int{0o777: 1, 0o777 | os.ModeSticky: 0, 0o755: 0} {
		folder := filepath.Join(t.TempDir(), "exports")
		if err := errors.Join(os.Mkdir(folder, 0o700), os.Chmod(folder, mode)); err != nil {
			t.Fatal(err)
		}
		out := endsWith(t, status, nil, strings.Fields(strings.ReplaceAll(run, "D", folder))...)
		if open := strings.Contains(out, "chmod o-w "+folder); open != (status == 1) {
			t.Errorf("%v: %s", mode, out)
		}
	}
}

// TestSessionKey reads the key of sessions: one that somebody else may have chosen, or may
// know, is not used.
func TestSessionKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".state", "session.key")
	first, err := sessionKey(path)
	if again, e := sessionKey(path); err != nil || e != nil || len(first) != 32 || string(again) != string(first) {
		t.Fatalf("%d bytes, %v; then %d, %v", len(first), err, len(again), e)
	}
	for name, change := range map[string]func() error{
		"readable": func() error { return os.Chmod(path, 0o644) },
		"linked":   func() error { return os.Link(path, path+".2") },
		"a pipe":   func() error { return errors.Join(os.Rename(path, path+".3"), syscall.Mkfifo(path, 0o600)) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, err := sessionKey(path); err == nil {
			t.Errorf("%s: it is used", name)
		}
		os.RemoveAll(filepath.Dir(path))
		if _, err := sessionKey(path); err != nil {
			t.Fatal(err)
		}
	}
}
