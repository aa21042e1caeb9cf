//go:build unix

package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// served is a process of `serve`.
type served struct {
	t       *testing.T
	process *exec.Cmd
	url     string // without a path
	stderr  buffer
	ended   chan struct{} // closed when the process has ended
}

var (
	announcement = regexp.MustCompile(`MCP at (http://127\.0\.0\.1:\d+)/mcp`)
	broken       = regexp.MustCompile(`(?i)panic|internal error|fatal error|goroutine \d+ \[`)
)

// serveProgram starts `serve` on a free port with the built-in sandbox. At the end
// of the test its log must not contain a panic or an internal error.
func serveProgram(t *testing.T, program, dir string, more ...string) *served {
	t.Helper()
	return serveCommandLine(t, exec.Command(program, append([]string{
		"serve", "--addr", "127.0.0.1:0", "--sandbox", "--sandbox-now", "2026-11-05T12:00:00Z", "--sandbox-op-time", "200ms",
		"--sandbox-density", fewRows, "--dir", dir, "--log-level", "warn",
	}, more...)...))
}

// serveCommandLine starts c, a command line of `serve`, and waits for its address.
func serveCommandLine(t *testing.T, c *exec.Cmd) *served {
	t.Helper()
	log, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, process: c, ended: make(chan struct{})}
	urls := make(chan string, 1)
	go func() {
		defer close(s.ended)
		s.follow(log, urls)
		c.Wait()
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		<-s.ended
		if line := broken.FindString(s.stderr.String()); line != "" {
			t.Errorf("the log contains %q:\n%s", line, lastLines(s.stderr.String(), 60))
		}
	})
	select {
	case s.url = <-urls:
	case <-s.ended:
		t.Fatalf("the program ended at once:\n%s", s.stderr.String())
	case <-time.After(patience):
		t.Fatalf("no address is announced after %v:\n%s", patience, s.stderr.String())
	}
	return s
}

// follow collects the log, and sends the address that the program announces.
func (s *served) follow(log io.Reader, urls chan<- string) {
	for r := bufio.NewReader(log); ; {
		line, err := r.ReadString('\n')
		io.WriteString(&s.stderr, line)
		if found := announcement.FindStringSubmatch(line); found != nil {
			urls <- found[1]
		}
		if err != nil {
			return
		}
	}
}

// terminate sends SIGTERM, and returns the exit status and the time until the end.
// The status is -1 if the program still runs after limit.
func (s *served) terminate(limit time.Duration) (status int, took time.Duration) {
	began := time.Now()
	s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		return s.process.ProcessState.ExitCode(), time.Since(began)
	case <-time.After(limit):
		return -1, limit
	}
}

// resident returns the current and the peak resident memory of the program in kB.
// Both are 0 on systems other than Linux.
func (s *served) resident() (now, most int) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Sscan(rest, &now)
		}
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(rest, &most)
		}
	}
	return now, most
}

// awaitResident waits until at most kB are resident, or the limit is over, and
// returns the resident memory then. Go returns memory to the system slowly.
func (s *served) awaitResident(kB int, limit time.Duration) (now int) {
	end := time.Now().Add(limit)
	for now, _ = s.resident(); now > kB && time.Now().Before(end); now, _ = s.resident() {
		time.Sleep(250 * time.Millisecond)
	}
	return now
}

// newHTTPClient returns a client that keeps all its connections and follows no
// redirects.
func newHTTPClient(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 10_000, DisableCompression: true, ExpectContinueTimeout: time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, CheckRedirect: stay}
}

// rpcAnswer is a JSON-RPC message of the server.
type rpcAnswer struct {
	ID     json.RawMessage
	Method string
	Result json.RawMessage
	Error  *rpcError
}

type rpcError struct {
	Code    int
	Message string
	Data    json.RawMessage
}

func (e *rpcError) Error() string {
	return fmt.Sprintf("answered with error %d: %s", e.Code, e.Message)
}

