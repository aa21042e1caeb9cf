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
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// everyParam has, for every method, a value of the right type for every param.
var everyParam = []struct{ method, params string }{
	{"initialize", `{"protocolVersion":"2025-06-18","capabilities":{"roots":{"listChanged":true},"sampling":{},
		"elicitation":{},"experimental":{"x":{}}},"clientInfo":{"name":"t","version":"1","title":"t"}}`},
	{"ping", `{}`},
	{"server/discover", `{}`},
	{"tools/list", `{"cursor":""}`},
	{"tools/call", `{"name":"list_segments","arguments":{"limit":1},"task":{"ttl":1},"inputResponses":{},
		"requestState":"x"}`},
	{"prompts/list", `{"cursor":""}`},
	{"prompts/get", `{"name":"troubleshoot_export","arguments":{"problem":"none","operation_id":"x"},"inputResponses":{},
		"requestState":"x"}`},
	{"resources/list", `{"cursor":""}`},
	{"resources/templates/list", `{"cursor":""}`},
	{"resources/read", `{"uri":"fullstory-export://guide/fields","arguments":{}}`},
	{"resources/subscribe", `{"uri":"fullstory-export://guide/fields"}`},
	{"resources/unsubscribe", `{"uri":"fullstory-export://guide/fields"}`},
	{"logging/setLevel", `{"level":"error"}`},
	{"completion/complete", `{"ref":{"type":"ref/prompt","name":"bulk_export","uri":"x"},
		"argument":{"name":"chunk","value":"d"},"context":{"arguments":{"type":"x"}}}`},
	{"subscriptions/listen", `{"notifications":{"toolsListChanged":false,"promptsListChanged":false,
		"resourcesListChanged":false,"resourceSubscriptions":[]}}`},
	{"tasks/get", `{"taskId":"x"}`},
	{"tasks/list", `{"cursor":""}`},
	{"tasks/result", `{"taskId":"x"}`},
	{"tasks/cancel", `{"taskId":"x"}`},
	{"notifications/initialized", `{}`},
	{"notifications/cancelled", `{"requestId":"none","reason":"x"}`},
	{"notifications/progress", `{"progressToken":1,"progress":1,"message":"x"}`},
	{"notifications/roots/list_changed", `{}`},
	{"sampling/createMessage", `{"messages":[]}`},
	{"no/such", `{"x":1}`},
}

// modernMeta makes a request one of protocol 2026-07-28.
const modernMeta = `{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
	"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},
	"io.modelcontextprotocol/clientCapabilities":{"roots":{"listChanged":true}},
	"io.modelcontextprotocol/logLevel":"info","progressToken":"p"}`

// wrongValues are values of every type of JSON.
var wrongValues = []string{`"text!"`, `""`, `7`, `1e999`, `true`, `null`, `[]`, `[7]`, `{}`, `{"a":7}`}

// anyValue are the params whose type does not matter: nothing depends on them, or a
// tool checks them.
var anyValue = regexp.MustCompile(`^initialize params\.(capabilities|clientInfo)|` +
	`^tools/call params\.(task|arguments)|` +
	` params\._meta\.(progressToken|io\.modelcontextprotocol/(clientInfo|clientCapabilities|logLevel))`)

// oddRequest is a request with one wrong value.
type oddRequest struct {
	method, path, value string
	params              any
	wrong               bool // the value has another type than the field
}

// oddRequests replaces each value in the params of every method by each wrong one.
func oddRequests(t *testing.T, meta string) (all []oddRequest) {
	t.Helper()
	for _, m := range everyParam {
		var params map[string]any
		if err := json.Unmarshal([]byte(m.params), &params); err != nil {
			t.Fatal(m.method, err)
		}
		params["_meta"] = json.RawMessage(meta)
		raw, err := json.Marshal(params)
		if err != nil {
			t.Fatal(err)
		}
		var document any
		if err := json.Unmarshal(raw, &document); err != nil {
			t.Fatal(err)
		}
		for _, value := range wrongValues {
			replaceEach("params", document, json.RawMessage(value), func(path string, before, params any) {
				all = append(all, oddRequest{m.method, path, value, params, typeOf(t, value) != typeOfGo(before)})
			})
		}
	}
	return all
}

