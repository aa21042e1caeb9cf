package transport

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/auth"
)

// initializeIn is initialize with a protocol version.
func initializeIn(version string) string {
	return strings.Replace(initialize, "2025-06-18", version, 1)
}

// answersOf returns the answers of a batch by id; those without an id as "null".
func answersOf(t *testing.T, data string) map[string]string {
	t.Helper()
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(data), &list); err != nil {
		t.Errorf("not an array: %s", data)
	}
	answers := map[string]string{}
	for _, raw := range list {
		var a struct{ ID json.RawMessage }
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Errorf("not an answer: %s", raw)
		}
		answers[string(a.ID)] += string(raw)
	}
	return answers
}

// batchSession opens a session over /mcp that has batches.
func (w *world) batchSession(headers map[string]string) map[string]string {
	w.t.Helper()
	return w.openWith(headers, initializeIn(lastBatchVersion))
}

// openWith opens a session over /mcp with a message.
func (w *world) openWith(headers map[string]string, initialize string) map[string]string {
	w.t.Helper()
	r := do(w.t, "POST", w.url+"/mcp", headers, strings.NewReader(initialize))
	session := map[string]string{"Mcp-Session-Id": r.Header.Get("Mcp-Session-Id")}
	maps.Copy(session, headers)
	return session
}

// batchPeers opens a conversation in a protocol version over each transport.
func (w *world) batchPeers(version string) map[string]*peer {
	w.t.Helper()
	peers := map[string]*peer{
		"stdio": w.pipe(), "SSE": w.sse(), "Streamable HTTP": w.streamingWith(w.openWith(nil, initializeIn(version))),
	}
	for _, name := range []string{"stdio", "SSE"} {
		peers[name].send(initializeIn(version))
		await(w.t, "the answer to initialize", peers[name].answers)
	}
	return peers
}

// TestBatches sends arrays of messages in versions that have them.
func TestBatches(t *testing.T) {
	w := newWorld(t, nil)
	for _, version := range []string{"2024-11-05", "2025-03-26"} {
		for name, p := range w.batchPeers(version) {
			checkBatches(t, name+" "+version, p)
		}
	}
}

