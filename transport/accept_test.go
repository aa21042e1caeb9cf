package transport

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func readAll(t *testing.T, r *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// lastMessage returns the last message of an answer, which is JSON or a stream.
func lastMessage(t *testing.T, r *http.Response) (last string) {
	t.Helper()
	if r.Header.Get("Content-Type") != streamType {
		return readAll(t, r)
	}
	for _, e := range newReader(r.Body).all() {
		last = e.data
	}
	return last
}

// TestOnlyOneType sends requests of a client that accepts one type: each answer has it,
// whatever the answer is.
func TestOnlyOneType(t *testing.T) {
	w := newWorld(t, nil)
	modern := map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "no/such"}
	session := w.hello(nil)
	for accept, want := range map[string]string{
		"text/event-stream": streamType, "text/event-stream;q=0.9": streamType, "text/*": streamType,
		"text/event-stream, application/json;q=0": streamType, "Text/Event-Stream": streamType,
		"application/json": jsonType, "application/*": jsonType, "application/json, text/event-stream; q=0": jsonType,
	} {
		for _, test := range []struct {
			method, path string
			headers      map[string]string
			body         string
			status       int
			says         string
		}{
			{"POST", "/mcp", nil, initialize, 200, "serverInfo"},
			{"POST", "/mcp", session, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 200, `"result"`},
			{"POST", "/mcp", session, toolCall(1, "count", `{"to":3}`), 200, `"text":"3"`},
			{"POST", "/mcp", session, `{"jsonrpc":"2.0","id":1,"method":"no/such"}`, 200, "-32601"},
			{"POST", "/mcp", session, `{`, 400, "-32700"},
			{"POST", "/mcp", session, `[]`, 400, "-32600"},
			{"POST", "/mcp", session, `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, 400, "Batch requests"},
			{"POST", "/mcp", nil, toolCall(1, "whoami", "{}"), 400, "Send initialize first"},
			{"POST", "/mcp", map[string]string{"Mcp-Session-Id": "x"}, toolCall(1, "whoami", "{}"), 404, "session"},
			{"POST", "/mcp", map[string]string{"Content-Type": "text/plain"}, initialize, 415, "must be JSON"},
			{"POST", "/mcp", modern, `{"jsonrpc":"2.0","id":1,"method":"no/such","params":{"_meta":{` + modernMeta + `}}}`,
				404, "-32601"},
			{"POST", "/mcp", modern, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 400, "-32602"},
			{"PUT", "/mcp", nil, `{}`, 405, "Use GET or POST"},
			{"POST", "/message?sessionId=x", nil, initialize, 404, "session"},
		} {
			headers := map[string]string{"Accept": accept}
			for name, value := range test.headers {
				headers[name] = value
			}
			r := do(t, test.method, w.url+test.path, headers, bodyOf(test.body))
			if got := r.Header.Get("Content-Type"); r.StatusCode != test.status || got != want {
				t.Errorf("Accept %s: %s %s is answered %d with %s", accept, test.method, test.body, r.StatusCode, got)
			}
			last := lastMessage(t, r)
			if !json.Valid([]byte(last)) || !strings.Contains(last, test.says) {
				t.Errorf("Accept %s: %s is answered %s", accept, test.body, last)
			}
		}
	}
	listen := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"_meta":{` + modernMeta + `}}}`
	headers := map[string]string{"Accept": jsonType, "Mcp-Protocol-Version": "2026-07-28",
		"Mcp-Method": "subscriptions/listen"}
	if r := do(t, "POST", w.url+"/mcp", headers, strings.NewReader(listen)); r.StatusCode != http.StatusNotAcceptable {
		t.Errorf("a stream for a client without streams is answered %d", r.StatusCode)
	}
}

// TestTextErrors keeps the text of errors for clients that accept both types.
func TestTextErrors(t *testing.T) {
	w := newWorld(t, nil)
	for _, accept := range []string{"application/json, text/event-stream", "*/*", "", "text/html"} {
		r := do(t, "POST", w.url+"/mcp", map[string]string{"Accept": accept}, strings.NewReader(toolCall(1, "whoami", "{}")))
		if got := readAll(t, r); !strings.HasPrefix(got, "The header Mcp-Session-Id is missing.") {
			t.Errorf("Accept %q: %s", accept, got)
		}
	}
}

// TestByteOrderMark posts messages that begin with U+FEFF.
func TestByteOrderMark(t *testing.T) {
	w := newWorld(t, nil)
	const mark = "\xef\xbb\xbf"
	r := do(t, "POST", w.url+"/mcp", nil, strings.NewReader(mark+initialize))
	if r.StatusCode != http.StatusOK {
		t.Fatalf("initialize is answered %d", r.StatusCode)
	}
	session := map[string]string{"Mcp-Session-Id": r.Header.Get("Mcp-Session-Id")}
	_, events := w.post(session, mark+" \r\n"+toolCall(1, "whoami", "{}")+"\r\n")
	if !strings.Contains(events[0].data, "you are") {
		t.Errorf("the call is answered %v", events)
	}
	c := w.converse(nil)
	c.post(mark + toolCall(1, "whoami", "{}"))
	if e := c.next(); !strings.Contains(e.data, "you are") {
		t.Errorf("the call over SSE is answered %v", e)
	}
	if status, _ := w.post(session, mark); status != http.StatusBadRequest {
		t.Errorf("a mark alone is answered %d", status)
	}
}
