package command

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fullstory-export-mcp/sandbox"
)

// programName is the file name of the program.
const programName = "fullstory-export-mcp"

// build returns the path of the program, which is made once for all tests.
func build(t testing.TB) (path string) {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// built makes the program in buildFolder. With a flag of this package, as .ci/run gives,
// it builds the program. Without one it gives this test binary that name, which makes it
// act as the program, because a build takes longer than most tests.
var built = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(buildFolder, programName)
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || !strings.HasPrefix(f.Name, "test.") })
	if self, err := os.Executable(); err == nil && !asked && os.Link(self, path) == nil {
		return path, nil
	}
	if out, err := exec.Command("go", "build", "-o", path, "..").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// start runs the program over stdio, and returns the time from the start of the
// process to the answer to initialize.
func start(t testing.TB, program string) time.Duration {
	t.Helper()
	c := exec.Command(program, "--sandbox", "--dir", t.TempDir())
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, hello)
	line, err := bufio.NewReader(out).ReadString('\n')
	took := time.Since(began)
	if err != nil || !strings.Contains(line, "serverInfo") {
		t.Fatalf("initialize was answered %q, %v", line, err)
	}
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	return took
}

// TestProgram runs the built program with common mistakes in its flags.
func TestProgram(t *testing.T) {
	t.Parallel()
	program := build(t)
	start(t, program)
	env := append(os.Environ(), "FULLSTORY_API_KEY=", "HOME="+t.TempDir())
	for _, test := range []struct {
		args   string
		status int
		says   string
	}{
		{"version", 0, "fullstory-export-mcp "},
		{"--help", 0, "FULLSTORY_API_KEY"},
		{"--no-such-flag", 2, "unknown flag --no-such-flag"},
		{"no-such-command", 2, "no-such-command"},
		{"--timezone Mars/Olympus", 2, "timezone"},
		{"--tools no_such_tool", 2, `unknown tool "no_such_tool"; there are check_connection`},
		{"serve --addr 0.0.0.0:0", 2, "give --callers FILE with at least one caller"},
		{"serve --oauth-issuer https://login.example.com", 2, "needs --oauth-audience"},
		{
			"serve --oauth-issuer http://login.example.com --oauth-audience https://mcp.example.com", 2,
			"must be an https address",
		},
		{
			"serve --oauth-issuer https://login.example.com --oauth-audience https://mcp.example.com --oauth-account a=b", 2,
			"needs --oauth-claim",
		},
		{"serve --callers /no/such/file", 2, "serve token NAME --callers /no/such/file"},
		{"serve --tls-cert /no/such/file", 2, "go together"},
		{"serve token anna", 2, "--callers FILE is missing"},
		{"--sandbox --sandbox-op-time soon", 2, "rows/50000"},
		{"--sandbox --sandbox-density 1", 2, "density must be from 10 to 1000000"},
		{"sandbox --quirks none", 2, "unknown quirk \"none\""},
		{"--sandbox-slots 3 doctor", 2, "--sandbox-slots needs --sandbox"},
		{"--sandbox --sandbox-data /no/such/file", 1, "/no/such/file"},
		{"run --read-only --segment everyone --from 2026-09", 2, "--read-only forbids"},
		{"run --sandbox --segment everyone --from 03/04/2026", 2, "--from: got"},
		{"run --sandbox --segment everyone --from 2026-09 --chunk never", 2, "chunk"},
		{"run --sandbox --segment rageClicks --from 2026-07", 2, "--segment-window"},
		{"run --help", 0, "4 blocked"},
		{"run --segment everyone --from 2026-09", 1, "No Fullstory API key is set."},
		{"verify /no/such/folder", 1, "cannot be opened"},
		{"doctor", 1, "No Fullstory API key is set."},
		{"doctor --sandbox", 0, "doctor config HOST, which is one of claude-desktop, claude-code, vscode, cursor"},
		{"doctor config claude-code --sandbox --dir /x", 0, "-- " + program + " --sandbox --dir=/x\n"},
		{"doctor config emacs", 2, "claude-desktop"},
	} {
		args := strings.Fields(test.args)
		var out []byte
		var got int
		if test.status == 2 && args[0] != "--no-such-flag" { // in this process, which takes less time
			var printed buffer
			noEnv := func(string) string { return "" }
			got = Status(Run(t.Context(), args, noEnv, strings.NewReader(""), &printed, &printed))
			out = []byte(printed.String())
		} else {
			c := exec.Command(program, args...)
			c.Env = env
			out, _ = c.CombinedOutput()
			got = c.ProcessState.ExitCode()
		}
		if got != test.status || !strings.Contains(string(out), test.says) {
			t.Errorf("%s: status %d, want %d, output:\n%s\nwant text with %q", test.args, got, test.status, out, test.says)
		}
		if test.status == 2 && strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: the error of a flag takes more than one line:\n%s", test.args, out)
		}
	}
}

// TestTwoSandboxesAgree starts two sandboxes with the same seed: the same export
// must have the same bytes.
func TestTwoSandboxesAgree(t *testing.T) {
	t.Parallel()
	program := build(t)
	var files [][]byte
	for range 2 {
		c := exec.Command(program, "sandbox", "--addr", "127.0.0.1:0", "--seed", "99", "--now", "2026-11-05T12:00:00Z",
			"--op-time", "10ms", "--density", fewRows)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill(); c.Wait() })
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		url := strings.TrimSpace(strings.TrimPrefix(line, "Simulated Fullstory at "))
		env, args := remoteKey(t, url, sandbox.KeyArchitect)
		_, d := converse(t, env, args...).export(map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-10-20", "2026-10-22"},
		})
		content, err := os.ReadFile(d.Path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, content)
	}
	if len(files[0]) < 1000 || !bytes.Equal(files[0], files[1]) {
		t.Errorf("files of %d and %d bytes differ", len(files[0]), len(files[1]))
	}
}
