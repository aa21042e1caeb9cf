// Package served calls a server over Streamable HTTP.
package served

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Until calls ok every 50 ms until it returns true. It fails after limit.
func Until(what string, limit time.Duration, ok func() bool) error {
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %s", what, limit)
		}
	}
	return nil
}

// Status returns the status that an address answers with to GET; 0 if it does not answer.
func Status(address string) int {
	answer, err := client.Get(address)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// client keeps no connections: a server that stops would wait for them.
var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Session is a session of MCP.
type Session struct {
	base, token, host, id string
}

// Connect begins a session with the server at base, such as http://127.0.0.1:8931. host is
// the name by which the server is called; "" is that of base.
func Connect(base, token, host string) (*Session, error) {
	s := &Session{base: base, token: token, host: host}
	_, err := s.send("initialize", map[string]any{
		"protocolVersion": "2025-06-18", "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "ci", "version": "1"},
	})
	return s, err
}

// At returns the same session at another replica.
func (s *Session) At(base string) *Session {
	other := *s
	other.base = base
	return &other
}

// Call calls a tool, and decodes its structured result into out.
func (s *Session) Call(tool string, arguments map[string]any, out any) error {
	raw, err := s.send("tools/call", map[string]any{"name": tool, "arguments": arguments})
	if err != nil {
		return err
	}
	var result struct {
		IsError           bool            `json:"isError"`
		StructuredContent json.RawMessage `json:"structuredContent"`
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return err
	}
	if result.IsError {
		return fmt.Errorf("%s answers %s", tool, raw)
	}
	return json.Unmarshal(result.StructuredContent, out)
}

// send sends a request, and returns its result.
func (s *Session) send(method string, params any) (json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodPost, s.base+"/mcp", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Host = s.host
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer "+s.token)
	if s.id != "" {
		r.Header.Set("Mcp-Session-Id", s.id)
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s is answered %s: %s", method, answer.Status, raw)
	}
	if id := answer.Header.Get("Mcp-Session-Id"); id != "" {
		s.id = id
	}
	return resultOf(raw)
}

// resultOf returns the result in an answer, which is JSON or the last event of a stream.
func resultOf(raw []byte) (json.RawMessage, error) {
	for line := range strings.Lines(string(raw)) {
		if event, ok := strings.CutPrefix(line, "data:"); ok {
			raw = []byte(event)
		}
	}
	var message struct {
		Result, Error json.RawMessage
	}
	if err := json.Unmarshal(raw, &message); err != nil {
		return nil, err
	}
	if message.Error != nil {
		return nil, fmt.Errorf("the server answers %s", message.Error)
	}
	return message.Result, nil
}