// checkBatches sends a batch with a message of every kind, batches that are rejected,
// and one that needs no answer.
func checkBatches(t *testing.T, name string, p *peer) {
	t.Helper()
	ping := `{"jsonrpc":"2.0","id":"last","method":"ping"}`
	p.send(` [` + toolCall(1, "whoami", "{}") + `,` + toolCall("b", "panic", "{}") + `,` +
		`{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":5,"result":{}},7,` +
		`{"jsonrpc":"2.0","id":3,"method":"no/such"},{"jsonrpc":"2.0","id":4,"method":8},` +
		`{"jsonrpc":"2.0","id":6,"method":"initialize","params":{}},[],` +
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"none"}}]`)
	got := answersOf(t, await(t, name+": an answer to a batch", p.answers))
	for id, says := range map[string]string{
		"1": "you are", `"b"`: "internal error", "3": "-32601", "4": "The method must be a string.",
		"6": "Send it alone.", "null": "A message must be one JSON object.",
	} {
		if !strings.Contains(got[id], says) {
			t.Errorf("%s: the answer to %s is %q, want %q", name, id, got[id], says)
		}
	}
	if len(got) != 6 || strings.Count(got["null"], `"error"`) != 2 {
		t.Errorf("%s: answered %v", name, got)
	}
	for batch, says := range map[string]string{
		`[]`: "-32600", `[` + strings.Repeat(ping+",", mostBatch) + ping + `]`: "Send at most 100 at once.",
		`[` + ping: "-32700",
	} {
		p.send(batch)
		if got := await(t, name+": an answer", p.answers); !strings.HasPrefix(got, `{`) || !strings.Contains(got, says) {
			t.Errorf("%s: %.50s is answered %s", name, batch, got)
		}
	}
	// A batch without requests gets no answer, so the next one is that to the ping.
	p.send(`[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":5,"result":{}}]`)
	p.send(ping)
	if got := await(t, name+": the ping", p.answers); !strings.Contains(got, `"id":"last"`) {
		t.Errorf("%s: answered %s, want the ping", name, got)
	}
}

// TestLaterVersionsHaveNoBatches sends arrays in versions without them, and before the
// version is known.
func TestLaterVersionsHaveNoBatches(t *testing.T) {
	w := newWorld(t, nil)
	batch := `[` + toolCall(1, "whoami", "{}") + `]`
	for _, version := range []string{"2025-06-18", "2025-11-25"} {
		for name, p := range w.batchPeers(version) {
			p.send(batch)
			if got := await(t, name+": an answer", p.answers); !strings.Contains(got,
				"Batch requests are not supported. Send one message at a time.") {
				t.Errorf("%s %s: a batch is answered %s", name, version, got)
			}
		}
	}
	for name, p := range map[string]*peer{"stdio": w.pipe(), "SSE": w.sse()} {
		p.send(batch)
		if got := await(t, name+": an answer", p.answers); !strings.Contains(got, "Batch requests are not supported.") {
			t.Errorf("%s: a batch before initialize is answered %s", name, got)
		}
	}
	// The header decides, if there is one.
	for version, want := range map[string]int{
		"2024-11-05": 200, "2025-03-26": 200, "2025-06-18": 400, "2025-11-25": 400, "2026-07-28": 400, "2099-01-01": 400,
	} {
		session := w.hello(nil)
		session["Mcp-Protocol-Version"] = version
		status, events := w.post(session, batch)
		if status != want || want == 400 && !strings.Contains(events[0].data, "Batch requests are not supported.") {
			t.Errorf("the header %s: %d %v", version, status, events)
		}
	}
}

// TestBatchStatus posts batches that need no answer, and one of a session that this
// process did not open.
func TestBatchStatus(t *testing.T) {
	first := newWorld(t, func(o *Options) { o.Key = key })
	session := first.batchSession(nil)
	next := newWorld(t, func(o *Options) { o.Key = key })
	for _, w := range []*world{first, next} {
		for batch, want := range map[string]int{
			`[` + toolCall(1, "whoami", "{}") + `]`:                        http.StatusOK,
			`[{"jsonrpc":"2.0","method":"notifications/initialized"}]`:     http.StatusAccepted,
			`[{"jsonrpc":"2.0","id":5,"result":{}}]`:                       http.StatusAccepted,
			`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0"}]`: http.StatusOK,
		} {
			status, events := w.post(session, batch)
			if status != want || (want == http.StatusAccepted) != (events[0].data == "") {
				t.Errorf("%s is answered %d %v", batch, status, events)
			}
		}
		if status, _ := w.post(nil, `[`+toolCall(1, "whoami", "{}")+`]`); status != http.StatusBadRequest {
			t.Errorf("a batch without a session is answered %d", status)
		}
	}
}

// TestBatchProgress has the progress of the calls of a batch before their answers, and
// cancels one of them.
func TestBatchProgress(t *testing.T) {
	w := newWorld(t, nil)
	for name, p := range w.batchPeers("2025-03-26") {
		if name == "Streamable HTTP" { // its peer reads one message a request
			continue
		}
		p.send(`[` + toolCall("c", "count", `{"to":5}`) + `,` + toolCall("w", "wait", "{}") + `]`)
		await(t, name+": the call", w.called)
		for n := range 5 {
			if got := await(t, name+": progress", p.answers); !strings.Contains(got, fmt.Sprintf(`"progress":%d`, n+1)) {
				t.Errorf("%s: progress %d is %s", name, n, got)
			}
		}
		p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"w"}}`)
		await(t, name+": the end of the call", w.ended)
		got := answersOf(t, await(t, name+": the answers", p.answers))
		if len(got) != 2 || !strings.Contains(got[`"c"`], `"text":"5"`) {
			t.Errorf("%s: answered %v", name, got)
		}
	}
	session := w.batchSession(nil)
	_, events := w.post(session, `[`+toolCall("c", "count", `{"to":5}`)+`,{"jsonrpc":"2.0","id":2,"method":"ping"}]`)
	if len(events) != 6 {
		t.Fatalf("answered %v", events)
	}
	if got := answersOf(t, events[5].data); len(got) != 2 {
		t.Errorf("the last event is %v", events[5])
	}
	for accept, want := range map[string]string{"text/event-stream": streamType, "application/json": jsonType} {
		session["Accept"] = accept
		r := do(t, "POST", w.url+"/mcp", session, strings.NewReader(`[{"jsonrpc":"2.0","id":2,"method":"ping"}]`))
		if got := r.Header.Get("Content-Type"); got != want || !strings.Contains(readAll(t, r), `[{"jsonrpc"`) {
			t.Errorf("Accept %s: a batch is answered with %s", accept, got)
		}
	}
}

// TestBatchRate sends more requests at once in a batch than its caller may send.
func TestBatchRate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	token, _, err := auth.NewToken(path, auth.Caller{Name: "anna", Requests: 10})
	if err != nil {
		t.Fatal(err)
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.Callers = callers })
	session := w.batchSession(bearer(token))
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	batch := `[` + strings.Repeat(ping+",", 98) + ping + `]`
	if status, _ := w.post(session, batch); status != http.StatusTooManyRequests {
		t.Errorf("99 requests at once are answered %d", status)
	}
}

// TestBatchCalls sends three calls in a batch of a caller that may have two at once.
func TestBatchCalls(t *testing.T) {
	w, tokens, _ := callersWorld(t, "anna")
	session := w.batchSession(bearer(tokens["anna"]))
	answered := make(chan string, 1)
	go func() {
		_, events := w.post(session, `[`+toolCall(1, "wait", "{}")+`,`+toolCall(2, "wait", "{}")+`,`+
			toolCall(3, "wait", "{}")+`]`)
		answered <- events[0].data
	}()
	await(t, "the first call", w.called)
	await(t, "the second call", w.called)
	if status, _ := w.post(session, toolCall(4, "whoami", "{}")); status != http.StatusTooManyRequests {
		t.Errorf("a call beside the batch is answered %d", status)
	}
	select {
	case <-w.called:
		t.Error("three calls run at once")
	default:
	}
	close(w.release)
	if got := answersOf(t, await(t, "the answers", answered)); len(got) != 3 {
		t.Errorf("answered %v", got)
	}
	eventually(t, "that there is room again", func() bool {
		status, _ := w.post(session, toolCall(5, "whoami", "{}"))
		return status == http.StatusOK
	})
}
