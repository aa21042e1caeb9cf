//go:build unix

package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	httpCallers = 16
	roundTime   = 250 * time.Millisecond
)

// measureSpeed compares reads of a completed export, and the start, with a bare
// server of the library that answers with the same object. Rounds of both
// alternate, and the medians count, because other work disturbs any machine. What
// is asserted leaves room for that; the aim is printed beside it.
func measureSpeed(t *testing.T, rounds int) figures {
	t.Helper()
	b := newSpeedBench(t)
	b.rounds, b.found.t = rounds, t
	starts := ratios{most: 2.5, aim: "under 2"}
	b.compare("read over stdio, p50 in µs by bare server",
		b.readStdio(b.program...), b.readStdio(b.bare...), ratios{most: 2, aim: "at most 1.5"})
	b.compare("calls/s of 16 over HTTP, by bare server",
		b.readHTTP(b.served.url), b.readHTTP(b.bareURL), ratios{least: 0.4, aim: "at least 0.6"})
	b.compare("start with the sandbox in µs, by bare server", b.startUp(b.program...), b.startUp(b.bare...), starts)
	b.compare("start with a key in µs, by bare server", b.startUp(b.keyed...), b.startUp(b.bare...), starts)
	return b.found
}

// ratios are the limits of the ratio to the bare server. A most of 0 is no limit.
type ratios struct {
	least, most float64
	aim         string
}

// compare measures the program and the bare server in turn.
func (b *speedBench) compare(what string, program, bare func() float64, want ratios) {
	b.t.Helper()
	var ours, theirs, found []float64
	for range b.rounds {
		p, r := program(), bare()
		ours, theirs, found = append(ours, p), append(theirs, r), append(found, p/r)
	}
	ratio := median(found)
	b.t.Logf("%s: %.0f, bare %.0f", what, median(ours), median(theirs))
	b.found.add(what, want.aim, ratio, "", ratio >= want.least && (want.most == 0 || ratio <= want.most))
}

// numbered is a request that gets a new id each time, as the protocol requires.
type numbered struct {
	message []byte
	at      int // of the last digit of the id
}

const firstID = 1_000_000_000

func number(message []byte) *numbered {
	id := fmt.Sprint(firstID)
	return &numbered{message: bytes.Clone(message), at: bytes.Index(message, []byte(id)) + len(id) - 1}
}

// next returns the message with the next id. The slice is valid until the next call.
func (n *numbered) next() []byte {
	for i := n.at; ; i-- {
		if n.message[i]++; n.message[i] <= '9' {
			return n.message
		}
		n.message[i] = '0'
	}
}

// speedBench is the program and a bare server, with one completed export.
type speedBench struct {
	t                    *testing.T
	rounds               int
	found                figures
	program, keyed, bare []string // command lines over stdio
	served               *served
	bareURL              string
	call                 []byte // a read, as JSON-RPC, with the id firstID
}

