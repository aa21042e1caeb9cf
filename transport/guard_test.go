package transport

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// routes are requests to each route that the guard stands before.
var routes = []struct{ method, path, body string }{
	{"POST", "/mcp", initialize}, {"GET", "/mcp", ""}, {"DELETE", "/mcp", ""},
	{"GET", "/sse", ""}, {"POST", "/message?sessionId=x", initialize}, {"GET", "/metrics", ""},
}

func bodyOf(text string) io.Reader {
	if text == "" {
		return nil
	}
	return strings.NewReader(text)
}

// TestGuard tries each route as web pages and strangers would.
func TestGuard(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Hosts, o.Origins = []string{"mcp.example.com"}, []string{"https://app.example.com"}
	})
	port := w.url[strings.LastIndex(w.url, ":"):]
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
		{"own origin", map[string]string{"Origin": w.url}, true},
		{"allowed host", map[string]string{"Host": "mcp.example.com"}, true},
		{"allowed host, its port and case", map[string]string{"Host": "MCP.example.com:443"}, true},
		{"allowed origin", map[string]string{"Origin": "https://app.example.com"}, true},
		{"allowed origin on another port", map[string]string{"Origin": "https://app.example.com:8443"}, false},
		{"allowed origin without TLS", map[string]string{"Origin": "http://app.example.com"}, false},
		{"foreign origin", map[string]string{"Origin": "https://evil.example"}, false},
		{"null origin", map[string]string{"Origin": "null"}, false},
		{"empty origin", map[string]string{"Origin": ""}, false},
		{"origin on another port", map[string]string{"Origin": "http://127.0.0.1:1"}, false},
		{"origin that looks alike", map[string]string{"Origin": "http://127.0.0.1.evil.example" + port}, false},
		{"rebound name", map[string]string{"Host": "evil.example" + port}, false},
		{"rebound name with its origin",
			map[string]string{"Host": "evil.example" + port, "Origin": "http://evil.example" + port}, false},
		{"host that looks alike", map[string]string{"Host": "localhost.evil.example"}, false},
		{"allowed host with more behind it", map[string]string{"Host": "mcp.example.com.evil.example"}, false},
		{"another address", map[string]string{"Host": "192.168.0.1" + port}, false},
	} {
		for _, route := range routes {
			r := do(t, route.method, w.url+route.path, test.headers, bodyOf(route.body))
			if rejected := r.StatusCode == http.StatusForbidden; rejected == test.allowed {
				t.Errorf("%s: %s %s answers %d, allowed is %v", test.name, route.method, route.path, r.StatusCode, test.allowed)
			}
			want := ""
			if test.name == "allowed origin" {
				want = "https://app.example.com"
			}
			if got := r.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s: %s %s allows the origin %q", test.name, route.method, route.path, got)
			}
		}
	}
}

