package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/auth"
)

// callersWorld starts a server for callers with those names, which may make two
// calls at once, and returns their tokens and the path of their file.
func callersWorld(t *testing.T, names ...string) (w *world, tokens map[string]string, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "callers.json")
	tokens = map[string]string{}
	for _, name := range names {
		token, _, err := auth.NewToken(path, auth.Caller{Name: name, Calls: 2})
		if err != nil {
			t.Fatal(err)
		}
		tokens[name] = token
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(o *Options) { o.Callers = callers }), tokens, path
}

// hashOf returns the form in which the file of callers has a token.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func TestTokens(t *testing.T) {
	w, tokens, _ := callersWorld(t, "anna", "bert")
	for header, want := range map[string]string{
		"": "", "Bearer": "", "Bearer ": "", "Bearer x": "", "Basic " + tokens["anna"]: "", tokens["anna"]: "",
		"Bearer " + tokens["anna"] + "x": "", "Bearer " + hashOf(tokens["anna"]): "",
		"Bearer " + tokens["anna"]: "anna", "bearer " + tokens["bert"]: "bert",
	} {
		for _, route := range routes {
			r := do(t, route.method, w.url+route.path, map[string]string{"Authorization": header}, bodyOf(route.body))
			challenge := r.Header.Get("WWW-Authenticate")
			if rejected := r.StatusCode == http.StatusUnauthorized; rejected != (want == "") ||
				rejected != strings.HasPrefix(challenge, "Bearer ") {
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
	token, _, err := auth.NewToken(path, auth.Caller{Name: "rita", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.Callers = callers })
	session := w.hello(bearer(token))
	if _, events := w.post(session, toolCall(1, "whoami", "{}")); !strings.Contains(events[0].data, "error") {
		t.Errorf("a tool that is not offered: %v", events)
	}
}

// TestCallersChange replaces a token while streams are open.
func TestCallersChange(t *testing.T) {
	t.Parallel()
	w, tokens, path := callersWorld(t, "anna", "bert")
	anna, bert := w.hello(bearer(tokens["anna"])), w.hello(bearer(tokens["bert"]))
	annas, berts := do(t, "GET", w.url+"/mcp", anna, nil), do(t, "GET", w.url+"/mcp", bert, nil)
	bertsSSE := w.converse(bearer(tokens["bert"]))
	token, replaced, err := auth.NewToken(path, auth.Caller{Name: "bert"})
	if err != nil || !replaced {
		t.Fatal(replaced, err)
	}
	newReader(berts.Body).all() // ends
	if e := bertsSSE.next(); e.data != io.EOF.Error() {
		t.Errorf("the stream over SSE sends %v", e)
	}
	if status, _ := w.post(bert, toolCall(1, "whoami", "{}")); status != http.StatusUnauthorized {
		t.Errorf("the old token is answered %d", status)
	}
	bert["Authorization"] = "Bearer " + token
	if status, events := w.post(bert, toolCall(1, "whoami", "{}")); status != http.StatusOK {
		t.Errorf("the session does not go on with the new token: %d %v", status, events)
	}
	os.WriteFile(path, []byte("{"), 0o600)
	eventually(t, "that the damaged file is reported", func() bool {
		return strings.Contains(w.log.String(), "the previous callers stay valid")
	})
	session, _, err := w.server.sessions.find(anna["Mcp-Session-Id"], auth.Caller{Name: "anna"}, streamable)
	if err != nil {
		t.Fatal(err)
	}
	session.sessionStream.add([]byte(`{"still":"there"}`), false)
	if e, err := newReader(annas.Body).next(); err != nil || !strings.Contains(e.data, "still") {
		t.Errorf("the stream of another caller was closed: %v, %v", e, err)
	}
	if status, _ := w.post(anna, toolCall(1, "whoami", "{}")); status != http.StatusOK {
		t.Errorf("another caller is answered %d", status)
	}
}

// TestBusy has a caller run as many calls as it may, over each transport.
func TestBusy(t *testing.T) {
	w, tokens, _ := callersWorld(t, "anna")
	session := w.hello(bearer(tokens["anna"]))
	c := w.converse(bearer(tokens["anna"]))
	go try(t.Context(), "POST", w.url+"/mcp", session, strings.NewReader(toolCall(1, "wait", "{}")))
	c.post(toolCall(2, "wait", "{}"))
	await(t, "the first call", w.called)
	await(t, "the second call", w.called)
	r := do(t, "POST", w.url+"/mcp", session, strings.NewReader(toolCall(3, "whoami", "{}")))
	if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" ||
		c.post(toolCall(4, "whoami", "{}")) != http.StatusTooManyRequests {
		t.Errorf("a call too many is answered %d", r.StatusCode)
	}
	close(w.release)
	if e := c.next(); !strings.Contains(e.data, "released") {
		t.Errorf("got %v", e)
	}
	eventually(t, "that there is room again", func() bool {
		return c.post(toolCall(5, "whoami", "{}")) == http.StatusAccepted
	})
}
