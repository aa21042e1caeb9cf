package remote

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// start starts a server with one tool, wait, which answers when release is
// closed.
func start(t *testing.T, sse bool) (url string, release, called chan struct{}, stop func() error) {
	t.Helper()
	release, called = make(chan struct{}), make(chan struct{}, 10)
	s := server.NewMCPServer("test", "1")
	s.AddTool(mcp.NewTool("wait"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		called <- struct{}{}
		select {
		case <-release:
			return mcp.NewToolResultText("released"), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(Options{MCP: s, SSE: sse}).Serve(ctx, l, nil) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if !stopped {
			if err := stop(); err != nil {
				t.Errorf("the server ended with %v", err)
			}
		}
	})
	return "http://" + l.Addr().String(), release, called, stop
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// do makes a request with headers, of which Host is taken apart.
func do(t *testing.T, method, url string, headers map[string]string, body io.Reader) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	for key, value := range headers {
		if key == "Host" {
			r.Host = value
		}
		r.Header.Set(key, value)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		cancel()
		t.Fatalf("%s %s: %v", method, url, err)
	}
	t.Cleanup(func() { cancel(); response.Body.Close() })
	for key := range response.Header {
		if strings.HasPrefix(key, "Access-Control") {
			t.Errorf("%s %s answers %s", method, url, key)
		}
	}
	return response
}

// TestGuard tries each route as web pages and strangers would.
func TestGuard(t *testing.T) {
	url, _, _, _ := start(t, true)
	port := url[strings.LastIndex(url, ":"):]
	post := func() io.Reader { return strings.NewReader(initialize) }
	for _, test := range []struct {
		name    string
		headers map[string]string
		allowed bool
	}{
		{"a program", nil, true},
		{"localhost", map[string]string{"Host": "localhost" + port}, true},
		{"LOCALHOST", map[string]string{"Host": "LOCALHOST" + port}, true},
		{"IPv6", map[string]string{"Host": "[::1]" + port}, true},
		{"127.0.0.2", map[string]string{"Host": "127.0.0.2" + port}, true},
		{"own origin", map[string]string{"Origin": url}, true},
		{"foreign origin", map[string]string{"Origin": "https://evil.example"}, false},
		{"null origin", map[string]string{"Origin": "null"}, false},
		{"empty origin", map[string]string{"Origin": ""}, false},
		{"origin on another port", map[string]string{"Origin": "http://127.0.0.1:1"}, false},
		{"origin that looks alike", map[string]string{"Origin": "http://127.0.0.1.evil.example" + port}, false},
		{"rebound name", map[string]string{"Host": "evil.example" + port}, false},
		{"rebound name with its origin", map[string]string{"Host": "evil.example" + port, "Origin": "http://evil.example" + port}, false},
		{"host that looks alike", map[string]string{"Host": "localhost.evil.example"}, false},
		{"another address", map[string]string{"Host": "192.168.0.1" + port}, false},
	} {
		for _, route := range []struct {
			method, path string
			body         io.Reader
		}{{"POST", "/mcp", post()}, {"GET", "/sse", nil}, {"POST", "/message?sessionId=x", post()}} {
			got := do(t, route.method, url+route.path, test.headers, route.body).StatusCode
			if refused := got == http.StatusForbidden; refused == test.allowed {
				t.Errorf("%s: %s %s answers %d, allowed is %v", test.name, route.method, route.path, got, test.allowed)
			}
		}
	}
}

func TestBodies(t *testing.T) {
	url, _, _, _ := start(t, true)
	big := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`
	for _, path := range []string{"/mcp", "/message?sessionId=x"} {
		for kind, want := range map[string]int{"text/plain": 415, "application/x-www-form-urlencoded": 415, "": 415, "multipart/form-data; boundary=x": 415} {
			if got := do(t, "POST", url+path, map[string]string{"Content-Type": kind}, strings.NewReader(initialize)).StatusCode; got != want {
				t.Errorf("%s with Content-Type %q answers %d, want %d", path, kind, got, want)
			}
		}
		if got := do(t, "POST", url+path, nil, strings.NewReader(big)).StatusCode; got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with a large body answers %d", path, got)
		}
		// Without a length the body has to be read before it is known.
		chunked := do(t, "POST", url+path, nil, io.MultiReader(strings.NewReader(big)))
		if chunked.StatusCode < 400 || chunked.StatusCode >= 500 {
			t.Errorf("%s with a large chunked body answers %d", path, chunked.StatusCode)
		}
	}
	if got := do(t, "GET", url+"/healthz", nil, nil); got.StatusCode != http.StatusOK {
		t.Errorf("/healthz answers %d", got.StatusCode)
	}
}

func TestWithoutSSE(t *testing.T) {
	url, _, _, _ := start(t, false)
	for method, path := range map[string]string{"GET": "/sse", "POST": "/message"} {
		if got := do(t, method, url+path, nil, nil).StatusCode; got != http.StatusNotFound {
			t.Errorf("%s %s answers %d", method, path, got)
		}
	}
	if got := do(t, "POST", url+"/mcp", nil, strings.NewReader(initialize)).StatusCode; got != http.StatusOK {
		t.Errorf("/mcp answers %d", got)
	}
}

// TestStop ends a server that has streams open and a call running: the streams
// are closed, the call is answered.
func TestStop(t *testing.T) {
	url, release, called, stop := start(t, true)
	hello := do(t, "POST", url+"/mcp", nil, strings.NewReader(initialize))
	session := map[string]string{"Mcp-Session-Id": hello.Header.Get("Mcp-Session-Id")}
	io.Copy(io.Discard, hello.Body)
	stream := do(t, "GET", url+"/sse", map[string]string{"Accept": "text/event-stream"}, nil)
	if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "event: endpoint") {
		t.Fatalf("/sse begins with %q, %v", line, err)
	}
	listen := do(t, "GET", url+"/mcp", map[string]string{"Accept": "text/event-stream", "Mcp-Session-Id": session["Mcp-Session-Id"]}, nil)
	if listen.StatusCode != http.StatusOK {
		t.Fatalf("GET /mcp answers %d", listen.StatusCode)
	}
	answered := make(chan string, 1)
	go func() {
		r := do(t, "POST", url+"/mcp", session, strings.NewReader(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"wait","arguments":{}}}`))
		body, err := io.ReadAll(r.Body)
		answered <- fmt.Sprint(string(body), err)
	}()
	<-called
	began := time.Now()
	time.AfterFunc(200*time.Millisecond, func() { close(release) })
	if err := stop(); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("ended with %v after %v", err, time.Since(began))
	}
	if got := <-answered; !strings.Contains(got, "released") {
		t.Errorf("the running call was answered %q", got)
	}
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Logf("the stream ended with %v", err)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	var log bytes.Buffer
	s := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	h := s.recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/mcp", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || !strings.Contains(log.String(), "secret") {
		t.Errorf("answered %d %q, logged %q", w.Code, w.Body, log.String())
	}
}