// TestPreflight asks what a browser asks before it lets a page post.
func TestPreflight(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Origins = []string{"https://app.example.com"} })
	for _, path := range []string{"/mcp", "/sse", "/message"} {
		ask := map[string]string{"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST",
			"Access-Control-Request-Headers": "mcp-protocol-version"}
		r := do(t, "OPTIONS", w.url+path, ask, nil)
		if h := r.Header; r.StatusCode != http.StatusNoContent ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Mcp-Protocol-Version") ||
			!strings.Contains(h.Get("Access-Control-Expose-Headers"), "Mcp-Session-Id") {
			t.Errorf("OPTIONS %s answers %d %v", path, r.StatusCode, h)
		}
		ask["Origin"] = "https://evil.example"
		if r := do(t, "OPTIONS", w.url+path, ask, nil); r.StatusCode != http.StatusForbidden ||
			r.Header.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("OPTIONS %s of a foreign page answers %d %v", path, r.StatusCode, r.Header)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.converse(nil)
	big := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`
	for _, url := range []string{w.url + "/mcp", c.endpoint} {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "",
			"multipart/form-data; boundary=x", "application/jsonp"} {
			r := do(t, "POST", url, map[string]string{"Content-Type": kind}, strings.NewReader(initialize))
			if got := r.StatusCode; got != http.StatusUnsupportedMediaType {
				t.Errorf("%s with Content-Type %q answers %d", url, kind, got)
			}
		}
		if got := do(t, "POST", url, nil, strings.NewReader(big)).StatusCode; got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with a large body answers %d", url, got)
		}
		// Without a length the body has to be read before it is known.
		r := do(t, "POST", url, nil, io.MultiReader(strings.NewReader(big)))
		if got := r.StatusCode; got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with a large chunked body answers %d", url, got)
		}
		for body, code := range map[string]string{
			"": "-32700", "{": "-32700", "nonsense": "-32700", "[]": "-32600", "1": "-32600", "null": "-32600", `"x"`: "-32600",
			`{"jsonrpc":"2.0","id":{},"method":"ping"}`: "-32600", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`: "-32600",
			`{"jsonrpc":"2.0","id":1,"method":7}`: "-32600",
		} {
			r := do(t, "POST", url, nil, strings.NewReader(body))
			raw, _ := io.ReadAll(r.Body)
			if r.StatusCode != http.StatusBadRequest || !strings.Contains(string(raw), code) {
				t.Errorf("%s with the body %q answers %d %s", url, body, r.StatusCode, raw)
			}
		}
	}
}

func TestOtherRoutes(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.SSE = false })
	for _, path := range []string{"/sse", "/message", "/sse/", "/sse/message", "/", "/mcp/x", "/.well-known/x"} {
		if got := do(t, "GET", w.url+path, nil, nil).StatusCode; got != http.StatusNotFound {
			t.Errorf("GET %s answers %d", path, got)
		}
	}
	if got := do(t, "POST", w.url+"/mcp", nil, strings.NewReader(initialize)).StatusCode; got != http.StatusOK {
		t.Errorf("/mcp answers %d", got)
	}
	all := newWorld(t, nil)
	for _, path := range []string{"/mcp", "/sse", "/message"} {
		for _, method := range []string{"PUT", "PATCH", "HEAD"} { // for net/http, GET includes HEAD
			if r := do(t, method, all.url+path, nil, nil); r.StatusCode != http.StatusMethodNotAllowed ||
				r.Header.Get("Allow") == "" {
				t.Errorf("%s %s answers %d", method, path, r.StatusCode)
			}
		}
	}
	html := map[string]string{"Accept": "text/html"}
	if r := do(t, "GET", w.url+"/mcp", html, nil); r.StatusCode != http.StatusNotAcceptable {
		t.Errorf("a browser is answered %d", r.StatusCode)
	}
	raw, _ := io.ReadAll(do(t, "GET", w.url+"/metrics", nil, nil).Body)
	if !strings.Contains(string(raw), `fullstory_export_http_requests_total{code="404",route="none"}`) {
		t.Errorf("/metrics has\n%s", raw)
	}
	if got := do(t, "GET", w.url+"/healthz", nil, nil).StatusCode; got != http.StatusOK {
		t.Errorf("/healthz answers %d", got)
	}
}

// TestPanics calls what fails, over each transport: it is answered, says
// nothing of the reason, and the log has it.
func TestPanics(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	c := w.converse(nil)
	for _, message := range []string{
		toolCall(7, "panic", "{}"),
		`{"jsonrpc":"2.0","id":7,"method":"prompts/get","params":{"name":"panic"}}`,
		`{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"test://panic"}}`,
	} {
		status, events := w.post(session, message)
		c.post(message)
		for _, answer := range []string{events[0].data, c.next().data} {
			if status != http.StatusOK || !strings.Contains(answer, `"id":7`) ||
				!strings.Contains(answer, "internal error") || strings.Contains(answer, "canary") {
				t.Errorf("%s is answered %d %s", message, status, answer)
			}
		}
	}
	if got := strings.Count(w.log.String(), "panic=canary"); got != 6 {
		t.Errorf("the log has %d of 6 panics", got)
	}
}
