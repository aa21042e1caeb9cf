package transport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/auth"
)

// world is a server with a few tools, and what they did.
type world struct {
	t       *testing.T
	url     string
	server  *Server
	called  chan string   // the tools wait and stuck tell that they run
	release chan struct{} // closed: wait answers
	ended   chan error    // how calls of wait ended that were not released
	stop    func() error
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newTools returns a world without a server.
func newTools(t *testing.T) *world {
	return &world{
		t: t, called: make(chan string, 1000), release: make(chan struct{}), ended: make(chan error, 1000),
		log: &lockedBuffer{},
	}
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// newWorld starts a server on loopback. change may be nil.
func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := newTools(t)
	o := Options{MCP: w.mcp(), SSE: true, Log: w.logger()}
	o.ReadOnly = server.NewMCPServer("read-only", "1")
	if change != nil {
		change(&o)
	}
	w.server = New(o)
	w.server.lateTime = 0 // each test stops a server
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Serve(ctx, l, nil) }()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return w
}

func (w *world) mcp() *server.MCPServer {
	s := server.NewMCPServer("test", "1", server.WithResourceCapabilities(true, false), server.WithLogging())
	s.AddTool(mcp.NewTool("wait"), w.wait)
	s.AddTool(mcp.NewTool("count", mcp.WithNumber("to")), count)
	s.AddTool(mcp.NewTool("big", mcp.WithNumber("bytes")), large)
	s.AddTool(mcp.NewTool("whoami"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("you are " + auth.CallerOf(ctx).Name), nil
	})
	s.AddTool(mcp.NewTool("panic"), panics[mcp.CallToolRequest, *mcp.CallToolResult])
	s.AddPrompt(mcp.NewPrompt("panic"), panics[mcp.GetPromptRequest, *mcp.GetPromptResult])
	s.AddResource(mcp.NewResource("test://panic", "panic"), panics[mcp.ReadResourceRequest, []mcp.ResourceContents])
	return s
}

func panics[Request, Result any](context.Context, Request) (Result, error) { panic("canary") }

func large(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(strings.Repeat("x", r.GetInt("bytes", 0))), nil
}

// wait answers when it is released, and reports how it ended if it was not.
func (w *world) wait(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	w.called <- "wait"
	select {
	case <-w.release:
		return mcp.NewToolResultText("released"), nil
	case <-ctx.Done():
		w.ended <- context.Cause(ctx)
		return mcp.NewToolResultError("ended: " + context.Cause(ctx).Error()), nil
	}
}

// count reports its progress up to a number, the last time right before its
// result.
func count(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	to := r.GetInt("to", 0)
	for i := 1; i <= to; i++ {
		err := server.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress", map[string]any{
			"progressToken": r.Params.Meta.ProgressToken, "progress": i,
		})
		for errors.Is(err, server.ErrNotificationChannelBlocked) { // this test counts each one
			time.Sleep(time.Millisecond)
			err = server.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress", map[string]any{
				"progressToken": r.Params.Meta.ProgressToken, "progress": i,
			})
		}
	}
	return mcp.NewToolResultText(fmt.Sprint(to)), nil
}

// do makes a request with headers, of which Host is taken apart. It gives up
// after 20 seconds.
func do(t *testing.T, method, url string, headers map[string]string, body io.Reader) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	t.Cleanup(cancel)
	response, err := try(ctx, method, url, headers, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func try(ctx context.Context, method, url string, headers map[string]string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for key, value := range headers {
		if key == "Host" {
			r.Host = value
		}
		r.Header.Set(key, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
	`"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// toolCall is a call of a tool, with its id as progress token.
func toolCall(id any, tool string, arguments string) string {
	encoded, _ := json.Marshal(id)
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":%q,"arguments":%s,`+
		`"_meta":{"progressToken":%s}}}`, encoded, tool, arguments, encoded)
}

// hello opens a session over /mcp and returns the headers of its requests.
func (w *world) hello(headers map[string]string) map[string]string {
	w.t.Helper()
	r := do(w.t, "POST", w.url+"/mcp", headers, strings.NewReader(initialize))
	io.Copy(io.Discard, r.Body)
	id := r.Header.Get("Mcp-Session-Id")
	if r.StatusCode != http.StatusOK || id == "" {
		w.t.Fatalf("initialize answers %d, session %q", r.StatusCode, id)
	}
	all := map[string]string{"Mcp-Session-Id": id}
	for key, value := range headers {
		all[key] = value
	}
	return all
}

// post sends a message to /mcp and returns all that it is answered.
func (w *world) post(headers map[string]string, message string) (status int, events []sse) {
	w.t.Helper()
	r := do(w.t, "POST", w.url+"/mcp", headers, strings.NewReader(message))
	if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
		return r.StatusCode, newReader(r.Body).all()
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.StatusCode, []sse{{data: strings.TrimSpace(string(raw))}}
}

// sse is one server-sent event.
type sse struct{ id, name, data string }

type reader struct{ *bufio.Reader }

func newReader(r io.Reader) reader { return reader{bufio.NewReaderSize(r, 1<<20)} }

// next returns the next event; comments are passed over.
func (r reader) next() (e sse, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, err
		}
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		switch {
		case key == "id":
			e.id = value
		case key == "event":
			e.name = value
		case key == "data":
			e.data += value
		case key == "" && value == "" && (e.data != "" || e.name != ""):
			return e, nil
		}
	}
}

func (r reader) all() (events []sse) {
	for {
		e, err := r.next()
		if err != nil {
			return events
		}
		events = append(events, e)
	}
}

// sseClient is a session over /sse.
type sseClient struct {
	w        *world
	headers  map[string]string
	endpoint string
	events   reader
	close    func()
}

// converse opens a session over /sse.
func (w *world) converse(headers map[string]string) *sseClient {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	r, err := try(ctx, "GET", w.url+"/sse", headers, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &sseClient{w: w, headers: headers, events: newReader(r.Body), close: func() { cancel(); r.Body.Close() }}
	e, err := c.events.next()
	if err != nil || r.StatusCode != http.StatusOK || e.name != "endpoint" {
		w.t.Fatalf("GET /sse answers %d and begins with %+v, %v", r.StatusCode, e, err)
	}
	c.endpoint = resolve(w.t, w.url+"/sse", e.data)
	return c
}

// resolve returns the address that a reference means in a stream at base, as clients
// resolve it.
func resolve(t *testing.T, base, reference string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if u, err = u.Parse(reference); err != nil {
		t.Fatal(err)
	}
	return u.String()
}

func (c *sseClient) post(message string) int {
	c.w.t.Helper()
	return do(c.w.t, "POST", c.endpoint, c.headers, strings.NewReader(message)).StatusCode
}

// next returns the next event of the session.
func (c *sseClient) next() sse {
	c.w.t.Helper()
	got := make(chan sse, 1)
	go func() {
		e, err := c.events.next()
		if err != nil {
			e = sse{data: err.Error()}
		}
		got <- e
	}()
	select {
	case e := <-got:
		return e
	case <-time.After(20 * time.Second):
		c.w.t.Fatal("no event for 20 s")
		return sse{}
	}
}

// waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// await returns what arrives on c.
func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(15 * time.Second):
		t.Fatalf("still not: %s", what)
		panic("unreachable")
	}
}
