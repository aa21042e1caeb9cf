//go:build unix

package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// longEcho is what a client sends in every place of every message: characters that must
// not be shown, and more of one letter than any answer may repeat.
var longEcho = "\x1b[31m\u202e\u200b\u2066\ufeff\U000e0041" + strings.Repeat("Z", 20_000)

// mostRepeated is the most of the letters that an answer may repeat in one text.
const mostRepeated = 2500

// echoes returns what is wrong with a text that a client gets, which is JSON, lines or
// events of it, or plain; "" if nothing is.
func echoes(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "data: "))
		var value any
		if json.Unmarshal([]byte(line), &value) != nil {
			value = line
		}
		if found := echoIn(value); found != "" {
			return found
		}
	}
	return ""
}

// echoIn is echoes for a decoded value.
func echoIn(value any) string {
	switch v := value.(type) {
	case string:
		return echoInText(v)
	case []any:
		for _, item := range v {
			if found := echoIn(item); found != "" {
				return found
			}
		}
	case map[string]any:
		for name, member := range v {
			if found := echoIn(name) + echoIn(member); found != "" && name != "id" {
				return name + ": " + found
			}
		}
	}
	return ""
}

// echoInText is echoes for a text.
func echoInText(text string) string {
	repeated := strings.Contains(text, strings.Repeat("Z", mostRepeated))
	if repeated || strings.ContainsAny(text, "\x1b\u202e\u200b\u2066\ufeff\U000e0041") {
		return fmt.Sprintf("%d bytes: %.300q", len(text), text)
	}
	var inner any // the text of a result is JSON
	if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &inner) == nil {
		return echoIn(inner)
	}
	return ""
}

// hostileVariants calls use with variants of value: each of its texts, names and numbers is
// replaced by the echo, one at a time.
func hostileVariants(value any, use func(any)) {
	use(longEcho)
	use([]any{longEcho})
	use(map[string]any{longEcho: longEcho})
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			hostileVariants(v[name], func(changed any) {
				other := maps.Clone(v)
				other[name] = changed
				use(other)
			})
			other := maps.Clone(v)
			delete(other, name)
			other[longEcho] = v[name]
			use(other)
		}
	case []any:
		for i := range v {
			hostileVariants(v[i], func(changed any) {
				other := slices.Clone(v)
				other[i] = changed
				use(other)
			})
		}
	}
}

// sampleParams are params of each method, and of methods that there are not.
func sampleParams() map[string]any {
	resource := map[string]any{"uri": "fullstory-export://guide/notices"}
	page := map[string]any{"cursor": "abc"}
	return map[string]any{
		"initialize": map[string]any{
			"protocolVersion": "2025-06-18", "capabilities": map[string]any{"roots": map[string]any{"listChanged": true}},
			"clientInfo": map[string]any{"name": "a", "version": "1"},
		},
		"ping": map[string]any{}, "server/discover": map[string]any{}, "tools/list": page, "prompts/list": page,
		"resources/list": page, "resources/templates/list": page, "resources/read": resource,
		"resources/subscribe": resource, "resources/unsubscribe": resource,
		"logging/setLevel": map[string]any{"level": "debug"},
		"prompts/get":      map[string]any{"name": "export_period", "arguments": map[string]any{"segment": "everyone"}},
		"completion/complete": map[string]any{
			"ref":      map[string]any{"type": "ref/prompt", "name": "export_period"},
			"argument": map[string]any{"name": "segment", "value": "e"},
			"context":  map[string]any{"arguments": map[string]any{"a": "b"}},
		},
		"tools/call":  map[string]any{"name": "plan_time_chunks", "arguments": map[string]any{"chunk": "day"}},
		"tasks/get":   map[string]any{"taskId": "x"},
		"tasks/list":  page,
		"roots/list":  map[string]any{},
		"no/such":     map[string]any{"x": "y"},
		"logging/set": map[string]any{"level": "debug"},
	}
}

// hostileMessages returns messages of an era, modern or not, that have the echo in one
// place each. tools are the properties of each tool.
func hostileMessages(modern bool, tools map[string][]string) (messages [][]byte) {
	add := func(method string, params any) {
		m := map[string]any{"jsonrpc": "2.0", "id": len(messages) + 10, "method": method, "params": params}
		if raw, err := json.Marshal(m); err == nil {
			messages = append(messages, raw)
		}
	}
	meta := map[string]any{
		"io.modelcontextprotocol/protocolVersion":    "2026-07-28",
		"io.modelcontextprotocol/clientCapabilities": map[string]any{},
		"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "a", "version": "1"},
	}
	for method, params := range sampleParams() {
		full := maps.Clone(params.(map[string]any))
		full["_meta"] = map[string]any{"progressToken": "p"}
		if modern {
			full["_meta"] = meta
		}
		hostileVariants(full, func(changed any) { add(method, changed) })
		add(method+longEcho, full)
		add(longEcho, full)
	}
	for name, properties := range tools {
		call := func(arguments any) {
			params := map[string]any{"name": name, "arguments": arguments}
			if modern {
				params["_meta"] = meta
			}
			add("tools/call", params)
		}
		call(map[string]any{longEcho: longEcho})
		for _, property := range properties {
			hostileVariants(map[string]any{"start": "2026"}, func(v any) { call(map[string]any{property: v, "dry_run": true}) })
		}
	}
	for _, raw := range []string{
		`{"jsonrpc":%q,"id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":{%q:1},"method":"ping"}`,
		`{"jsonrpc":"2.0","id":2,"method":{%q:1}}`, `{"jsonrpc":"2.0","id":3,"method":["x%s"]}`, `"%s"`, `[%q]`, `{%q:`,
		`{"jsonrpc":"2.0","id":%q,"method":"ping"}`, `{"jsonrpc":"2.0","id":%q,"method":"no/such"}`, `{%q:1}`,
	} {
		text, err := json.Marshal(longEcho)
		if err != nil {
			panic(err)
		}
		raw = strings.ReplaceAll(raw, "%q", string(text))
		messages = append(messages, []byte(strings.ReplaceAll(raw, "%s", "\u202e\u200bZZ")))
	}
	return messages
}

