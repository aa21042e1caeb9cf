package command

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"fullstory-export-mcp/hosts"
)

// installer runs the built program in a home of its own, on Linux and macOS.
type installer struct {
	t       *testing.T
	home    string
	env     []string
	program string
}

func newInstaller(t *testing.T) *installer {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the home is given as Linux and macOS have it")
	}
	t.Parallel()
	home := t.TempDir()
	return &installer{t, home, []string{"HOME=" + home, "PATH=/nonexistent"}, build(t)}
}

// run returns what a command line prints, and its status.
func (i *installer) run(args ...string) (stdout, stderr string, status int) {
	i.t.Helper()
	var out, errs bytes.Buffer
	c := exec.Command(i.program, args...)
	c.Env, c.Stdout, c.Stderr, c.Dir = i.env, &out, &errs, i.home
	_ = c.Run() // its status is returned
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

// file returns the path of a host's file.
func (i *installer) file(id string) string {
	h, _ := hosts.ByID(id)
	return h.File(hosts.System{OS: runtime.GOOS, Home: i.home, Getenv: func(string) string { return "" }})
}

// content returns the file of a host.
func (i *installer) content(id string) string {
	i.t.Helper()
	raw, err := os.ReadFile(i.file(id))
	if err != nil {
		i.t.Fatal(err)
	}
	return string(raw)
}

// put writes the file of a host.
func (i *installer) put(id, content string) {
	i.t.Helper()
	if err := os.MkdirAll(filepath.Dir(i.file(id)), 0o700); err != nil {
		i.t.Fatal(err)
	}
	if err := os.WriteFile(i.file(id), []byte(content), 0o600); err != nil {
		i.t.Fatal(err)
	}
}

// says runs a command line that succeeds, and prints each of the texts.
func (i *installer) says(args string, texts ...string) {
	i.t.Helper()
	out, errs, status := i.run(strings.Fields(args)...)
	if status != 0 {
		i.t.Errorf("%s: status %d, %s", args, status, errs)
	}
	i.has(args, out+errs, texts...)
}

// has fails the test unless a text has others.
func (i *installer) has(what, text string, others ...string) {
	i.t.Helper()
	for _, other := range others {
		if !strings.Contains(text, other) {
			i.t.Errorf("%s lacks %q:\n%s", what, other, text)
		}
	}
}

// TestInstall installs, lists, prints and removes the server for each host. The entry has
// the path of the program and no key.
func TestInstall(t *testing.T) {
	i := newInstaller(t)
	i.env = append(i.env, "FULLSTORY_API_KEY=na1.secret", "FULLSTORY_EXPORT_TIMEZONE=Europe/Berlin")
	i.says("install", "None of the hosts was found")
	for _, id := range hostNames() {
		i.says("install "+id+" --print --read-only", "+", "--read-only", "would change like this")
		if _, err := os.Stat(i.file(id)); err == nil {
			t.Errorf("%s: --print wrote the file", id)
		}
		i.says("install "+id+" --read-only --dir exports --color=never", "✓ The server is added to ", "umask 077")
		text := i.content(id)
		i.has(id, text, i.program, "--read-only", "--dir="+filepath.Join(i.home, "exports"), "Europe/Berlin")
		if strings.Contains(text, "secret") || strings.Contains(text, "--color") {
			t.Errorf("%s: the key or --color is in\n%s", id, text)
		}
		i.says("install "+id+" --read-only --dir exports", "already has this entry; nothing was changed")
	}
	if out, _, _ := i.run("install", "--json"); strings.Count(out, `"installed":true`) != len(hostNames()) {
		t.Errorf("the list is %s", out)
	}
	i.says("doctor --sandbox", "Claude Desktop, Claude Code, VS Code, Cursor, Windsurf, Zed")
	i.says("doctor --sandbox --json", `"installed_in":["Claude Desktop",`)
	for _, id := range hostNames() {
		i.says("install "+id+" --remove", "is removed from")
		if text := i.content(id); strings.Contains(text, hosts.Name) {
			t.Errorf("%s: removed:\n%s", id, text)
		}
		i.says("install "+id+" --remove", "has no entry of this server")
	}
	if out, _, _ := i.run("install"); !strings.Contains(out, "INSTALLED") || strings.Contains(out, "yes") {
		t.Errorf("the list is %s", out)
	}
}

// TestInstallKeyFile installs with a file that has the key, and says who may read it.
func TestInstallKeyFile(t *testing.T) {
	i := newInstaller(t)
	key := filepath.Join(i.home, "key")
	if err := os.WriteFile(key, []byte("na1.secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.env = append(i.env, "FULLSTORY_API_KEY_FILE=key", "FULLSTORY_API_KEY=na1.secret")
	_, errs, status := i.run("install", "cursor")
	text := i.content("cursor")
	if status != 0 || errs != "" || !strings.Contains(text, `"FULLSTORY_API_KEY_FILE": "`+key+`"`) ||
		strings.Contains(text, "secret") {
		t.Errorf("%d, %s, %s", status, errs, text)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errs, _ := i.run("install", "cursor"); !strings.Contains(errs, "run chmod 600 "+key) {
		t.Errorf("a key that others may read: %s", errs)
	}
	os.Remove(key)
	if _, errs, _ := i.run("install", "cursor"); !strings.Contains(errs, "names a file that cannot be read") {
		t.Errorf("no file: %s", errs)
	}
	i.put("gemini", `{"mcpServers":{"fullstory-export":{"command":"/old","env":{"FULLSTORY_API_KEY":"na1.old"}}}}`)
	i.env = i.env[:2]
	_, errs, _ = i.run("install", "gemini")
	if !strings.Contains(errs, "has an API key in plain text") || strings.Contains(errs, "na1") {
		t.Errorf("a key in the file: %s", errs)
	}
}

// TestInstallMessages makes the mistakes that can be made. Each is said, with what to do,
// and the file stays.
func TestInstallMessages(t *testing.T) {
	i := newInstaller(t)
	i.put("cursor", "{ mcpServers: }")
	i.put("zed", "{}")
	i.put("gemini", "{}")
	if err := os.Chmod(i.file("gemini"), 0o400); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   string
		status int
		says   string // on stderr
		out    string
	}{
		{"install cursor", 1, "was not changed: hujson: line 1, column 3", `"fullstory-export": {`},
		{"install cursor", 1, "Paste this into the file yourself:", i.program},
		{"install cursor --remove", 1, "Remove the entry fullstory-export yourself", ""},
		{"install gemini", 1, "it is read-only", `"fullstory-export": {`},
		{"install emacs", 2, "HOST: got \"emacs\"; give claude-desktop, claude-code", ""},
		{"install --remove", 2, "HOST is missing: it is one of claude-desktop, claude-code", ""},
		{"install zed --http ftp://x", 2, "--http: got \"ftp://x\"; give an address such as", ""},
		{"install zed --http https://a:b@x", 2, "--http: the address has a password", ""},
		{"install codex --http http://x/mcp --token-variable TOKEN", 2, "a token would be sent unencrypted", ""},
		{"install codex --http https://x/mcp --token-variable abc-1", 2, "give the name of a variable", ""},
		{"install codex --token-variable TOKEN", 2, "--token-variable needs --http URL", ""},
		{"install codex --http https://x/mcp --sandbox", 2, "leave out --sandbox", ""},
		{"install zed --http https://x/mcp --token-variable TOKEN", 2, "Zed fills no variable in", ""},
		{"install claude-desktop --http https://x/mcp", 2, "Settings › Connectors", ""},
		{"install zed --database postgres://a:b@x/y", 2, "--database has a password", ""},
		{"uninstall zed", 2, `did you mean "install --remove"?`, ""},
	} {
		out, errs, status := i.run(strings.Fields(test.args)...)
		if status != test.status || !strings.Contains(errs, test.says) || !strings.Contains(out, test.out) {
			t.Errorf("%s: %d, %s%s\nwant %d, %q, %q", test.args, status, out, errs, test.status, test.says, test.out)
		}
	}
	for id, want := range map[string]string{"cursor": "{ mcpServers: }", "zed": "{}", "gemini": "{}"} {
		if got := i.content(id); got != want {
			t.Errorf("the file of %s is %q", id, got)
		}
	}
	if _, err := os.Stat(i.file("codex")); err == nil {
		t.Error("a mistake created the file of codex")
	}
	if out, _, _ := i.run("install"); !strings.Contains(out, "cannot be read: hujson: line 1") {
		t.Errorf("the list is %s", out)
	}
}

// TestInstallInto changes another file of a host, and answers in JSON.
func TestInstallInto(t *testing.T) {
	i := newInstaller(t)
	out, errs, status := i.run("install", "vscode", "--file", ".vscode/mcp.json", "--sandbox", "--json")
	var done installed
	if err := json.Unmarshal([]byte(out), &done); err != nil || status != 0 || errs != "" || done.Change != hosts.Added ||
		done.File != filepath.Join(i.home, ".vscode", "mcp.json") || done.Backup != "" || done.Notes == nil {
		t.Errorf("%d, %s%s, %v", status, out, errs, err)
	}
	out, _, _ = i.run("install", "vscode", "--file", ".vscode/mcp.json", "--json", "--http", "http://localhost:8080/mcp",
		"--token-variable", "TOKEN")
	if err := json.Unmarshal([]byte(out), &done); err != nil || done.Change != hosts.Changed || done.Backup == "" {
		t.Errorf("%s, %v", out, err)
	}
	raw, err := os.ReadFile(done.File)
	if err != nil || !strings.Contains(string(raw), "Bearer ${env:TOKEN}") || strings.Contains(string(raw), "sandbox") {
		t.Errorf("%s, %v", raw, err)
	}
}

// TestInstalledStarts starts the server as the entry says, in an empty environment and in
// another folder.
func TestInstalledStarts(t *testing.T) {
	i := newInstaller(t)
	i.run("install", "claude-desktop", "--sandbox", "--dir", "exports")
	var config struct {
		Servers map[string]struct {
			Command string
			Args    []string
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal([]byte(i.content("claude-desktop")), &config); err != nil {
		t.Fatal(err)
	}
	entry := config.Servers[hosts.Name]
	c := exec.Command(entry.Command, entry.Args...)
	c.Env, c.Dir, c.Stdin = []string{}, "/", strings.NewReader(hello)
	if out, err := c.Output(); err != nil || !strings.Contains(string(out), "serverInfo") {
		t.Errorf("%v, %s", err, out)
	}
}

// TestBuildCache says which programs are gone after go run.
func TestBuildCache(t *testing.T) {
	t.Setenv("GOCACHE", "/var/cache/go")
	for path, want := range map[string]bool{
		"/tmp/go-build123/b001/exe/fullstory-export-mcp": true, "/var/cache/go/ab/cd-d/fullstory-export-mcp": true,
		"/home/ann/.cache/go-build/ab/cd-d/fullstory-export-mcp": true, "/usr/bin/fullstory-export-mcp": false,
		"/var/cache/gone/fullstory-export-mcp": false,
	} {
		if inBuildCache(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}
