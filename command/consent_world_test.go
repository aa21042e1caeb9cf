//go:build unix

package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// wireMessage is a message of the server.
type wireMessage struct {
	ID     json.RawMessage
	Method string
	Params struct {
		Message   string
		RequestID string
		Requested json.RawMessage `json:"requestedSchema"`
	}
	Result struct {
		toolResult
		ResultType    string
		RequestState  string
		InputRequests map[string]struct {
			Method string
			Params struct{ Message string }
		}
	}
	Error *rpcError
}

// wire is a client, down to its messages, that can be asked or not.
type wire struct {
	t        *testing.T
	post     func(raw []byte) // what is answered to it comes with messages
	messages chan wireMessage
	modern   bool // it speaks protocol 2026-07-28
	asks     bool // it declares that it can ask its user
	last     int64

	questions []string // the texts of questions so far
	states    []string // likewise their states, from protocol 2026-07-28 on
	withdrawn []string // the ids of questions that were withdrawn
	ids       []string // of questions
}

// deliver passes on a message of the server.
func (w *wire) deliver(raw []byte) {
	var m wireMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		w.t.Errorf("%v: %.300s", err, raw)
		return
	}
	w.messages <- m
}

func newWire(t *testing.T, modern, asks bool) *wire {
	return &wire{t: t, modern: modern, asks: asks, messages: make(chan wireMessage, 100)}
}

// capabilities are those that the client declares.
func (w *wire) capabilities() map[string]any {
	if w.asks {
		return map[string]any{"elicitation": struct{}{}}
	}
	return map[string]any{}
}

// greet opens a session, unless the protocol has none.
func (w *wire) greet() {
	w.t.Helper()
	if w.modern {
		return
	}
	w.request("initialize", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": w.capabilities(),
		"clientInfo": map[string]string{"name": "wire", "version": "1"},
	})
	w.post(rpcRequest(0, "notifications/initialized", nil))
}

// send sends a request and returns its id.
func (w *wire) send(method string, params map[string]any) string {
	w.last++
	if w.modern {
		params = maps.Clone(params)
		params["_meta"] = map[string]any{
			"io.modelcontextprotocol/protocolVersion":    "2026-07-28",
			"io.modelcontextprotocol/clientCapabilities": w.capabilities(),
		}
	}
	w.post(rpcRequest(w.last, method, params))
	return fmt.Sprint(w.last)
}

func (w *wire) request(method string, params map[string]any) wireMessage {
	w.t.Helper()
	id := w.send(method, params)
	for {
		if m := w.next(); m.Method == "" && string(m.ID) == id {
			return m
		}
	}
}

func (w *wire) next() wireMessage {
	w.t.Helper()
	select {
	case m := <-w.messages:
		return m
	case <-time.After(patience):
		w.t.Fatalf("nothing is received in %v", patience)
	}
	return wireMessage{}
}

// tool calls a tool, gives each question the answer, none if that is "", and returns the text
// of the result.
func (w *wire) tool(name string, args map[string]any, answer string) (text string, failed bool) {
	w.t.Helper()
	params := toolCall(name, args)
	id := w.send("tools/call", params)
	for {
		m := w.next()
		switch {
		case m.Method == "elicitation/create":
			w.questions, w.ids = append(w.questions, m.Params.Message), append(w.ids, string(m.ID))
			w.respond(m.ID, answer)
		case m.Method == "notifications/cancelled":
			w.withdrawn = append(w.withdrawn, m.Params.RequestID)
		case m.Method != "" || string(m.ID) != id:
		case m.Error != nil:
			w.t.Fatalf("%s: %v", name, m.Error)
		case m.Result.ResultType == "input_required":
			responses := map[string]any{}
			for key, q := range m.Result.InputRequests {
				w.questions = append(w.questions, q.Params.Message)
				responses[key] = map[string]string{"action": answer}
			}
			w.states = append(w.states, m.Result.RequestState)
			again := toolCall(name, args)
			again["inputResponses"], again["requestState"] = responses, m.Result.RequestState
			id = w.send("tools/call", again)
		default:
			return m.Result.Content[0].Text, m.Result.IsError
		}
	}
}

