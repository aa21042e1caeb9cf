package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// checkProgress fails unless events are the progress of a call up to a number, in
// order, and then its answer.
func checkProgress(t *testing.T, id string, events []sse, to int) {
	t.Helper()
	if len(events) != to+1 {
		t.Errorf("%s: %d events, want %d and the answer: %v", id, len(events), to, events)
		return
	}
	for i, e := range events[:to] {
		if !strings.Contains(e.data, "notifications/progress") ||
			!strings.Contains(e.data, fmt.Sprintf(`"progress":%d,"progressToken":%q`, i+1, id)) {
			t.Errorf("%s: event %d is %s", id, i, e.data)
		}
	}
	if last := events[to].data; !strings.Contains(last, fmt.Sprintf(`"id":%q`, id)) ||
		!strings.Contains(last, `"result"`) {
		t.Errorf("%s: the last event is %s", id, last)
	}
}

// modernMeta is what every request of protocol 2026-07-28 has in its _meta.
const modernMeta = `"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientCapabilities":{}`

// TestProgress has many calls at once report their progress, up to the moment
// of their result: everything arrives, in order, on the stream of its call.
func TestProgress(t *testing.T) {
	const clients, rounds, steps = 16, 12, 20
	w := newWorld(t, nil)
	session := w.hello(nil)
	do(t, "GET", w.url+"/mcp", session, nil) // gets none of it
	modern := map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "count"}
	var running sync.WaitGroup
	for client := range clients {
		running.Go(func() {
			for round := range rounds {
				id := fmt.Sprintf("%d/%d", client, round)
				message := toolCall(id, "count", fmt.Sprintf(`{"to":%d}`, steps))
				headers := session
				if client%2 == 1 {
					headers = modern
					message = strings.Replace(message, `"progressToken"`,
						modernMeta+`,"progressToken"`, 1)
				}
				_, events := w.post(headers, message)
				checkProgress(t, id, events, steps)
			}
		})
	}
	running.Wait()
	// Over SSE there is one stream for all calls; each call's part is in order.
	c := w.converse(nil)
	for i := range rounds {
		c.post(toolCall(fmt.Sprint(i), "count", fmt.Sprintf(`{"to":%d}`, steps)))
	}
	parts := map[string][]sse{}
	for range rounds * (steps + 1) {
		e := c.next()
		for i := range rounds {
			if strings.Contains(e.data, fmt.Sprintf(`"progressToken":"%d"`, i)) ||
				strings.Contains(e.data, fmt.Sprintf(`"id":"%d"`, i)) {
				parts[fmt.Sprint(i)] = append(parts[fmt.Sprint(i)], e)
			}
		}
	}
	for id, events := range parts {
		checkProgress(t, id, events, steps)
	}
}

// TestPlainAnswers asks as a client does that takes no streams.
func TestPlainAnswers(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	for _, accept := range []string{"application/json", "*/*", ""} {
		session["Accept"] = accept
		r := do(t, "POST", w.url+"/mcp", session, strings.NewReader(toolCall(1, "count", `{"to":5}`)))
		raw, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(raw), `"id":1`) {
			t.Errorf("Accept %q: %s", accept, raw)
		}
	}
	for message, want := range map[string]int{
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`:     http.StatusAccepted,
		`{"jsonrpc":"2.0","id":9,"result":{}}`:                       http.StatusAccepted,
		`{"jsonrpc":"2.0","id":9,"error":{"code":1,"message":"no"}}`: http.StatusAccepted,
	} {
		if status, events := w.post(session, message); status != want || events[0].data != "" {
			t.Errorf("%s is answered %d %v", message, status, events)
		}
	}
}

// TestIDs get back as they were sent.
func TestIDs(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	c := w.converse(nil)
	for _, id := range []string{`0`, `-1`, `"a"`, `"9007199254740993"`, `9007199254740993`, `18446744073709551615`,
		`"\u0000 \" 漢"`} {
		for _, method := range []string{"ping", "no/such", "server/discover"} {
			message := `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `"}`
			_, events := w.post(session, message)
			c.post(message)
			for _, answer := range []string{events[0].data, c.next().data} {
				if !strings.Contains(answer, `"id":`+id+`,`) && !strings.Contains(answer, `"id":`+id+`}`) {
					t.Errorf("%s is answered %s", message, answer)
				}
			}
		}
	}
}