// replaceEach calls each with a copy of v for every value in it, in which that value is
// replaced.
func replaceEach(path string, v any, by json.RawMessage, each func(path string, before, whole any)) {
	each(path, v, by)
	object, _ := v.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		replaceEach(path+"."+name, object[name], by, func(path string, before, inner any) {
			whole := maps.Clone(object)
			whole[name] = inner
			each(path, before, whole)
		})
	}
}

func typeOf(t *testing.T, value string) string {
	t.Helper()
	if value == `1e999` {
		return "float64"
	}
	var v any
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		t.Fatal(err)
	}
	return typeOfGo(v)
}

func typeOfGo(v any) string { return fmt.Sprintf("%T", v) }

// goText is what no answer may contain: words of Go and of its libraries.
var goText = regexp.MustCompile(
	`Go |json:|cannot unmarshal|struct|interface|map\[|base64|UnmarshalType|<nil>|%!|0x[0-9a-f]{6}`)

// isUnnamed reports whether the wrong value is a number in the arguments of a tool that
// no float holds, and the answer lacks the name of its field.
func (o oddRequest) isUnnamed(answer string) bool {
	return o.value == "1e999" && o.method == "tools/call" && strings.HasPrefix(o.path, "params.arguments") &&
		!strings.Contains(answer, path.Ext(o.path)[1:])
}

// check checks the answer to o, "" if there is none.
func (o oddRequest) check(t *testing.T, over, answer string) {
	t.Helper()
	report := func(why string) {
		t.Helper()
		t.Errorf("%s: %s with %s = %s: %s: %.400s", over, o.method, o.path, o.value, why, answer)
	}
	if strings.HasPrefix(o.method, "notifications/") {
		if answer != "" {
			report("a notification is answered")
		}
		return
	}
	var a struct {
		ID     json.RawMessage
		Result json.RawMessage
		Error  *rpcError
	}
	if json.Unmarshal([]byte(answer), &a) != nil || (a.Error == nil) == (a.Result == nil) {
		report("no JSON-RPC answer")
		return
	}
	text := answer
	if a.Result != nil {
		text = ""
	}
	known := !regexp.MustCompile(`^(tasks/|no/|sampling/)`).MatchString(o.method)
	emptyList := o.value == "[]" && o.params != nil // is read as an empty object
	absent := o.value == "null" && o.path != "params.ref.type"
	switch {
	case goText.MatchString(text):
		report("words of Go")
	case a.Error != nil && a.Error.Code == -32601 && strings.Contains(a.Error.Message, "was removed in protocol version"):
		if !regexp.MustCompile(`^(initialize|ping|logging/|tasks/|resources/(un)?subscribe)`).MatchString(o.method) {
			report("a method that exists was removed")
		}
	case o.isUnnamed(answer):
		report("no result that names the field")
	case !known, !o.wrong, emptyList, absent, o.value == "1e999":
		if a.Error != nil && (a.Error.Message == "" || a.Error.Code > -32000) {
			report("an empty error")
		}
	case anyValue.MatchString(o.method + " " + o.path):
		if a.Error != nil && a.Error.Code == -32602 && strings.Contains(a.Error.Message, " must be ") {
			report("a value that does not matter is rejected")
		}
	case a.Error == nil || a.Error.Code != -32602 || !strings.Contains(a.Error.Message, o.path) ||
		!strings.Contains(a.Error.Message, " must be "):
		report("no error that names the field and what it must be")
	}
}