// respond answers a question, not at all if answer is "".
func (w *wire) respond(id json.RawMessage, answer string) {
	m := map[string]any{"jsonrpc": "2.0", "id": id, "result": map[string]any{"action": answer, "content": struct{}{}}}
	switch answer {
	case "":
		return
	case "error":
		delete(m, "result")
		m["error"] = map[string]any{"code": -32601, "message": "no"}
	}
	raw, err := json.Marshal(m)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.post(raw)
}

// overStdio starts the program on the built-in sandbox with more flags, and makes w its client.
func overStdio(w *wire, dir string, more ...string) {
	overPipes(w, nil, append([]string{
		"--sandbox", "--dir", dir, "--sandbox-now", "2026-11-05T12:00:00Z", "--sandbox-density", fewRows,
	}, more...)...)
}

// overPipes starts the program, and makes w its client.
func overPipes(w *wire, env map[string]string, args ...string) {
	w.t.Helper()
	c := exec.Command(build(w.t), args...)
	c.Env = os.Environ()
	for name, value := range env {
		c.Env = append(c.Env, name+"="+value)
	}
	in, err := c.StdinPipe()
	out, outErr := c.StdoutPipe()
	if err = errors.Join(err, outErr); err == nil {
		err = c.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.post = func(raw []byte) {
		if _, err := in.Write(append(raw, '\n')); err != nil {
			w.t.Error(err)
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			w.deliver(lines.Bytes())
		}
	}()
	w.t.Cleanup(func() {
		in.Close()
		<-read
		c.Wait()
	})
}

// overStreams makes w a client of s over Streamable HTTP, with a token if there is one. Calls of
// tools go to another replica, if there is one.
func overStreams(w *wire, s *served, token string, calls ...*served) {
	client, session := newHTTPClient(w.t), ""
	w.post = func(raw []byte) {
		var m struct {
			Method string
			Params struct{ Name string }
		}
		json.Unmarshal(raw, &m)
		at := s
		if m.Method == "tools/call" && len(calls) > 0 {
			at = calls[0]
		}
		r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, at.url+"/mcp", bytes.NewReader(raw))
		if err != nil {
			w.t.Error(err)
			return
		}
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		switch {
		case w.modern:
			r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
			r.Header.Set("Mcp-Method", m.Method)
			r.Header.Set("Mcp-Name", m.Params.Name)
		case session != "":
			r.Header.Set("Mcp-Session-Id", session)
			r.Header.Set("Mcp-Protocol-Version", "2025-11-25")
		}
		answer, err := client.Do(r)
		if err != nil {
			w.t.Error(err)
			return
		}
		if id := answer.Header.Get("Mcp-Session-Id"); id != "" {
			session = id
		}
		go w.read(answer)
	}
}

// read delivers the messages in the response to a POST.
func (w *wire) read(r *http.Response) {
	defer r.Body.Close()
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
		raw, err := io.ReadAll(r.Body)
		switch {
		case r.StatusCode == http.StatusAccepted:
		case json.Valid(raw):
			w.deliver(raw)
		default:
			w.messages <- wireMessage{Error: &rpcError{Code: r.StatusCode, Message: fmt.Sprint(string(raw), err)}}
		}
		return
	}
	for e, err := range events(r.Body) {
		if err != nil {
			return
		}
		if e.data != "" {
			w.deliver([]byte(e.data))
		}
	}
}

// overSSE makes w a client of s over the older transport.
func overSSE(w *wire, s *served) {
	w.t.Helper()
	client := newHTTPClient(w.t)
	ctx, cancel := context.WithCancel(context.Background())
	next, url, err := s.openStream(ctx, client)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &sseSession{client: client, url: url}
	w.post = func(raw []byte) {
		if err := c.send(ctx, raw); err != nil {
			w.t.Error(err)
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			e, err, ok := next()
			if err != nil || !ok {
				return
			}
			w.deliver([]byte(e.data))
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		<-read
	})
}
