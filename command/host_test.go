//go:build unix

package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var unread = flag.Int("unread", 2000, "how many calls fail while nobody reads the log")

// hosted is a server over stdio, as a host sees it.
type hosted struct {
	t      *testing.T
	server *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
}

// startHost starts the built program with an environment of its own.
func startHost(t *testing.T, stderr *os.File, env []string, args ...string) *hosted {
	t.Helper()
	h := &hosted{t: t, server: exec.Command(build(t), args...)}
	h.server.Env, h.server.Stderr = env, stderr
	in, err := h.server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := h.server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.server.Process.Kill(); h.server.Wait() })
	h.in, h.out = in, bufio.NewReader(out)
	return h
}

// next returns the next line from the server; it fails the test if none comes.
func (h *hosted) next() (line string) {
	h.t.Helper()
	stuck := time.AfterFunc(patience, func() { h.server.Process.Kill() })
	defer stuck.Stop()
	line, err := h.out.ReadString('\n')
	if err != nil {
		h.t.Fatalf("the server does not answer: %v", err)
	}
	return line
}

// end ends the conversation, and the server with it.
func (h *hosted) end() {
	h.t.Helper()
	h.in.Close()
	stuck := time.AfterFunc(patience, func() { h.server.Process.Kill() })
	defer stuck.Stop()
	if err := h.server.Wait(); err != nil {
		h.t.Errorf("the server ended with %v", err)
	}
}

// TestLogThatNobodyReads fills the pipe of the log. Every call is answered, and the log
// says later how many lines it lost.
func TestLogThatNobodyReads(t *testing.T) {
	long(t)
	t.Parallel()
	log, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := startHost(t, stderr, os.Environ(), "--sandbox", "--dir", t.TempDir())
	stderr.Close()
	go func() {
		io.WriteString(h.in, hello)
		for i := range *unread {
			fmt.Fprintf(h.in, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"get_export_operation",`+
				`"arguments":{"operation_id":%q}}}`+"\n", i+2, strings.Repeat("x", 3000))
		}
	}()
	for i := range *unread + 1 {
		if line := h.next(); i > 0 && !strings.Contains(line, `"isError":true`) {
			t.Fatalf("answer %d: %s", i, line)
		}
	}
	lines := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(log)
		lines <- all
	}()
	h.end()
	if all := <-lines; !bytes.Contains(all, []byte("lines of the log were dropped")) {
		t.Errorf("the log of %d bytes does not say that lines were dropped; it ends with %q",
			len(all), all[max(0, len(all)-300):])
	}
}

// TestHostEnds kills the program that started the server. Its stdin stays open, because
// another process has it as well; the server ends all the same.
func TestHostEnds(t *testing.T) {
	t.Parallel()
	in, keptOpen, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keptOpen.Close()
	shell := exec.Command("sh", "-c", `"$0" --sandbox --dir "$1" <&3 & wait`, build(t), t.TempDir())
	shell.ExtraFiles = []*os.File{in}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	io.WriteString(keptOpen, hello)
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); err != nil || !strings.Contains(line, "serverInfo") {
		t.Fatalf("%q, %v", line, err)
	}
	shell.Process.Kill()
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, out) // until the server has closed its end
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the server outlives the host that started it")
	}
	shell.Wait()
}

// TestWithoutHome starts the server without HOME, for two users: of one the system knows
// the home, of the other nothing. It starts, and check_connection says what is missing.
func TestWithoutHome(t *testing.T) {
	long(t)
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can run a program as another user")
	}
	program := build(t)
	if err := os.Chmod(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	checked := func(uid uint32) string {
		command := exec.Command(program)
		command.Env = []string{"FULLSTORY_API_KEY=na1.none", "FULLSTORY_API_URL=http://127.0.0.1:1"}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		command.Stdin = strings.NewReader(hello +
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"check_connection","arguments":{}}}` + "\n")
		out, err := command.Output()
		if err != nil {
			t.Errorf("user %d: %v", uid, err)
		}
		return string(out)
	}
	const stranger = 54321
	if text := checked(stranger); !strings.Contains(text, "HOME is not set") ||
		!strings.Contains(text, "FULLSTORY_EXPORT_DIR") {
		t.Errorf("check_connection says %s", text)
	}
	const nobody = 65534
	known, err := user.LookupId(strconv.Itoa(nobody))
	if err != nil {
		t.Skip("this system has no user nobody")
	}
	if text := checked(nobody); !strings.Contains(text, filepath.Join(known.HomeDir, "fullstory-exports")) {
		t.Errorf("check_connection says %s", text)
	}
}

// TestPlaceholders has settings that the host did not fill in.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	log, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	h := startHost(t, stderr, []string{
		"HOME=" + home, "FULLSTORY_API_KEY=${user_config.api_key}", "FULLSTORY_EXPORT_TIMEZONE=${input:zone}",
		"FULLSTORY_EXPORT_READ_ONLY=${user_config.read_only}", "FULLSTORY_EXPORT_TOOLS=${TOOLS}",
	}, "--dir", "${user_config.folder}", "--log-level=${LEVEL}", "--api-url=https://x.example")
	stderr.Close()
	io.WriteString(h.in, hello+list+"\n"+
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"check_connection","arguments":{}}}`+"\n")
	answers := h.next() + h.next() + h.next()
	h.end()
	if !strings.Contains(answers, "start_bulk_export") || !strings.Contains(answers, "left a placeholder such as ${...}") {
		t.Errorf("the server answers %s", answers)
	}
	warned, _ := io.ReadAll(log)
	for _, name := range []string{
		"--dir", "--log-level", "FULLSTORY_API_KEY", "FULLSTORY_EXPORT_TIMEZONE", "FULLSTORY_EXPORT_READ_ONLY",
		"FULLSTORY_EXPORT_TOOLS",
	} {
		if !strings.Contains(string(warned), name) {
			t.Errorf("no warning names %s: %s", name, warned)
		}
	}
	if strings.Contains(string(warned), "--api-url") {
		t.Errorf("a setting that is filled in is named: %s", warned)
	}
}

// TestOddLines begins with a byte order mark, ends lines with CRLF, and sends responses
// to requests that the server never sent.
func TestOddLines(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil, os.Environ(), "--sandbox", "--dir", t.TempDir())
	lines := "\ufeff" + hello + `{"jsonrpc":"2.0","id":99,"result":{}}` + "\n" +
		`{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}` + "\n" + "\n" + "\ufeff" + list + "\n"
	io.WriteString(h.in, strings.ReplaceAll(lines, "\n", "\r\n"))
	for _, id := range []string{"1", "2"} {
		var r reply
		if line := h.next(); json.Unmarshal([]byte(line), &r) != nil || string(r.ID) != id || r.Result == nil {
			t.Errorf("request %s was answered %.300s", id, line)
		}
	}
	h.end()
}