// TestVersions opens a conversation in every version, on each transport.
func TestVersions(t *testing.T) {
	w := newWorld(t, nil)
	for asked, want := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
		"2026-07-28": "2025-11-25", "2099-01-01": "2025-11-25", "nonsense": "2025-11-25", "": "2025-03-26",
	} {
		message := strings.Replace(initialize, "2025-06-18", asked, 1)
		_, events := w.post(nil, message)
		c := w.converse(nil)
		c.post(message)
		for _, answer := range []string{events[0].data, c.next().data} {
			if !strings.Contains(answer, `"protocolVersion":"`+want+`"`) {
				t.Errorf("%q is answered %s", asked, answer)
			}
		}
	}
	session := w.hello(nil)
	for version, want := range map[string]int{"": 200, "2024-11-05": 200, "2025-11-25": 200, "1999-01-01": 400,
		"nonsense": 400} {
		session["Mcp-Protocol-Version"] = version
		if got, _ := w.post(session, `{"jsonrpc":"2.0","id":1,"method":"ping"}`); got != want {
			t.Errorf("the header %q is answered %d", version, got)
		}
	}
}

// TestModern speaks protocol 2026-07-28, which has no sessions and wants the
// headers to say what the body says.
func TestModern(t *testing.T) {
	w := newWorld(t, nil)
	meta := func(version string) string {
		return `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + version +
			`","io.modelcontextprotocol/clientCapabilities":{}}`
	}
	whoami := func(version string) string {
		return `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"whoami","arguments":{},` +
			meta(version) + `}}`
	}
	headers := func(version, method, name string) map[string]string {
		return map[string]string{"Mcp-Protocol-Version": version, "Mcp-Method": method, "Mcp-Name": name}
	}
	for _, test := range []struct {
		name    string
		headers map[string]string
		message string
		status  int
		says    string
	}{
		{"as it should be", headers("2026-07-28", "tools/call", "whoami"), whoami("2026-07-28"), 200, "you are"},
		{"discover", headers("2026-07-28", "server/discover", ""),
			`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + meta("2026-07-28") + `}}`, 200, "2024-11-05"},
		{"a method that is gone", headers("2026-07-28", "ping", ""),
			`{"jsonrpc":"2.0","id":1,"method":"ping","params":{` + meta("2026-07-28") + `}}`, 404, "-32601"},
		{"another version in the header", headers("2025-11-25", "tools/call", "whoami"), whoami("2026-07-28"), 400, "-32020"},
		{"no version in the header", headers("", "tools/call", "whoami"), whoami("2026-07-28"), 400, "-32020"},
		{"no version in the body", headers("2026-07-28", "tools/call", "whoami"), toolCall("x", "whoami", "{}"), 400,
			"-32602"},
		{"another method", headers("2026-07-28", "tools/list", "whoami"), whoami("2026-07-28"), 400, "-32020"},
		{"another name", headers("2026-07-28", "tools/call", "wait"), whoami("2026-07-28"), 400, "-32020"},
		{"no name", headers("2026-07-28", "tools/call", ""), whoami("2026-07-28"), 400, "-32020"},
		{"a version to come", headers("2099-01-01", "tools/call", "whoami"), whoami("2099-01-01"), 400, `"supported":`},
	} {
		status, events := w.post(test.headers, test.message)
		if answer := events[0].data; status != test.status || !strings.Contains(answer, test.says) {
			t.Errorf("%s: %d %s", test.name, status, answer)
		}
	}
	for _, method := range []string{"GET", "DELETE"} {
		if r := do(t, method, w.url+"/mcp", headers("2026-07-28", "", ""), nil); r.StatusCode != 405 ||
			r.Header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("%s answers %d", method, r.StatusCode)
		}
	}
	if n := w.server.sessions.count(streamable); n != 0 {
		t.Errorf("%d sessions were opened", n)
	}
	c := w.converse(nil) // which knows nothing of headers
	c.post(whoami("2026-07-28"))
	if e := c.next(); !strings.Contains(e.data, "you are") || !strings.Contains(e.data, "resultType") {
		t.Errorf("over SSE: %v", e)
	}
}

// TestCancel ends calls by their ids, and by going away.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.hello(nil)
	c := w.converse(nil)
	for _, id := range []string{`5`, `"five"`} {
		cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `}}`
		call := `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"wait","arguments":{}}}`
		answered := make(chan struct{})
		go func() { defer close(answered); w.post(session, call) }()
		await(t, "the call", w.called)
		w.post(w.hello(nil), cancel) // another session's id is another request
		c.post(cancel)
		select {
		case err := <-w.ended:
			t.Errorf("ended by another session: %v", err)
		default:
		}
		w.post(session, cancel)
		if err := await(t, "the end of the call", w.ended); !errors.Is(err, context.Canceled) {
			t.Errorf("ended by %v", err)
		}
		await(t, "the answer", answered)
		c.post(call)
		await(t, "the call over SSE", w.called)
		c.post(cancel)
		await(t, "its end", w.ended)
	}
	c.post(`{"jsonrpc":"2.0","id":6,"method":"ping"}`)
	if e := c.next(); !strings.Contains(e.data, `"id":6`) {
		t.Errorf("a cancelled call is answered: %v", e)
	}
}

// TestCancelWithoutSession tries to end the call of another client of protocol
// 2026-07-28, whose requests may have the same ids.
func TestCancelWithoutSession(t *testing.T) {
	w := newWorld(t, nil)
	meta := `"_meta":{` + modernMeta + `}`
	answered := make(chan string, 1)
	go func() {
		headers := map[string]string{
			"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "wait",
		}
		_, events := w.post(headers,
			`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"wait","arguments":{},`+meta+`}}`)
		answered <- events[0].data
	}()
	await(t, "the call", w.called)
	w.post(map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "notifications/cancelled"},
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5,`+meta+`}}`)
	close(w.release)
	if got := await(t, "the answer", answered); !strings.Contains(got, "released") {
		t.Errorf("the call of another client was answered %s", got)
	}
}

