//go:build unix

package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bystander starts a well-behaved client, which calls until stop. Each answer has a
// limit of two seconds with -slow. stop returns the number of calls.
func (s *served) bystander() (stop func() int) {
	s.t.Helper()
	h, err := s.open(s.t.Context(), newHTTPClient(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	calls := 0
	var calling sync.WaitGroup
	calling.Go(func() {
		failed, worst := 0, time.Duration(0)
		for failed < 5 {
			began := time.Now()
			if err := quick(s.t.Context(), h); err != nil {
				failed++
				s.t.Errorf("a well-behaved client is not served: %v", err)
			}
			calls++
			worst = max(worst, time.Since(began))
			select {
			case <-done:
				s.t.Logf("a well-behaved client called %d times, and waited %v at most", calls, worst.Round(time.Millisecond))
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() int {
		close(done)
		calling.Wait()
		return calls
	}
}

// quick makes a ping and a tools/call. The server promises each within two seconds.
func quick(ctx context.Context, h *httpSession) error {
	ping, cancel := context.WithTimeout(ctx, promised(2*time.Second))
	defer cancel()
	if err := h.call(ping, "ping", nil, nil); err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, promised(2*time.Second))
	defer cancel()
	return callTool(call, h, "plan_time_chunks", map[string]any{"time_range": window{Start: "2026-10"}}, nil)
}

// dial opens a TCP connection.
func (s *served) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// slowSenders opens n connections of each kind. Each sends the beginning of a
// request and then a byte a second; the server must disconnect every one.
func (s *served) slowSenders(n int) {
	s.t.Helper()
	client := newHTTPClient(s.t)
	h, err := s.open(s.t.Context(), client)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := s.openSSE(s.t.Context(), client)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.close()
	const body = " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
		"Accept: application/json, text/event-stream\r\nContent-Length: 1000\r\n"
	var all sync.WaitGroup
	for _, kind := range []struct {
		name, beginning string
		limit           time.Duration
	}{
		{"headers", "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", 15 * time.Second},
		{"body to /mcp", "POST /mcp" + body + "Mcp-Session-Id: " + h.id + "\r\n\r\n{", 20 * time.Second},
		{"body to /message", "POST " + strings.TrimPrefix(c.url, s.url) + body + "\r\n{", 20 * time.Second},
	} {
		var connections []net.Conn
		for range n {
			connections = append(connections, s.dial())
		}
		all.Go(func() {
			began, limit := time.Now(), promised(kind.limit)
			if left := s.sendSlowly(connections, kind.beginning, limit); left > 0 {
				s.t.Errorf("%s: %d of %d connections that send a byte a second are open after %v", kind.name, left, n, limit)
				return
			}
			s.t.Logf("%s: %d connections that send a byte a second are disconnected after %v at most", kind.name, n,
				time.Since(began).Round(100*time.Millisecond))
		})
	}
	all.Wait()
}

// sendSlowly returns the number of connections that are open after the limit.
func (s *served) sendSlowly(connections []net.Conn, beginning string, limit time.Duration) int64 {
	var open atomic.Int64
	var clients sync.WaitGroup
	for _, c := range connections {
		clients.Go(func() {
			io.WriteString(c, beginning)
			if !endsWithin(c, limit) {
				open.Add(1)
			}
		})
	}
	clients.Wait()
	return open.Load()
}

// endsWithin writes a byte a second, and reports whether the other end closes or
// resets the connection within the limit.
func endsWithin(c net.Conn, limit time.Duration) bool {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Second):
				c.Write([]byte("a"))
			}
		}
	}()
	c.SetReadDeadline(time.Now().Add(limit))
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// growth returns the increase of the peak memory since it was `before`, in kB.
func (s *served) growth(before int) int {
	_, most := s.resident()
	return most - before
}

// TestSlow has clients that send slowly, send too much, or do not read, while a
// well-behaved client must be served.
func TestSlow(t *testing.T) {
	t.Parallel()
	program := build(t)
	many := func(full, short int) int {
		if *slow {
			return full
		}
		return short
	}
	for _, test := range []struct {
		name  string
		do    func(s *served)
		calls int // the least number of calls of the well-behaved client meanwhile
	}{
		// The first slow sender is disconnected after five seconds.
		{"slow senders", func(s *served) { s.slowSenders(many(200, 10)) }, 3},
		{"large body", (*served).largeBodies, 1},
		{"many headers", (*served).manyHeaders, 1},
		{"unread", func(s *served) { s.unread(many(4000, 400)) }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serveProgram(t, program, t.TempDir())
			stop := s.bystander()
			defer func() {
				if calls := stop(); calls < test.calls {
					t.Errorf("a well-behaved client made %d calls, want at least %d", calls, test.calls)
				}
			}()
			test.do(s)
		})
	}
}

// largeBodies sends 64 MiB to each route, with and without a Content-Length.
func (s *served) largeBodies() {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	client := newHTTPClient(s.t)
	h, err := s.open(ctx, client)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := s.openSSE(ctx, client)
	if err != nil {
		s.t.Fatal(err)
	}
	_, before := s.resident()
	for _, url := range []string{s.url + "/mcp", c.url} {
		for _, length := range []int64{64 << 20, -1} {
			s.largeBody(ctx, h, url, length)
		}
	}
	grown := s.growth(before)
	s.t.Logf("%d kB more after four bodies of 64 MiB", grown)
	if grown >= 20<<10 {
		s.t.Errorf("a body of 64 MiB takes %d kB, want less than 20 MB", grown)
	}
}

// repeated is an endless reader of one byte.
type repeated byte

func (b repeated) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{byte(b)}, len(p)))
	return len(p), nil
}

