package transport

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/auth"
)

var key = []byte("a secret of thirty-two bytes, ..")

// TestSessionsAreBound uses the session of one caller as another, and ids that
// were never given out.
func TestSessionsAreBound(t *testing.T) {
	w, tokens, _ := callersWorld(t, "anna", "bert")
	anna, bert := bearer(tokens["anna"]), bearer(tokens["bert"])
	session := w.hello(anna)
	stream := w.converse(anna)
	id, sseID := session["Mcp-Session-Id"], stream.endpoint[strings.Index(stream.endpoint, "=")+1:]
	try := func(who string, headers map[string]string, id, sseID string) {
		t.Helper()
		with := map[string]string{"Mcp-Session-Id": id, "Authorization": headers["Authorization"]}
		for _, route := range []struct{ method, path, body string }{
			{"POST", "/mcp", toolCall(1, "whoami", "{}")}, {"GET", "/mcp", ""}, {"DELETE", "/mcp", ""},
			{"POST", "/message?sessionId=" + sseID, toolCall(1, "whoami", "{}")},
		} {
			if got := do(t, route.method, w.url+route.path, with, bodyOf(route.body)).StatusCode; got != http.StatusNotFound {
				t.Errorf("%s: %s %s answers %d", who, route.method, route.path, got)
			}
		}
		with["Last-Event-ID"] = sseID + "_0"
		r := do(t, "GET", w.url+"/sse", with, nil)
		if e, _ := newReader(r.Body).next(); strings.Contains(e.data, sseID) {
			t.Errorf("%s: GET /sse resumes the session of another", who)
		}
	}
	try("another caller", bert, id, sseID)
	try("forged", anna, "mcp-session-1b671a64-40d5-491e-99b0-da01ff1f3341", "1b671a64-40d5-491e-99b0-da01ff1f3341")
	try("altered", anna, altered(id), altered(sseID))
	try("of the other transport", anna, sseID, id)
	if _, events := w.post(session, toolCall(2, "whoami", "{}")); !strings.Contains(events[0].data, "you are anna") {
		t.Errorf("anna's session answers %v", events)
	}
	stream.post(toolCall(3, "whoami", "{}"))
	if e := stream.next(); !strings.Contains(e.data, "you are anna") || !strings.Contains(e.data, `"id":3`) {
		t.Errorf("anna's stream sends %v", e)
	}
}

func altered(id string) string {
	last := "A"
	if strings.HasSuffix(id, last) {
		last = "B"
	}
	return id[:len(id)-1] + last
}

// TestDelete ends a session: it is unknown from then on, its stream ends.
func TestDelete(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	listening := do(t, "GET", w.url+"/mcp", session, nil)
	if got := do(t, "DELETE", w.url+"/mcp", session, nil).StatusCode; got != http.StatusNoContent {
		t.Errorf("DELETE answers %d", got)
	}
	newReader(listening.Body).all() // until it ends
	for _, method := range []string{"GET", "DELETE", "POST"} {
		body := map[string]string{"POST": toolCall(1, "whoami", "{}")}[method]
		if got := do(t, method, w.url+"/mcp", session, bodyOf(body)).StatusCode; got != http.StatusNotFound {
			t.Errorf("%s after DELETE answers %d", method, got)
		}
	}
	if got, _ := w.post(nil, toolCall(1, "whoami", "{}")); got != http.StatusBadRequest {
		t.Errorf("without a session: %d", got)
	}
}

// TestSessionsOutliveARestart uses a session with the next process.
func TestSessionsOutliveARestart(t *testing.T) {
	first := newWorld(t, func(o *Options) { o.Key = key })
	session := first.hello(nil)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	next := newWorld(t, func(o *Options) { o.Key = key })
	if status, events := next.post(session, toolCall(1, "whoami", "{}")); status != http.StatusOK {
		t.Errorf("answered %d %v", status, events)
	}
	another := newWorld(t, nil)
	if status, _ := another.post(session, toolCall(1, "whoami", "{}")); status != http.StatusNotFound {
		t.Errorf("a server with another secret answers %d", status)
	}
}

// TestHellosWithoutGoodbye opens far more sessions than there may be.
func TestHellosWithoutGoodbye(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Sessions = 10 })
	busy := w.hello(nil)
	listening := do(t, "GET", w.url+"/mcp", busy, nil)
	for range 100 {
		w.hello(nil)
	}
	if got := w.server.sessions.count(streamable); got != 10 {
		t.Errorf("%d sessions are open, of 10 at most", got)
	}
	session, _, err := w.server.sessions.find(busy["Mcp-Session-Id"], auth.Caller{}, streamable)
	if err != nil {
		t.Fatal(err)
	}
	session.sessionStream.add([]byte(`{"still":"there"}`), false)
	if e, err := newReader(listening.Body).next(); err != nil || !strings.Contains(e.data, "still") {
		t.Errorf("the session in use was closed: %v, %v", e, err)
	}
}

// TestFull has every session in use: another is rejected with Retry-After.
func TestFull(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Sessions = 3 })
	for range 3 {
		do(t, "GET", w.url+"/mcp", w.hello(nil), nil)
	}
	for method, path := range map[string]string{"POST": "/mcp", "GET": "/sse"} {
		r := do(t, method, w.url+path, nil, bodyOf(map[string]string{"POST": initialize}[method]))
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s answers %d", method, path, r.StatusCode)
		}
	}
}

// TestIdleSessions forgets the sessions that nobody uses, and no other.
func TestIdleSessions(t *testing.T) {
	var ended []string
	s := newSessions(key, 100, time.Minute, func(id string) { ended = append(ended, id) })
	idle, _ := s.create(auth.Caller{}, streamable)
	used, _ := s.create(auth.Caller{}, streamable)
	done := used.begin() // such as an open GET stream
	idle.sessionStream.add([]byte("x"), false)
	s.sweep(time.Now().Add(59 * time.Second))
	if len(ended) != 0 {
		t.Fatalf("ended early: %v", ended)
	}
	s.sweep(time.Now().Add(2 * time.Minute))
	if fmt.Sprint(ended) != fmt.Sprint([]string{idle.id}) || s.bytes.Load() != 0 {
		t.Errorf("ended: %v, of %s; %d bytes are kept", ended, idle.id, s.bytes.Load())
	}
	done()
	s.sweep(time.Now().Add(2 * time.Minute))
	if len(ended) != 2 || s.count(streamable) != 0 || len(s.per) != 0 {
		t.Errorf("ended: %v; left: %d", ended, s.count(streamable))
	}
	if again, _, err := s.find(idle.id, auth.Caller{}, streamable); err != nil || again == idle {
		t.Errorf("a session that was only idle does not go on: %v", err)
	}
}