// TestGoneClients end what they wait for: at once if they cannot come back.
func TestGoneClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.hello(nil)
	ctx, leave := context.WithCancel(t.Context())
	go try(ctx, "POST", w.url+"/mcp", session, strings.NewReader(toolCall(1, "wait", "{}")))
	await(t, "the call", w.called)
	leave()
	if err := await(t, "the end of the call", w.ended); !errors.Is(err, errGone) {
		t.Errorf("ended by %v", err)
	}
	c := w.converse(nil)
	c.post(toolCall(2, "wait", "{}"))
	await(t, "the call over SSE", w.called)
	c.close()
	eventually(t, "that the stream is known to be gone", func() bool {
		return w.server.sessions.count(overSSE) == 1 && !reading(w.server)
	})
	for _, s := range w.server.sessions.all() {
		if s.over == overSSE {
			w.server.sessions.end(s) // as happens after disconnectGrace
		}
	}
	await(t, "the end of the call over SSE", w.ended)
}

func reading(s *Server) bool {
	for _, open := range s.sessions.all() {
		if open.over == overSSE && open.sessionStream.hasReader() {
			return true
		}
	}
	return false
}

// TestStop ends a server that has streams open and calls running: each call is
// answered, and each stream ends as it should.
func TestStop(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	c := w.converse(nil)
	listening := do(t, "GET", w.url+"/mcp", session, nil)
	answered := make(chan string, 1)
	go func() {
		_, events := w.post(session, toolCall(2, "wait", "{}"))
		answered <- events[0].data
	}()
	c.post(toolCall(3, "wait", "{}"))
	await(t, "the first call", w.called)
	await(t, "the second call", w.called)
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	if _, err := newReader(listening.Body).next(); !errors.Is(err, io.EOF) {
		t.Errorf("the listening stream ended with %v", err)
	}
	eventually(t, "that calls are rejected", func() bool {
		r, err := try(t.Context(), "POST", w.url+"/mcp", session, strings.NewReader(initialize))
		return err != nil || r.StatusCode == http.StatusServiceUnavailable
	})
	close(w.release)
	if got := await(t, "the answer", answered); !strings.Contains(got, "released") {
		t.Errorf("the running call was answered %q", got)
	}
	if e := c.next(); !strings.Contains(e.data, "released") {
		t.Errorf("the running call over SSE was answered %v", e)
	}
	if e := c.next(); e.data != io.EOF.Error() {
		t.Errorf("the stream over SSE ended with %v", e)
	}
	if err := await(t, "the end", stopped); err != nil {
		t.Error(err)
	}
}

// TestStopEndsCalls ends a server while a call runs that does not end by
// itself.
func TestStopEndsCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.hello(nil)
	answered := make(chan string, 1)
	go func() {
		_, events := w.post(session, toolCall(2, "wait", "{}"))
		answered <- events[0].data
	}()
	await(t, "the call", w.called)
	began := time.Now()
	if err := w.stop(); err != nil || time.Since(began) > 9*time.Second {
		t.Errorf("ended with %v after %v", err, time.Since(began))
	}
	if got := await(t, "the answer", answered); !strings.Contains(got, "ended: the server is stopping") {
		t.Errorf("the running call was answered %q", got)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var problem error = errors.New("the ledger is away")
	w := newWorld(t, func(o *Options) {
		o.Ready = func(context.Context) error { mu.Lock(); defer mu.Unlock(); return problem }
	})
	r := do(t, "GET", w.url+"/readyz", nil, nil)
	if raw, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusServiceUnavailable ||
		!strings.Contains(string(raw), "the ledger is away") {
		t.Errorf("%d %s", r.StatusCode, raw)
	}
	mu.Lock()
	problem = nil
	mu.Unlock()
	eventually(t, "ready", func() bool { return do(t, "GET", w.url+"/readyz", nil, nil).StatusCode == http.StatusOK })
}