func (s *served) largeBody(ctx context.Context, h *httpSession, url string, length int64) {
	s.t.Helper()
	const head = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"`
	body := io.LimitReader(io.MultiReader(strings.NewReader(head), repeated('x')), 64<<20)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.ContentLength = length
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Session-Id", h.id)
	answer, err := h.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			s.t.Errorf("64 MiB to %s, length %d: neither rejected nor disconnected: %v", r.URL.Path, length, err)
		}
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		s.t.Errorf("64 MiB to %s, length %d: status %s with %q, want 413", r.URL.Path, length, answer.Status, text)
	}
}

// manyHeaders sends 100,000 headers.
func (s *served) manyHeaders() {
	_, before := s.resident()
	c := s.dial()
	c.SetDeadline(time.Now().Add(promised(20 * time.Second)))
	go func() {
		w := bufio.NewWriter(c)
		io.WriteString(w, "GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n")
		for i := range 100_000 {
			fmt.Fprintf(w, "X-%d: y\r\n", i)
		}
		io.WriteString(w, "\r\n")
		w.Flush()
	}()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.t.Error("100,000 headers: neither rejected nor disconnected in time")
	case err == nil && answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge:
		s.t.Errorf("100,000 headers: status %s, want 431", answer.Status)
	}
	s.t.Logf("%d kB more after 100,000 headers", s.growth(before))
}

// newLazyClient returns a client with a small receive buffer, so that a server
// notices soon that it does not read.
func newLazyClient(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(16 << 10)
		}
		return c, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// unread requests long answers on a stream that the client stops reading. The