// TestWrongTypesOverStdio sends every method with every param of every wrong type to the
// program over stdio, in the protocol with sessions and in the one without.
func TestWrongTypesOverStdio(t *testing.T) {
	long(t)
	t.Parallel()
	var in strings.Builder
	in.WriteString(hello)
	requests := append(oddRequests(t, `{"progressToken":"p"}`), oddRequests(t, modernMeta)...)
	for i, o := range requests {
		id := int64(100 + i)
		if strings.HasPrefix(o.method, "notifications/") {
			id = 0
		}
		in.Write(append(rpcRequest(id, o.method, o.params), '\n'))
	}
	in.Write(append(rpcRequest(99, "ping", nil), '\n'))
	c := exec.Command(build(t), simulated(t)...)
	c.Stdin = strings.NewReader(in.String())
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for line := range strings.Lines(string(out)) {
		var m struct {
			ID     json.RawMessage
			Method string
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m.Method == "" {
			answers[string(m.ID)] = strings.TrimSpace(line)
		}
	}
	for i, o := range requests {
		o.check(t, "stdio", answers[fmt.Sprint(100+i)])
	}
	if answers["99"] == "" || answers["null"] != "" {
		t.Errorf("the last request was answered %q, and nothing %q", answers["99"], answers["null"])
	}
	t.Logf("%d requests", len(requests))
}

// TestWrongTypesOverHTTP does the same over Streamable HTTP.
func TestWrongTypesOverHTTP(t *testing.T) {
	long(t)
	t.Parallel()
	ctx, h := openProgram(t)
	for _, o := range oddRequests(t, `{"progressToken":"p"}`) {
		o.check(t, "HTTP", answerOver(t, ctx, h, o, nil))
		if h.id == "" {
			t.Fatalf("%+v ended the session", o)
		}
	}
	modern := http.Header{}
	modern.Set("Mcp-Protocol-Version", "2026-07-28")
	for _, o := range oddRequests(t, modernMeta) {
		if strings.HasPrefix(o.path, "params._meta") && strings.HasSuffix(o.path, "protocolVersion") || o.path == "params" ||
			o.path == "params._meta" || o.method == "subscriptions/listen" && !o.wrong {
			continue // says that the header and the body disagree, or opens a stream
		}
		modern.Set("Mcp-Method", o.method)
		modern.Set("Mcp-Name", "x")
		if name := nameOf(o.params); name != "" {
			modern.Set("Mcp-Name", name)
		}
		o.check(t, "HTTP, 2026-07-28", lastMessage(answerOver(t, ctx, h, o, modern)))
	}
	if err := h.call(ctx, "ping", nil, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// lastMessage returns the last message of an answer, which is JSON or a stream.
func lastMessage(answer string) string {
	if i := strings.LastIndex(answer, "\ndata: "); i >= 0 {
		return answer[i+len("\ndata: "):]
	}
	return answer
}

// nameOf returns the value of the header Mcp-Name.
func nameOf(params any) string {
	raw, _ := json.Marshal(params)
	var p map[string]any
	json.Unmarshal(raw, &p)
	for _, name := range []string{"name", "uri"} {
		if text, ok := p[name].(string); ok {
			return text
		}
	}
	return ""
}

// answerOver posts a request, and returns the body of the answer, "" if there is none.
func answerOver(t *testing.T, ctx context.Context, h *httpSession, o oddRequest, headers http.Header) string {
	t.Helper()
	id := h.last.Add(1)
	if strings.HasPrefix(o.method, "notifications/") {
		id = 0
	}
	r, err := http.NewRequestWithContext(ctx, "POST", h.url+"/mcp", bytes.NewReader(rpcRequest(id, o.method, o.params)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Content-Type", "application/json")
	maps.Copy(r.Header, headers)
	if headers == nil && o.method != "initialize" {
		r.Header.Set("Mcp-Session-Id", h.id)
		r.Header.Set("Mcp-Protocol-Version", testedVersion)
	}
	answer, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}
