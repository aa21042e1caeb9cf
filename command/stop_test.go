//go:build linux

package command

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
)

// endPromise is how long a command may take to end after SIGTERM.
const endPromise = 2 * time.Second

// keyPipe is the pipe that a command inherits, opened once more.
const keyPipe = "/dev/fd/3"

// stopCase is a command that is stopped in the middle of its work.
type stopCase struct {
	name, args string
	env        []string
	says       string                  // on stdout or stderr, once it is in the middle; or
	ready      <-chan struct{}         // is closed then; or
	opens      string                  // it has this file open then
	unread     bool                    // nobody reads its stdout
	change     func(c *exec.Cmd) error // before it starts
}

// TestSIGTERM stops every command in the middle of its work with one SIGTERM.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	program := build(t)
	asked := make(chan struct{}, 1)
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	t.Cleanup(hangs.Close)
	large, audited := largeFolder(t), auditedLedger(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	bus, keychain := silentBus(t)
	dir := func() string { return " --dir " + filepath.Join(t.TempDir(), "x") + " " }
	for _, test := range []stopCase{
		{name: "stdio", args: "--sandbox" + dir(), says: "serverInfo"},
		{name: "serve", args: "serve --sandbox --addr 127.0.0.1:0" + dir(), says: "MCP at"},
		{name: "sandbox", args: "sandbox --addr 127.0.0.1:0", says: "Simulated Fullstory at"},
		{name: "demo", args: "demo" + dir(), says: "Plan:"},
		{name: "doctor", args: "doctor" + dir(), ready: asked,
			env: []string{"FULLSTORY_API_KEY=na1.x/Y", "FULLSTORY_API_URL=" + hangs.URL}},
		{name: "run", says: "everyone",
			args: "run --sandbox --sandbox-op-time 1h --segment everyone --from 2026-09 --chunk day --name x" + dir()},
		{name: "verify", args: "verify " + large, opens: filepath.Join(large, "hostile.gz")},
		{name: "verify whose output nobody reads", args: "verify " + manyFaults(t), unread: true},
		{name: "verify of many windows", args: "verify " + manyWindows(t), says: "not exported"},
		{name: "audit whose output nobody reads", args: "audit --database " + audited, unread: true},
		{name: "keychain that does not answer", args: "doctor" + dir(), ready: keychain, env: []string{
			"HOME=" + t.TempDir(), "FULLSTORY_EXPORT_NO_KEYCHAIN=", "DBUS_SESSION_BUS_ADDRESS=" + bus}},
		{name: "key from a pipe that nobody writes to", args: "doctor" + dir(), opens: keyPipe,
			env:    []string{"FULLSTORY_API_KEY_FILE=/dev/fd/3"},
			change: func(c *exec.Cmd) error { c.ExtraFiles = []*os.File{read}; return nil }},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, program) })
	}
}

func (s stopCase) run(t *testing.T, program string) {
	c := exec.Command(program, strings.Fields(s.args)...)
	c.Env = append(append(os.Environ(), "FULLSTORY_API_KEY="), s.env...)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, printed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	said := make(chan struct{})
	c.Stdout, c.Stderr = printed, printed
	if s.unread {
		c.Stderr = nil
	}
	if s.change != nil {
		if err := s.change(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	printed.Close()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	if !s.unread {
		go awaitText(out, s.says, said)
	}
	io.WriteString(in, hello)
	s.awaitMiddle(t, c, said, out)
	began := time.Now()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("it ended before it was stopped: %v", err)
	}
	select {
	case <-ended:
		t.Logf("ended after %v", time.Since(began).Round(time.Millisecond))
	case <-time.After(promised(endPromise)):
		c.Process.Kill()
		<-ended
		t.Error("it does not end")
	}
}

// awaitMiddle returns once the command is in the middle of its work.
func (s stopCase) awaitMiddle(t *testing.T, c *exec.Cmd, said <-chan struct{}, out *os.File) {
	t.Helper()
	switch {
	case s.says != "":
		await(t, said)
	case s.ready != nil:
		await(t, s.ready)
	case s.unread:
		before := 0
		eventually(t, "the pipe is full", func() bool {
			now, err := unix.IoctlGetInt(int(out.Fd()), unix.TIOCINQ)
			full := err == nil && now > 0 && now == before
			before = now
			return full
		})
	default:
		eventually(t, s.opens+" is open", func() bool {
			running, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.Process.Pid))
			if err != nil || running != c.Path { // it is still a copy of this process
				return false
			}
			fds := fmt.Sprintf("/proc/%d/fd/", c.Process.Pid)
			wanted := s.opens
			if wanted == keyPipe {
				wanted, _ = os.Readlink(fds + "3")
			}
			links, _ := filepath.Glob(fds + "*")
			found := 0
			for _, link := range links {
				if to, err := os.Readlink(link); err == nil && to == wanted && link != fds+"3" {
					found++
				}
			}
			return found > 0
		})
	}
}

// await returns once a channel is closed or has a value.
func await(t *testing.T, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(patience):
		t.Fatal("it does not get to the middle of its work")
	}
}

// awaitText closes said when r has the text, and reads on.
func awaitText(r io.Reader, text string, said chan<- struct{}) {
	lines, found := bufio.NewReader(r), false
	for {
		line, err := lines.ReadString('\n')
		if text != "" && !found && strings.Contains(line, text) {
			found = true
			close(said)
		}
		if err != nil {
			return
		}
	}
}

// largeFolder returns the folder of a file that takes seconds to verify.
func largeFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	var member bytes.Buffer
	z, err := gzip.NewWriterLevel(&member, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300_000 {
		fmt.Fprintf(z, "{\"a\":%d}\n", i)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	writeHostile(t, folder, hostileFile{format: ndjson, packed: func(w io.Writer) error {
		repeat(w, member.String(), 200) // 800 MB of rows
		return nil
	}})
	return folder
}

// manyFaults returns a folder about which verify has more to say than a pipe holds.
func manyFaults(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	var m strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&m, `,{"name":"a file that is not there %d","bytes":1,"sha256":"0"}`, i)
	}
	content := `{"version":2,"files":[` + m.String()[1:] + `]}`
	if err := os.WriteFile(filepath.Join(folder, archive.ManifestName), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// manyWindows returns a folder whose manifest has 1,000,000 windows, which take seconds to
// print.
func manyWindows(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	f, err := os.Create(filepath.Join(folder, archive.ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	around(`{"files":[],"coverage":{"missing":[{"start":"2"}`, `,{"start":"2"}  `, 999_999, "]}}")(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return folder
}

// auditedLedger returns a ledger whose audit log is longer than a pipe holds.
func auditedLedger(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := ledger.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = l.Write(t.Context(), func(tx *ledger.Tx) error {
		for i := range 3000 {
			if err := tx.Note(ledger.Entry{Account: "ORG", Event: ledger.Fetched, Operation: fmt.Sprint("op=", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}
