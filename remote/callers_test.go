package remote

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// callersWorld starts a server for callers with those names, and returns their
// tokens.
func callersWorld(t *testing.T, names ...string) (*world, map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "callers.json")
	tokens := map[string]string{}
	for _, name := range names {
		token, _, err := NewToken(path, Caller{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		tokens[name] = token
	}
	callers, err := OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(o *Options) { o.Callers = callers }), tokens
}

func auth(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func TestTokens(t *testing.T) {
	w, tokens := callersWorld(t, "anna", "bert")
	for header, want := range map[string]string{
		"": "", "Bearer": "", "Bearer ": "", "Bearer x": "", "Basic " + tokens["anna"]: "", tokens["anna"]: "",
		"Bearer " + tokens["anna"] + "x": "", "Bearer " + hashOf(tokens["anna"]): "",
		"Bearer " + tokens["anna"]: "anna", "bearer " + tokens["bert"]: "bert",
	} {
		for _, route := range routes {
			r := do(t, route.method, w.url+route.path, map[string]string{"Authorization": header}, bodyOf(route.body))
			challenge := r.Header.Get("WWW-Authenticate")
			if refused := r.StatusCode == http.StatusUnauthorized; refused != (want == "") || refused != strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("%q: %s %s answers %d %q", header, route.method, route.path, r.StatusCode, challenge)
			}
		}
		if want == "" {
			continue
		}
		session := w.hello(map[string]string{"Authorization": header})
		if _, events := w.post(session, toolCall(1, "whoami", "{}")); !strings.Contains(events[0].data, "you are "+want) {
			t.Errorf("%q: %v", header, events)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := do(t, "GET", w.url+path, nil, nil).StatusCode; got != http.StatusOK {
			t.Errorf("%s answers %d", path, got)
		}
	}
	for _, secret := range []string{tokens["anna"], tokens["bert"], hashOf(tokens["anna"])} {
		if strings.Contains(w.log.String(), secret) {
			t.Error("the log has a token, or the hash of one")
		}
	}
}

// TestReadOnly offers another server to a caller that may only read.
func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	token, _, err := NewToken(path, Caller{Name: "rita", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	callers, err := OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.Callers = callers })
	session := w.hello(auth(token))
	if _, events := w.post(session, toolCall(1, "whoami", "{}")); !strings.Contains(events[0].data, "error") {
		t.Errorf("a tool that is not offered: %v", events)
	}
}

// TestCallersChange replaces a token while streams are open.
func TestCallersChange(t *testing.T) {
	t.Parallel()
	w, tokens := callersWorld(t, "anna", "bert")
	path := w.server.o.Callers.path
	anna, bert := w.hello(auth(tokens["anna"])), w.hello(auth(tokens["bert"]))
	annas, berts := do(t, "GET", w.url+"/mcp", anna, nil), do(t, "GET", w.url+"/mcp", bert, nil)
	bertsSSE := w.converse(auth(tokens["bert"]))
	token, replaced, err := NewToken(path, Caller{Name: "bert"})
	if err != nil || !replaced {
		t.Fatal(replaced, err)
	}
	newReader(berts.Body).all() // ends
	if e := bertsSSE.next(); e.data != io.EOF.Error() {
		t.Errorf("the stream over SSE tells %v", e)
	}
	if status, _ := w.post(bert, toolCall(1, "whoami", "{}")); status != http.StatusUnauthorized {
		t.Errorf("the old token is answered %d", status)
	}
	bert["Authorization"] = "Bearer " + token
	if status, events := w.post(bert, toolCall(1, "whoami", "{}")); status != http.StatusOK {
		t.Errorf("the session does not go on with the new token: %d %v", status, events)
	}
	os.WriteFile(path, []byte("{"), 0o600)
	eventually(t, "that the damaged file is told", func() bool { return strings.Contains(w.log.String(), "the callers stay as they were") })
	session, _, err := w.server.sessions.find(anna["Mcp-Session-Id"], Caller{Name: "anna"}, streamable)
	if err != nil {
		t.Fatal(err)
	}
	session.standing.add([]byte(`{"still":"there"}`), false)
	if e, err := newReader(annas.Body).next(); err != nil || !strings.Contains(e.data, "still") {
		t.Errorf("the stream of another caller was closed: %v, %v", e, err)
	}
	if status, _ := w.post(anna, toolCall(1, "whoami", "{}")); status != http.StatusOK {
		t.Errorf("another caller is answered %d", status)
	}
}