// server must neither keep them all nor stop serving others.
func (s *served) unread(messages int) {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	h, err := s.open(ctx, newHTTPClient(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	h.client = newLazyClient(s.t)
	listening, err := h.listen(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	defer listening.Close()
	c := &sseSession{client: newHTTPClient(s.t)}
	next, url, err := s.openStream(ctx, newLazyClient(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	c.url = url
	if err := c.send(ctx, rpcRequest(1, "initialize", greeting)); err != nil {
		s.t.Fatal(err)
	}
	if e, err, ok := next(); err != nil || !ok {
		s.t.Fatalf("initialize was not answered on the stream: %+v, %v", e, err)
	}
	// The first list generates the schemas, which stay in memory.
	if err := c.send(ctx, rpcRequest(2, "tools/list", nil)); err != nil {
		s.t.Fatal(err)
	}
	if e, err, ok := next(); err != nil || !ok {
		s.t.Fatalf("tools/list was not answered on the stream: %+v, %v", e, err)
	}
	before, _ := s.resident() // from here on nothing is read
	accepted, rejected := s.flood(c, messages)
	limit := 2 * time.Second
	if *slow {
		limit = 60 * time.Second
	}
	cut := rejected > 0 || s.awaitCut(c, limit)
	now, most := s.resident()
	s.t.Logf("%d lists were asked for on a stream that is not read, %d rejected; %d kB before, %d after, %d at most; "+
		"disconnected: %v", accepted+rejected, rejected, before, now, most, cut)
	if *slow && !cut {
		s.t.Error("an unread stream is neither disconnected nor are its messages rejected within 60 s")
	}
	if grown := most - before; grown >= 40<<10 {
		s.t.Errorf("answers that nobody reads take %d kB, want less than 40 MB", grown)
	}
}

// flood posts requests for long answers, eight at a time, and counts those that
// were accepted and those that were rejected with a valid status.
func (s *served) flood(c *sseSession, n int) (accepted, rejected int64) {
	var next, good, bad atomic.Int64
	var posting sync.WaitGroup
	for range 8 {
		posting.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				switch ok, err := s.posted(c, rpcRequest(i+2, "tools/list", nil)); {
				case err != nil:
					s.t.Errorf("message %d to a stream that is not read: %v", i, err)
					return
				case ok:
					good.Add(1)
				default:
					bad.Add(1)
				}
			}
		})
	}
	posting.Wait()
	return good.Load(), bad.Load()
}

// posted posts a message and reports whether it was accepted. Any answer other than
// acceptance or rejection is an error.
func (s *served) posted(c *sseSession, body []byte) (accepted bool, err error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	status, err := c.post(ctx, body)
	switch {
	case err != nil:
		return false, err
	case status == http.StatusAccepted:
		return true, nil
	case status >= 400 && status < 500 || status == http.StatusServiceUnavailable:
		return false, nil
	}
	return false, fmt.Errorf("status %d", status)
}

// awaitCut waits until messages to a session are rejected, which happens once its
// stream is disconnected.
func (s *served) awaitCut(c *sseSession, limit time.Duration) bool {
	s.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Second) {
		accepted, err := s.posted(c, rpcRequest(1_000_000, "ping", nil))
		if err != nil {
			s.t.Errorf("a ping to a stream that is not read: %v", err)
			return false
		}
		if !accepted {
			return true
		}
	}
	return false
}

// runningCalls are calls that wait for an operation that does not end.
type runningCalls struct {
	*served
	operation string
	running   chan struct{} // receives once per call that was sent
	ended     chan error    // receives the outcome of each call; nil for a result
}

// overHTTP calls in a session of its own.
func (r *runningCalls) overHTTP(client *http.Client) error {
	h, err := r.open(r.t.Context(), client)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	ctx, written := sent(r.t.Context())
	go func() {
		<-written
		r.running <- struct{}{}
	}()
	return h.call(ctx, "tools/call", r.params(), nil)
}

// overSSE calls in a session over the older transport.
func (r *runningCalls) overSSE(client *http.Client) error {
	c, err := r.openSSE(r.t.Context(), client)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer c.close()
	const id = 1000
	if err := c.send(r.t.Context(), rpcRequest(id, "tools/call", r.params())); err != nil {
		return err
	}
	r.running <- struct{}{}
	a, err := c.await(r.t.Context(), id)
	if err != nil {
		return err
	}
	return a.into(nil)
}

func (r *runningCalls) params() map[string]any {
	return toolCall("get_export_operation", map[string]any{"operation_id": r.operation, "wait_seconds": 20})
}

// startCalls makes n calls over each transport, and returns once all run.
func startCalls(s *served, n int) *runningCalls {
	t := s.t
	t.Helper()
	client := newHTTPClient(t)
	h, err := s.open(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	r := &runningCalls{served: s, running: make(chan struct{}, 2*n), ended: make(chan error, 2*n)}
	if r.operation, err = startedExport(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	for range n {
		go func() { r.ended <- r.overHTTP(client) }()
		go func() { r.ended <- r.overSSE(client) }()
	}
	limit := time.After(patience)
	for range 2 * n {
		select {
		case <-r.running:
		case err := <-r.ended:
			t.Fatalf("a call that waits 20 s has ended at once: %v", err)
		case <-limit:
			t.Fatalf("the calls do not run after %v", patience)
		}
	}
	// A later call has been answered, so the server has received the others.
	if err := quick(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	return r
}

// check awaits the end of the calls: an answer, or a clean end of the stream.
func (r *runningCalls) check() {
	r.t.Helper()
	limit := time.After(patience)
	results, failures, cut := 0, 0, 0
	for i := range cap(r.ended) {
		var err error
		select {
		case err = <-r.ended:
		case <-limit:
			r.t.Fatalf("%d calls have not ended %v after the server", cap(r.ended)-i, patience)
		}
		var answered *rpcError
		switch {
		case err == nil:
			results++
		case errors.As(err, &answered):
			failures++
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			cut++
		default:
			r.t.Errorf("a running call ended with %v", err)
		}
	}
	r.t.Logf("%d calls ended with a result, %d with an error, %d with the end of the stream", results, failures, cut)
}

// stops terminates the server, which promises to end within ten seconds.
func (s *served) stops() {
	s.t.Helper()
	status, took := s.terminate(promised(10 * time.Second))
	if status != 0 {
		s.t.Errorf("status %d after %v, want 0 (-1: it still runs)\n%s", status, took, lastLines(s.stderr.String(), 30))
		return
	}
	s.t.Logf("stopped in %v", took.Round(10*time.Millisecond))
}

// TestStopWithRunningCalls stops the server while calls run, and then while a bulk
// export runs, which must resume at the next start.
func TestStopWithRunningCalls(t *testing.T) {
	t.Parallel()
	program, dir := build(t), t.TempDir()
	t.Run("calls", func(t *testing.T) {
		s := serveProgram(t, program, dir, "--sandbox-op-time", "1h")
		calls := startCalls(s, 25)
		s.stops()
		calls.check()
	})
	began := t.Run("bulk export", func(t *testing.T) {
		// The export takes four seconds, so that it still runs when the server stops.
		s := serveProgram(t, program, dir, "--sandbox-op-time", "600ms")
		startDay(t, s)
		s.stops()
	})
	if !began {
		return
	}
	t.Run("next start", func(t *testing.T) {
		resumeDay(t, serveProgram(t, program, dir, "--sandbox-op-time", "300ms"))
	})
}

// startDay starts a bulk export of twelve chunks, two at a time, and returns once a
// chunk is stored.
func startDay(t *testing.T, s *served) {
	t.Helper()
	h, err := s.open(t.Context(), newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{Start: "2026-10-21"},
		"chunk": "PT2H", "name": "day", "max_in_flight": 2,
	}
	if err := callTool(t.Context(), h, "start_bulk_export", request, nil); err != nil {
		t.Fatal(err)
	}
	for status := (bulkStatus{}); status.Chunks.Stored < 1; {
		status = bulkOf(t, h, "day")
		if status.State != "running" {
			t.Fatalf("the bulk export is %+v, want it to run when the server stops", status)
		}
	}
}

// resumeDay awaits the end of the bulk export of startDay.
func resumeDay(t *testing.T, s *served) {
	t.Helper()
	h, err := s.open(t.Context(), newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	status := bulkStatus{State: "running"}
	for end := time.Now().Add(testLimit); status.State == "running" && time.Now().Before(end); {
		status = bulkOf(t, h, "day")
	}
	if status.State != "complete" || status.Chunks.Stored != 12 {
		t.Errorf("the bulk export is %+v, want it complete with 12 chunks", status)
	}
	eachOnce(t, h, 12)
}

// bulkOf returns the status of a bulk export, after a second or a change.
func bulkOf(t *testing.T, h *httpSession, id string) (status bulkStatus) {
	t.Helper()
	args := map[string]any{"bulk_id": id, "wait_seconds": 1}
	if err := callTool(t.Context(), h, "get_bulk_export", args, &status); err != nil {
		t.Fatal(err)
	}
	return status
}

// eachOnce checks in the list of operations that each window of the bulk export
// was exported once.
func eachOnce(t *testing.T, h *httpSession, windows int) {
	t.Helper()
	var list struct {
		Operations []struct {
			Range window `json:"time_range"`
		}
		HasMore bool `json:"has_more"`
	}
	if err := callTool(t.Context(), h, "list_export_operations", map[string]any{"limit": 100}, &list); err != nil {
		t.Fatal(err)
	}
	exported := map[window]int{}
	for _, op := range list.Operations {
		if strings.HasPrefix(op.Range.Start, "2026-10-21T") {
			exported[op.Range]++
		}
	}
	// One more operation is the export that the calls waited for.
	if len(exported) != windows || len(list.Operations) != windows+1 || list.HasMore {
		t.Errorf("%d operations of %d windows, want one of each of %d, and another: %v", len(list.Operations), len(exported),
			windows, exported)
	}
}