func newSpeedBench(t *testing.T) *speedBench {
	t.Helper()
	dir := t.TempDir()
	b := &speedBench{t: t, served: serveProgram(t, build(t), dir)}
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	h, err := b.served.open(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	operation, err := recordedExport(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	var result json.RawMessage
	read := map[string]any{"operation_id": operation}
	if err := callTool(ctx, h, "get_export_operation", read, &result); err != nil {
		t.Fatal(err)
	}
	b.call = rpcRequest(firstID, "tools/call", toolCall("get_export_operation", read))
	b.program = []string{b.served.process.Path, "--sandbox", "--sandbox-now", "2026-11-05T12:00:00Z", "--dir", dir}
	b.keyed = []string{b.served.process.Path, "--dir", t.TempDir()}
	b.bare = bareServer(t, result)
	b.bareURL = serveCommandLine(t, exec.Command(b.bare[0], append(b.bare[1:], "127.0.0.1:0")...)).url
	return b
}

// bareServer builds a server of the library alone whose tool returns result, and
// returns its command line.
func bareServer(t *testing.T, result json.RawMessage) []string {
	t.Helper()
	dir := t.TempDir()
	program, content := filepath.Join(dir, "bare"), filepath.Join(dir, "result.json")
	if err := os.WriteFile(content, result, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/bare").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return []string{program, content}
}

// piped is a server over stdio, started as hosts start it.
type piped struct {
	t       *testing.T
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

func (b *speedBench) pipe(line []string) *piped {
	b.t.Helper()
	p := &piped{t: b.t, process: exec.Command(line[0], line[1:]...)}
	p.process.Env = append(os.Environ(), "FULLSTORY_API_KEY=na1.none")
	p.process.Stderr = io.Discard // read to its end, as hosts do
	in, err := p.process.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := p.process.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReaderSize(out, 64<<10)
	if err := p.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// ask sends one line and reads the answer, which must contain want.
func (p *piped) ask(message []byte, want string) {
	p.t.Helper()
	_, err := p.in.Write(message)
	if err != nil {
		p.t.Fatal(err)
	}
	if answer, err := p.out.ReadSlice('\n'); err != nil || !bytes.Contains(answer, []byte(want)) {
		p.t.Fatalf("answered %.500q, %v; want %s", answer, err, want)
	}
}

func (p *piped) end() {
	p.in.Close()
	p.process.Wait()
}

// startUp returns a function that measures one start, from exec to the answer to
// initialize, in µs.
func (b *speedBench) startUp(line ...string) func() float64 {
	return func() float64 {
		began := time.Now()
		p := b.pipe(line)
		p.ask([]byte(hello), "serverInfo")
		took := time.Since(began)
		p.end()
		return micro(took)
	}
}

// readStdio starts a server, and returns a function that measures a round of reads:
// the median, in µs.
func (b *speedBench) readStdio(line ...string) func() float64 {
	b.t.Helper()
	p := b.pipe(line)
	b.t.Cleanup(p.end)
	p.ask([]byte(hello), "serverInfo")
	call := number(append(b.call, '\n'))
	return func() float64 {
		var took []float64
		for end := time.Now().Add(roundTime); time.Now().Before(end); {
			began := time.Now()
			p.ask(call.next(), `"COMPLETED"`)
			took = append(took, micro(time.Since(began)))
		}
		return median(took)
	}
}

// readHTTP opens sessions, and returns a function that measures a round of
// concurrent reads in calls per second.
func (b *speedBench) readHTTP(url string) func() float64 {
	b.t.Helper()
	s := &served{t: b.t, url: url}
	var callers [httpCallers]*rawCaller
	for i := range callers {
		h, err := s.open(b.t.Context(), newHTTPClient(b.t))
		if err != nil {
			b.t.Fatal(err)
		}
		callers[i] = b.dial(h)
	}
	return func() float64 {
		var counts [httpCallers]int
		var round sync.WaitGroup
		began := time.Now()
		for i, c := range callers {
			round.Go(func() {
				for ; time.Since(began) < roundTime; counts[i]++ {
					if err := c.call(); err != nil {
						b.t.Error(err)
						return
					}
				}
			})
		}
		round.Wait()
		all := 0
		for _, n := range counts {
			all += n
		}
		return float64(all) / time.Since(began).Seconds()
	}
}

// rawCaller repeats one request on one connection. It does not use net/http, whose
// client would take more time than the servers.
type rawCaller struct {
	conn    net.Conn
	in      *bufio.Reader
	request *numbered
	body    []byte
}

func (b *speedBench) dial(h *httpSession) *rawCaller {
	b.t.Helper()
	host := strings.TrimPrefix(h.url, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	request := fmt.Appendf(nil,
		"POST /mcp HTTP/1.1\r\nHost: %s\r\nAccept: application/json, text/event-stream\r\n"+
			"Content-Type: application/json\r\nMcp-Session-Id: %s\r\nMcp-Protocol-Version: %s\r\nContent-Length: %d\r\n\r\n%s",
		host, h.id, testedVersion, len(b.call), b.call)
	return &rawCaller{
		conn: conn, in: bufio.NewReaderSize(conn, 64<<10), request: number(request), body: make([]byte, 64<<10),
	}
}

// call makes the request, which must be answered with a completed export and a
// length.
func (c *rawCaller) call() error {
	if _, err := c.conn.Write(c.request.next()); err != nil {
		return err
	}
	length := -1
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("answered %q", line)
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
		if len(line) == 2 {
			break
		}
	}
	if length < 0 || length > len(c.body) {
		return fmt.Errorf("answered with Content-Length %d", length)
	}
	body := c.body[:length]
	if _, err := io.ReadFull(c.in, body); err != nil {
		return err
	}
	if !bytes.Contains(body, []byte(`"COMPLETED"`)) {
		return fmt.Errorf("answered %.500q", body)
	}
	return nil
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}
