package transport

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// peer is a client of one transport. send sends a message and returns at once;
// answers receives everything but notifications.
type peer struct {
	send    func(message string)
	answers chan string
}

// peers opens a conversation over each transport.
func (w *world) peers() map[string]*peer {
	w.t.Helper()
	return map[string]*peer{"stdio": w.pipe(), "Streamable HTTP": w.streaming(), "SSE": w.sse()}
}

func (w *world) pipe() *peer {
	in, send := io.Pipe()
	out, written := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- ServeStdio(w.t.Context(), StdioOptions{MCP: w.mcp(), Log: w.logger()}, in, written)
		written.Close()
	}()
	p := &peer{answers: make(chan string, 100)}
	p.send = func(message string) { io.WriteString(send, message+"\n") }
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.answers <- lines.Text()
		}
	}()
	w.t.Cleanup(func() {
		send.Close()
		if err := await(w.t, "the end of stdio", ended); err != nil {
			w.t.Errorf("stdio ended with %v", err)
		}
	})
	return p
}

func (w *world) streaming() *peer { return w.streamingWith(w.hello(nil)) }

func (w *world) streamingWith(session map[string]string) *peer {
	p := &peer{answers: make(chan string, 100)}
	p.send = func(message string) {
		go func() {
			r, err := try(w.t.Context(), "POST", w.url+"/mcp", session, strings.NewReader(message))
			if err != nil {
				return
			}
			defer r.Body.Close()
			if raw, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusAccepted {
				p.answers <- string(raw)
			}
		}()
	}
	return p
}

func (w *world) sse() *peer {
	c := w.converse(nil)
	p := &peer{answers: make(chan string, 100)}
	p.send = func(message string) {
		r := do(w.t, "POST", c.endpoint, nil, strings.NewReader(message))
		if raw, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusAccepted {
			p.answers <- string(raw)
		}
	}
	go func() {
		for {
			e, err := c.events.next()
			if err != nil {
				return
			}
			p.answers <- e.data
		}
	}()
	return p
}

// TestTransportsAgree sends messages that are easy to handle differently, and
// wants the same answer over each transport.
func TestTransportsAgree(t *testing.T) {
	w := newWorld(t, nil)
	for name, p := range w.peers() {
		for _, test := range []struct{ message, says string }{
			{"\ufeff" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`, `"id":1,"result":{}`},
			{`{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\ufeff", `"code":-32700`},
			{`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, "Batch requests are not supported."},
			{`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, "The id must be a string or an integer."},
			{`{"jsonrpc":"2.0","id":9007199254740993,"method":"no/such"}`, `"id":9007199254740993`},
			{`{"jsonrpc":"2.0","id":2,"method":"notifications/cancelled","params":{"requestId":1}}`, `"code":-32601`},
			{toolCall(3, "panic", "{}"), "; the server's log has the details"},
		} {
			p.send(test.message)
			if got := await(t, name+": an answer to "+test.message, p.answers); !strings.Contains(got, test.says) {
				t.Errorf("%s: %s is answered %s, want %s", name, test.message, got, test.says)
			}
		}
		// Neither is answered; the ping behind them is.
		p.send(`{"jsonrpc":"2.0","id":7,"result":{}}`)
		p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"no such"}}`)
		p.send(`{"jsonrpc":"2.0","id":8,"method":"ping"}`)
		if got := await(t, name+": the ping", p.answers); !strings.Contains(got, `"id":8`) {
			t.Errorf("%s: answered %s, want the ping", name, got)
		}
	}
}

// TestEqualIDs runs two calls with one id over each transport. The end of one
// does not end the other, and a cancellation ends both.
func TestEqualIDs(t *testing.T) {
	w := newWorld(t, nil)
	const id = "twice"
	for name, p := range w.peers() {
		for range 2 {
			p.send(toolCall(id, "wait", "{}"))
			await(t, name+": the call", w.called)
		}
		p.send(toolCall(id, "whoami", "{}"))
		if got := await(t, name+": an answer", p.answers); !strings.Contains(got, "you are") {
			t.Errorf("%s: answered %s", name, got)
		}
		select {
		case err := <-w.ended:
			t.Errorf("%s: the end of one call ended another: %v", name, err)
		default:
		}
		p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"` + id + `"}}`)
		for range 2 {
			await(t, name+": the end of a cancelled call", w.ended)
		}
	}
}

// TestStdioOrder has the progress of a call arrive before its result.
func TestStdioOrder(t *testing.T) {
	p := newTools(t).pipe()
	for range 20 {
		p.send(toolCall("c", "count", `{"to":50}`))
		var events []sse
		for range 51 {
			events = append(events, sse{data: await(t, "a message", p.answers)})
		}
		checkProgress(t, "c", events, 50)
	}
}