// into decodes the result of a successful answer. A nil result is dropped.
func (a *rpcAnswer) into(result any) error {
	if a.Error != nil {
		return a.Error
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(a.Result, result)
}

// rpcRequest encodes a request with the id n, or a notification if n is 0.
func rpcRequest(n int64, method string, params any) []byte {
	m := map[string]any{"jsonrpc": "2.0", "method": method}
	if n != 0 {
		m["id"] = n
	}
	if params != nil {
		m["params"] = params
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return raw
}

const testedVersion = "2025-06-18"

var greeting = map[string]any{
	"protocolVersion": testedVersion, "capabilities": struct{}{},
	"clientInfo": map[string]string{"name": "test", "version": "1"},
}

// contentBlock is a part of the content of a result, a text or a link.
type contentBlock struct {
	Type, Text          string
	URI, Name, MIMEType string
	Size                int64
}

// toolResult is the result of tools/call.
type toolResult struct {
	IsError           bool
	StructuredContent json.RawMessage
	Content           []contentBlock
}

// into decodes the structured content of a successful call.
func (r *toolResult) into(out any) error {
	if r.IsError || len(r.Content) == 0 {
		return fmt.Errorf("the tool failed: %+v", r.Content)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(r.StructuredContent, out)
}

func toolCall(name string, args any) map[string]any {
	return map[string]any{"name": name, "arguments": args}
}

// caller is a conversation over either transport.
type caller interface {
	call(ctx context.Context, method string, params, result any) error
}

// callTool calls a tool and decodes its result into out. A result with isError is
// an error.
func callTool(ctx context.Context, c caller, name string, args, out any) error {
	var r toolResult
	if err := c.call(ctx, "tools/call", toolCall(name, args), &r); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := r.into(out); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// httpSession is a session over Streamable HTTP.
type httpSession struct {
	client *http.Client
	url    string // of the server, without a path
	id     string
	last   atomic.Int64 // id of the last request
}

// greet opens a session with initialize.
func (s *served) greet(ctx context.Context, client *http.Client) (*httpSession, error) {
	h := &httpSession{client: client, url: s.url}
	if err := h.call(ctx, "initialize", greeting, nil); err != nil {
		return nil, err
	}
	return h, nil
}

// open opens a session with the whole handshake.
func (s *served) open(ctx context.Context, client *http.Client) (*httpSession, error) {
	h, err := s.greet(ctx, client)
	if err != nil {
		return nil, err
	}
	r, err := h.post(ctx, rpcRequest(0, "notifications/initialized", nil))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusAccepted {
		return nil, fmt.Errorf("notifications/initialized: status %s, want 202", r.Status)
	}
	return h, nil
}

// do makes a request of the session at /mcp.
func (h *httpSession) do(ctx context.Context, method, accept string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, h.url+"/mcp", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if h.id != "" {
		r.Header.Set("Mcp-Session-Id", h.id)
		r.Header.Set("Mcp-Protocol-Version", testedVersion)
	}
	return h.client.Do(r)
}

func (h *httpSession) post(ctx context.Context, body []byte) (*http.Response, error) {
	return h.do(ctx, http.MethodPost, "application/json, text/event-stream", body)
}

// call makes a request and reads the response to its end.
func (h *httpSession) call(ctx context.Context, method string, params, result any) error {
	id := h.last.Add(1)
	r, err := h.post(ctx, rpcRequest(id, method, params))
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer r.Body.Close()
	answers, err := readAnswers(r)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	a, err := answerTo(id, answers)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if method == "initialize" {
		h.id = r.Header.Get("Mcp-Session-Id")
	}
	if err := a.into(result); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// readAnswers reads the messages in the response to a POST, which are JSON or
// events, to the end. A status other than 200 must come with an error that has the
// id of the request.
func readAnswers(r *http.Response) (answers []rpcAnswer, err error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.StatusCode != http.StatusOK || kind != "application/json" && kind != "text/event-stream" {
		text, err := io.ReadAll(io.LimitReader(r.Body, 4096))
		var a rpcAnswer
		if json.Unmarshal(text, &a) == nil && a.Error != nil && a.ID != nil && string(a.ID) != "null" {
			return []rpcAnswer{a}, nil
		}
		return nil, errors.Join(fmt.Errorf("status %s, %q: %.300q", r.Status, kind, text), err)
	}
	if kind == "application/json" {
		answers = make([]rpcAnswer, 1)
		if err := json.NewDecoder(r.Body).Decode(&answers[0]); err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, r.Body)
		return answers, err
	}
	for e, err := range events(r.Body) {
		if err != nil {
			return answers, err
		}
		if e.data == "" { // the first event of a stream that can be resumed is empty
			continue
		}
		var a rpcAnswer
		if err := json.Unmarshal([]byte(e.data), &a); err != nil {
			return answers, fmt.Errorf("an event is not JSON: %w: %.300q", err, e.data)
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// answerTo returns the answer to the request id. There must be exactly one.
func answerTo(id int64, answers []rpcAnswer) (*rpcAnswer, error) {
	var found *rpcAnswer
	for i, a := range answers {
		if a.Method != "" {
			continue
		}
		if string(a.ID) != fmt.Sprint(id) || found != nil {
			return nil, fmt.Errorf("request %d got an answer to %s", id, a.ID)
		}
		found = &answers[i]
	}
	if found == nil {
		return nil, fmt.Errorf("request %d was not answered: %w", id, io.ErrUnexpectedEOF)
	}
	return found, nil
}

// listen opens the stream of the session.
func (h *httpSession) listen(ctx context.Context) (io.ReadCloser, error) {
	r, err := h.do(ctx, http.MethodGet, "text/event-stream", nil)
	if err != nil {
		return nil, err
	}
	kind := r.Header.Get("Content-Type")
	if r.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		r.Body.Close()
		return nil, fmt.Errorf("GET /mcp: status %s, %q", r.Status, kind)
	}
	return r.Body, nil
}

// end ends the session.
func (h *httpSession) end(ctx context.Context) error {
	r, err := h.do(ctx, http.MethodDelete, "application/json", nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode/100 != 2 {
		return fmt.Errorf("DELETE /mcp: status %s", r.Status)
	}
	return nil
}

// streamEvent is one server-sent event.
type streamEvent struct{ name, data string }

// events yields the events of a stream until it ends. If the connection breaks it
// yields an error last.
func events(r io.Reader) iter.Seq2[streamEvent, error] {
	return func(yield func(streamEvent, error) bool) {
		var e streamEvent
		var data []string
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(streamEvent{}, err)
				return
			}
			key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case key == "event":
				e.name = value
			case key == "data":
				data = append(data, value)
			case strings.TrimRight(line, "\r\n") == "" && data != nil:
				e.data = strings.Join(data, "\n")
				if !yield(e, nil) {
					return
				}
				e, data = streamEvent{}, nil
			}
		}
	}
}

// sseSession is a conversation over the older transport.
type sseSession struct {
	client   *http.Client
	url      string // where messages are posted
	last     int64
	messages chan string // received; closed when the stream has ended
	end      error       // of the stream, nil for a clean end; set before messages is closed
	close    context.CancelFunc
}

// nextEvent reads the next event of a stream, and returns false at its end.
type nextEvent func() (streamEvent, error, bool)

// openStream opens the stream at /sse and reads its first event. It returns the
// stream and the URL to post messages to. Only next reads from the connection.
func (s *served) openStream(ctx context.Context, client *http.Client) (next nextEvent, post string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/sse", nil)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Accept", "text/event-stream")
	stream, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	if stream.StatusCode != http.StatusOK {
		stream.Body.Close()
		return nil, "", fmt.Errorf("GET /sse: status %s", stream.Status)
	}
	next, _ = iter.Pull2(events(stream.Body))
	first, err, ok := next()
	if err != nil || !ok || first.name != "endpoint" {
		return nil, "", fmt.Errorf("/sse begins with %+v, %v", first, err)
	}
	endpoint, err := r.URL.Parse(first.data)
	if err != nil {
		return nil, "", err
	}
	return next, endpoint.String(), nil
}

// openSSE opens a conversation over the older transport with the whole handshake.
func (s *served) openSSE(ctx context.Context, client *http.Client) (*sseSession, error) {
	streaming, stop := context.WithCancel(ctx)
	next, url, err := s.openStream(streaming, client)
	if err != nil {
		stop()
		return nil, err
	}
	c := &sseSession{client: client, url: url, messages: make(chan string, 1000), close: stop}
	go func() {
		defer close(c.messages)
		for {
			e, err, ok := next()
			if err != nil || !ok {
				c.end = err
				return
			}
			c.messages <- e.data
		}
	}()
	if err := c.call(ctx, "initialize", greeting, nil); err != nil {
		stop()
		return nil, err
	}
	if err := c.send(ctx, rpcRequest(0, "notifications/initialized", nil)); err != nil {
		stop()
		return nil, err
	}
	return c, nil
}

// post posts a message and returns the status.
func (c *sseSession) post(ctx context.Context, body []byte) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// send posts a message, which must be accepted.
func (c *sseSession) send(ctx context.Context, body []byte) error {
	status, err := c.post(ctx, body)
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("POST /message: status %d", status)
	}
	return err
}

// errStreamEnded is the clean end of a stream before an answer.
var errStreamEnded = fmt.Errorf("the stream ended: %w", io.EOF)

// receive waits for the next message.
func (c *sseSession) receive(ctx context.Context) (string, error) {
	select {
	case m, ok := <-c.messages:
		if !ok && c.end != nil {
			return "", c.end
		}
		if !ok {
			return "", errStreamEnded
		}
		return m, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// await waits for the answer to the request id.
func (c *sseSession) await(ctx context.Context, id int64) (*rpcAnswer, error) {
	for {
		m, err := c.receive(ctx)
		if err != nil {
			return nil, err
		}
		var a rpcAnswer
		if err := json.Unmarshal([]byte(m), &a); err != nil {
			return nil, fmt.Errorf("an event is not JSON: %w: %.300q", err, m)
		}
		if a.Method == "" && string(a.ID) == fmt.Sprint(id) {
			return &a, nil
		}
	}
}

func (c *sseSession) call(ctx context.Context, method string, params, result any) error {
	c.last++
	id := c.last
	if err := c.send(ctx, rpcRequest(id, method, params)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	a, err := c.await(ctx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if err := a.into(result); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// completedExport exports an hour, and returns the id of the operation once it is
// complete.
func completedExport(ctx context.Context, c caller) (operation string, err error) {
	operation, err = startedExport(ctx, c)
	if err != nil {
		return "", err
	}
	var op struct{ State string }
	for op.State != "COMPLETED" {
		args := map[string]any{"operation_id": operation, "wait_seconds": 20}
		if err := callTool(ctx, c, "get_export_operation", args, &op); err != nil {
			return "", err
		}
		if op.State == "FAILED" || op.State == "CANCELED" {
			return "", fmt.Errorf("the export is %s", op.State)
		}
	}
	return operation, nil
}

// recordedExport exports an hour, and returns the id of the operation once the
// ledger has it as complete: get_export_operation then sends no request.
func recordedExport(ctx context.Context, c caller) (operation string, err error) {
	if operation, err = completedExport(ctx, c); err != nil {
		return "", err
	}
	var api struct {
		URL string `json:"api_url"`
	}
	if err := callTool(ctx, c, "check_connection", struct{}{}, &api); err != nil {
		return "", err
	}
	for requests, last := 0, -1; requests != last; {
		last = requests
		if err := callTool(ctx, c, "get_export_operation", map[string]any{"operation_id": operation}, nil); err != nil {
			return "", err
		}
		if requests, err = requestsTo(ctx, api.URL); err != nil {
			return "", err
		}
		select {
		case <-time.After(200 * time.Millisecond): // time for the engine to record it
		case <-ctx.Done():
			return "", fmt.Errorf("a complete export is not in the ledger: %w", ctx.Err())
		}
	}
	return operation, nil
}

// requestsTo returns the number of requests that a sandbox has received.
func requestsTo(ctx context.Context, sandbox string) (n int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, sandbox+"/sandbox/stats", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var b books
	err = json.NewDecoder(answer.Body).Decode(&b)
	return b.Requests, err
}

func startedExport(ctx context.Context, c caller) (operation string, err error) {
	var made created
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-10-20T10:00:00Z", "2026-10-20T11:00:00Z"},
	}
	err = callTool(ctx, c, "create_segment_export", request, &made)
	return made.OperationID, err
}

// healthy lists the tools and checks the connection, as any client may.
func healthy(ctx context.Context, c caller) error {
	var list struct{ Tools []struct{ Name string } }
	if err := c.call(ctx, "tools/list", nil, &list); err != nil {
		return err
	}
	if len(list.Tools) < 5 {
		return fmt.Errorf("%d tools are listed", len(list.Tools))
	}
	var connection struct{ OK bool }
	if err := callTool(ctx, c, "check_connection", struct{}{}, &connection); err != nil {
		return err
	}
	if !connection.OK {
		return errors.New("check_connection is not ok")
	}
	return nil
}

// sent returns a context for one request, and a channel that is closed once the
// request is written.
func sent(ctx context.Context) (context.Context, <-chan struct{}) {
	written := make(chan struct{})
	once := sync.OnceFunc(func() { close(written) })
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { once() },
	}), written
}
