package transport

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// converseAt opens a session over SSE at an address and checks that a call is answered.
// Its messages go where a client resolves the endpoint to.
func (w *world) converseAt(base string) {
	w.t.Helper()
	r := do(w.t, "GET", base, nil, nil)
	c := &sseClient{w: w, events: newReader(r.Body)}
	e, err := c.events.next()
	if err != nil || r.StatusCode != http.StatusOK || e.name != "endpoint" {
		w.t.Errorf("GET %s answers %d and begins with %+v, %v", base, r.StatusCode, e, err)
		return
	}
	c.endpoint = resolve(w.t, base, e.data)
	if status := c.post(toolCall(1, "whoami", "{}")); status != http.StatusAccepted {
		w.t.Errorf("%s: POST %s answers %d", base, c.endpoint, status)
		return
	}
	if e := c.next(); !strings.Contains(e.data, "you are") {
		w.t.Errorf("%s: the call is answered %v", base, e)
	}
}

// TestFinalSlash uses every route with a final slash. A redirect would fail: do follows
// none.
func TestFinalSlash(t *testing.T) {
	w := newWorld(t, nil)
	r := do(t, "POST", w.url+"/mcp/", nil, strings.NewReader(initialize))
	session := map[string]string{"Mcp-Session-Id": r.Header.Get("Mcp-Session-Id")}
	if r.StatusCode != http.StatusOK || session["Mcp-Session-Id"] == "" {
		t.Fatalf("POST /mcp/ answers %d", r.StatusCode)
	}
	// A session is the same on either route.
	if status, events := w.post(session, toolCall(1, "whoami", "{}")); !strings.Contains(events[0].data, "you are") {
		t.Errorf("POST /mcp answers %d %v", status, events)
	}
	if r := do(t, "GET", w.url+"/mcp/", session, nil); r.StatusCode != http.StatusOK {
		t.Errorf("GET /mcp/ answers %d", r.StatusCode)
	}
	if r := do(t, "DELETE", w.url+"/mcp/", session, nil); r.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE /mcp/ answers %d", r.StatusCode)
	}
	for _, path := range []string{"/sse", "/sse/"} {
		w.converseAt(w.url + path)
	}
	c := w.converse(nil)
	c.endpoint = strings.Replace(c.endpoint, "/message?", "/message/?", 1)
	if status := c.post(toolCall(1, "whoami", "{}")); status != http.StatusAccepted {
		t.Errorf("POST /message/ answers %d", status)
	}
	if r := do(t, "GET", w.url+"/metrics/", nil, nil); r.StatusCode != http.StatusOK {
		t.Errorf("GET /metrics/ answers %d", r.StatusCode)
	}
	for _, path := range []string{"/mcp/x", "/sse/x", "/message/x", "/MCP"} {
		if r := do(t, "GET", w.url+path, nil, nil); r.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s answers %d", path, r.StatusCode)
		}
	}
}

// TestProxyWithPrefix reaches the server below a path of a proxy, which says nothing
// about it, and may add or remove the final slash.
func TestProxyWithPrefix(t *testing.T) {
	w := newWorld(t, nil)
	target, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "/teams/a"
	changes := map[string]func(path string) string{
		"keeps a final slash":   func(path string) string { return path },
		"removes a final slash": func(path string) string { return strings.TrimSuffix(path, "/") },
		"adds a final slash":    func(path string) string { return strings.TrimSuffix(path, "/") + "/" },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			front := httptest.NewServer(http.StripPrefix(prefix, &httputil.ReverseProxy{
				Rewrite: func(r *httputil.ProxyRequest) {
					r.SetURL(target)
					r.Out.URL.Path = change(r.Out.URL.Path)
				},
			}))
			t.Cleanup(front.Close)
			at := &world{t: t, url: front.URL + prefix, server: w.server}
			for _, path := range []string{"/sse", "/sse/"} {
				at.converseAt(at.url + path)
			}
			at.hello(nil)
		})
	}
}