// propertiesOf returns the names of the arguments of each tool.
func propertiesOf(t *testing.T, h *httpSession) map[string][]string {
	t.Helper()
	var list struct {
		Tools []struct {
			Name        string
			InputSchema struct{ Properties map[string]any }
		}
	}
	if err := h.call(t.Context(), "tools/list", nil, &list); err != nil {
		t.Fatal(err)
	}
	tools := map[string][]string{}
	for _, tool := range list.Tools {
		tools[tool.Name] = slices.Sorted(maps.Keys(tool.InputSchema.Properties))
	}
	if len(tools) < 10 {
		t.Fatalf("only %d tools", len(tools))
	}
	return tools
}

// TestHostileMessages sends the echo in every place of every message, in both eras, over
// HTTP and stdio, and in headers. No answer may show it, or repeat much of it.
func TestHostileMessages(t *testing.T) {
	long(t)
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir())
	h, err := s.open(t.Context(), newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	tools := propertiesOf(t, h)
	answered := 0
	for _, modern := range []bool{false, true} {
		messages := hostileMessages(modern, tools)
		for _, raw := range messages {
			answered++
			if found := echoes(s.answerTo(h, raw, modern)); found != "" {
				t.Errorf("over HTTP, to %.300s: %s", raw, found)
			}
		}
		hostileLines(t, messages)
	}
	for _, name := range []string{"Mcp-Session-Id", "Mcp-Protocol-Version", "Last-Event-Id", "Mcp-Method", "Mcp-Name",
		"Authorization", "Accept", "Content-Type", "Origin", "Host"} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			if found := echoes(s.withHeader(h, method, name, strings.ReplaceAll(longEcho, "\x1b", ""))); found != "" {
				t.Errorf("the header %s of %s: %s", name, method, found)
			}
		}
	}
	t.Logf("%d messages", answered)
}

// hostileLines sends messages over stdio.
func hostileLines(t *testing.T, messages [][]byte) {
	t.Helper()
	lines := append([]byte(hello), bytes.Join(messages, []byte("\n"))...)
	var stdout, stderr buffer
	args := append([]string{"stdio"}, simulated(t)...)
	err := Run(t.Context(), args, func(string) string { return "" }, bytes.NewReader(lines), &stdout, &stderr)
	if n := strings.Count(stdout.String(), "\n"); err != nil || n < len(messages)*9/10 {
		t.Errorf("%d answers to %d messages over stdio, %v", n, len(messages), err)
	}
	if found := echoes(stdout.String()); found != "" {
		t.Errorf("over stdio: %s", found)
	}
}

// answerTo returns the body of the answer to a message over HTTP.
func (s *served) answerTo(h *httpSession, raw []byte, modern bool) string {
	s.t.Helper()
	var m struct {
		Method string `json:"method"`
		Params struct {
			Name any `json:"name"`
			URI  any `json:"uri"`
		} `json:"params"`
	}
	_ = json.Unmarshal(raw, &m)
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/mcp", bytes.NewReader(raw))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if modern {
		r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
		r.Header.Set("Mcp-Method", strings.ReplaceAll(m.Method, "\x1b", ""))
		for _, name := range []any{m.Params.Name, m.Params.URI} {
			if text, ok := name.(string); ok {
				r.Header.Set("Mcp-Name", strings.ReplaceAll(text, "\x1b", ""))
			}
		}
	} else {
		r.Header.Set("Mcp-Session-Id", h.id)
	}
	return s.bodyOf(h, r)
}

// withHeader returns the body of the answer to a request with that header.
func (s *served) withHeader(h *httpSession, method, name, value string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set(name, value)
	return s.bodyOf(h, r)
}

// bodyOf returns the beginning of the body of the answer to r.
func (s *served) bodyOf(h *httpSession, r *http.Request) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	answer, err := h.client.Do(r.WithContext(ctx))
	if err != nil {
		s.t.Errorf("%s: %v", r.Method, err)
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		s.t.Error(err)
	}
	return string(body)
}