func TestCallersFile(t *testing.T) {
	hash := strings.Repeat("a", 64)
	other := strings.Repeat("b", 64)
	entry := func(name, hash, more string) string {
		return `{"name":"` + name + `","token_sha256":"` + hash + `"` + more + `}`
	}
	for content, want := range map[string]string{
		`{"callers":[` + entry("anna", hash, `,"account":"emea","read_only":true,"requests_per_second":5,"calls_at_once":2,"sessions":3`) + `]}`: "",
		`{"callers":[]}`: "",
		`{"callers":[` + entry("anna", hash, "") + `,` + entry("anna", other, "") + `]}`:                  "there twice",
		`{"callers":[` + entry("anna", hash, "") + `,` + entry("bert", hash, "") + `]}`:                   "token of another",
		`{"callers":[` + entry("anna", hash, `,"account":"emea"`) + `,` + entry("bert", other, "") + `]}`: "either each caller names its account",
		`{"callers":[` + entry("anna", hash, `,"account":"../emea"`) + `]}`:                               "account",
		`{"callers":[` + entry("anna", hash, `,"account":"key_file"`) + `]}`:                              "account",
		`{"callers":[` + entry("an na", hash, "") + `]}`:                                                  "name",
		`{"callers":[` + entry("anna", "secret", "") + `]}`:                                               "SHA-256",
		`{"callers":[` + entry("anna", hash, `,"calls_at_once":-1`) + `]}`:                                "negative",
		`{"callers":[` + entry("anna", hash, `,"readonly":true`) + `]}`:                                   "readonly",
		`{"callers":`: "unexpected EOF",
	} {
		path := filepath.Join(t.TempDir(), "callers.json")
		os.WriteFile(path, []byte(content), 0o600)
		_, err := OpenCallers(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	l := newLimits()
	c := Caller{Name: "anna", Requests: 5, Calls: 2}.limited()
	allowed := 0
	for range 100 {
		if l.request(c) {
			allowed++
		}
	}
	if allowed < 10 || allowed > 12 {
		t.Errorf("%d requests at once, of 10", allowed)
	}
	if !l.request(Caller{Name: "bert"}.limited()) {
		t.Error("another caller has to wait as well")
	}
	first, second := l.call(c), l.call(c)
	if first == nil || second == nil || l.call(c) != nil {
		t.Error("not two calls at once")
	}
	first()
	first()
	if l.call(c) == nil || l.call(c) != nil {
		t.Error("a place that was given back once counts otherwise")
	}
}

// TestBusy has a caller run as many calls as it may, over each transport.
func TestBusy(t *testing.T) {
	w, tokens := callersWorld(t, "anna")
	w.server.o.Callers.entries[0].Calls = 2
	session := w.hello(auth(tokens["anna"]))
	c := w.converse(auth(tokens["anna"]))
	go try(t.Context(), "POST", w.url+"/mcp", session, strings.NewReader(toolCall(1, "wait", "{}")))
	c.post(toolCall(2, "wait", "{}"))
	await(t, "the first call", w.called)
	await(t, "the second call", w.called)
	r := do(t, "POST", w.url+"/mcp", session, strings.NewReader(toolCall(3, "whoami", "{}")))
	if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" || c.post(toolCall(4, "whoami", "{}")) != http.StatusTooManyRequests {
		t.Errorf("a call too many is answered %d", r.StatusCode)
	}
	close(w.release)
	if e := c.next(); !strings.Contains(e.data, "released") {
		t.Errorf("told %v", e)
	}
	eventually(t, "that there is room again", func() bool { return c.post(toolCall(5, "whoami", "{}")) == http.StatusAccepted })
}