// TestAllowIsTrue sends every method to every route: the methods in Allow, and no
// others, are answered with something other than 405.
func TestAllowIsTrue(t *testing.T) {
	w := newIssuer(t).world(nil)
	open := newWorld(t, nil)
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
	const meta = "/.well-known/oauth-protected-resource"
	for path, want := range map[string]string{
		"/mcp": "GET, POST, DELETE, OPTIONS", "/mcp/": "GET, POST, DELETE, OPTIONS",
		"/sse": "GET, OPTIONS", "/sse/": "GET, OPTIONS",
		"/message": "POST, OPTIONS", "/message/": "POST, OPTIONS", "/sse/message": "POST, OPTIONS",
		"/metrics": "GET, HEAD, OPTIONS", "/metrics/": "GET, HEAD, OPTIONS",
		"/healthz": "GET, HEAD", "/readyz": "GET, HEAD",
		meta: "GET, HEAD, OPTIONS", meta + "/": "GET, HEAD, OPTIONS", meta + "/mcp": "GET, HEAD, OPTIONS",
	} {
		base := open.url
		if strings.HasPrefix(path, meta) {
			base = w.url
		}
		allowed := strings.Split(want, ", ")
		for _, method := range methods {
			r := do(t, method, base+path, nil, nil)
			has := slices.Contains(allowed, method)
			if (r.StatusCode == http.StatusMethodNotAllowed) == has {
				t.Errorf("%s %s answers %d", method, path, r.StatusCode)
			}
			if got := r.Header.Get("Allow"); (method == "OPTIONS" || !has) && got != want {
				t.Errorf("%s %s: Allow is %q, want %q", method, path, got, want)
			}
		}
	}
	modern := map[string]string{"Mcp-Protocol-Version": "2026-07-28"}
	for _, path := range []string{"/mcp", "/mcp/"} {
		for _, method := range []string{"GET", "DELETE"} {
			r := do(t, method, open.url+path, modern, nil)
			if got := r.Header.Get("Allow"); r.StatusCode != http.StatusMethodNotAllowed || got != "POST, OPTIONS" {
				t.Errorf("%s %s of protocol 2026-07-28 answers %d, Allow %q", method, path, r.StatusCode, got)
			}
		}
	}
}

// TestRouteNames counts requests with and without a final slash under one name.
func TestRouteNames(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/mcp", "/mcp/"} {
		do(t, "PUT", w.url+path, nil, nil)
	}
	text := readAll(t, do(t, "GET", w.url+"/metrics", nil, nil))
	if !strings.Contains(text, `fullstory_export_http_requests_total{code="405",route="/mcp"} 2`) {
		t.Errorf("/metrics has\n%s", text)
	}
}

// TestMetadataForBrowsers reads the metadata from a web page that the server does not
// know.
func TestMetadataForBrowsers(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	page := map[string]string{"Origin": "https://inspector.example.com"}
	ask := map[string]string{"Origin": "https://inspector.example.com", "Access-Control-Request-Method": "GET",
		"Access-Control-Request-Headers": "mcp-protocol-version"}
	for path, resource := range map[string]string{
		"": audience, "/": audience, "/mcp": audience, "/mcp/": audience + "/", "/sse": audience,
	} {
		path = "/.well-known/oauth-protected-resource" + path
		r := do(t, "OPTIONS", w.url+path, ask, nil)
		if h := r.Header; r.StatusCode != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(h.Get("Access-Control-Allow-Methods"), "GET") ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Mcp-Protocol-Version") {
			t.Errorf("OPTIONS %s answers %d %v", path, r.StatusCode, h)
		}
		r = do(t, "GET", w.url+path, page, nil)
		var m struct{ Resource string }
		if err := json.Unmarshal([]byte(readAll(t, r)), &m); err != nil || r.StatusCode != http.StatusOK ||
			r.Header.Get("Access-Control-Allow-Origin") != "*" || m.Resource != resource {
			t.Errorf("GET %s answers %d %v %+v, %v", path, r.StatusCode, r.Header, m, err)
		}
		r = do(t, "POST", w.url+path, page, strings.NewReader("{}"))
		if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("POST %s answers %d %v", path, r.StatusCode, r.Header)
		}
	}
	// Strict clients compare the resource with the address that they use.
	r := do(t, "POST", w.url+"/mcp/", nil, strings.NewReader(initialize))
	if challenge := r.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `oauth-protected-resource/mcp/"`) {
		t.Errorf("POST /mcp/ without a token is answered %q", challenge)
	}
	// Everything else stays closed to that page.
	if r := do(t, "OPTIONS", w.url+"/mcp", ask, nil); r.StatusCode != http.StatusForbidden {
		t.Errorf("OPTIONS /mcp answers %d", r.StatusCode)
	}
}

// TestRegistration does what a client without a token does after a 401: it asks to be
// registered, and gets the answer that it needs a token.
func TestRegistration(t *testing.T) {
	w := newWorld(t, nil)
	r := do(t, "POST", w.url+"/register", nil, strings.NewReader(`{"redirect_uris":["http://127.0.0.1/x"]}`))
	if r.StatusCode != http.StatusNotFound {
		t.Errorf("a server that anybody may call answers %d", r.StatusCode)
	}
	w, _, _ = callersWorld(t, "anna")
	r = do(t, "POST", w.url+"/register", nil, strings.NewReader(`{"redirect_uris":["http://127.0.0.1/x"]}`))
	var answer struct {
		Error       string
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusForbidden || answer.Error == "" ||
		!strings.Contains(answer.Description, "Bearer TOKEN") {
		t.Errorf("a server with callers answers %d %+v", r.StatusCode, answer)
	}
}
