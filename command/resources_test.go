//go:build unix

package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/archive"
)

// readResource reads a resource, whose content must have the address that was asked for.
func readResource(t *testing.T, ctx context.Context, c caller, uri string) string {
	t.Helper()
	var r struct{ Contents []struct{ URI, Text string } }
	if err := c.call(ctx, "resources/read", map[string]any{"uri": uri}, &r); err != nil {
		t.Errorf("%s: %v", uri, err)
		return ""
	}
	if len(r.Contents) != 1 || r.Contents[0].URI != uri {
		t.Fatalf("%s is answered %+v", uri, r)
	}
	return r.Contents[0].Text
}

// spellings returns texts with the address of a resource: an id after the scheme and a
// host.
func spellings(host, id, rest string) []string {
	every := ""
	for _, b := range []byte(id + rest) {
		every += fmt.Sprintf("%%%02x", b)
	}
	return []string{
		"fullstory-export://" + host + "/" + id + rest,
		"fullstory-export://" + host + "/" + url.PathEscape(id) + rest,
		"fullstory-export://" + host + "/" + url.QueryEscape(id) + rest,
		"FULLSTORY-EXPORT://" + host + "/" + id + rest,
		"Fullstory-Export://" + strings.ToUpper(host) + "/" + url.PathEscape(id) + rest,
		"fullstory-export://" + host + "/" + every,
		"fullstory-export://" + host + "/" + strings.ToUpper(every),
	}
}

// startedBulk starts a bulk export and returns its id once it is complete.
func startedBulk(t *testing.T, ctx context.Context, c caller, name, chunk string, range_ window) string {
	t.Helper()
	var started struct {
		BulkID string `json:"bulk_id"`
	}
	err := callTool(ctx, c, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": name, "chunk": chunk, "time_range": range_,
	}, &started)
	if err != nil {
		t.Fatal(err)
	}
	for s := (bulkStatus{}); s.State != "complete"; {
		if err := callTool(ctx, c, "get_bulk_export", map[string]any{
			"bulk_id": started.BulkID, "wait_seconds": 20,
		}, &s); err != nil {
			t.Fatal(err)
		}
	}
	return started.BulkID
}

// openProgram serves the built program, and opens a session that ends with the test.
func openProgram(t *testing.T) (context.Context, *httpSession) {
	t.Helper()
	s := serveProgram(t, build(t), t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	h, err := s.open(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	return ctx, h
}

// TestSpellingsOfAddresses reads resources by every spelling of their addresses.
func TestSpellingsOfAddresses(t *testing.T) {
	t.Parallel()
	ctx, h := openProgram(t)
	operation, err := recordedExport(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(operation, "=") {
		t.Errorf("the operation %s has no character that clients escape", operation)
	}
	bulk := startedBulk(t, ctx, h, "two words", "PT12H", window{"2026-09-01", "2026-09-02"})
	for _, same := range []struct {
		texts []string
		says  string
	}{
		{spellings("operations", operation, ""), `"COMPLETED"`},
		{spellings("bulk", bulk, ""), bulk},
		{spellings("bulk", "two-words", ""), bulk},
		{spellings("bulk", bulk, "/manifest"), `"coverage"`},
		{spellings("guide", "time-windows", ""), "# "},
	} {
		first := readResource(t, ctx, h, same.texts[0])
		for _, uri := range same.texts {
			got := readResource(t, ctx, h, uri)
			if !strings.Contains(got, same.says) || withoutTimes(t, got) != withoutTimes(t, first) {
				t.Errorf("%s reads\n%.300s\nwant\n%.300s", uri, got, first)
			}
		}
	}
}

// withoutTimes returns a text without what changes from one read to the next.
func withoutTimes(t *testing.T, text string) string {
	t.Helper()
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) != nil {
		return text
	}
	delete(fields, "written_at")
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestNoSuchResource reads and follows addresses that no resource has: both fail with the
// same text, and with the address in the data of the error.
func TestNoSuchResource(t *testing.T) {
	t.Parallel()
	ctx, h := openProgram(t)
	for _, uri := range []string{
		"fullstory-export://operations/x", "fullstory-export://operations/a%2Fb/c", "fullstory-export://operations/%",
		"fullstory-export://operations/%00", "fullstory-export://operations/%FF", "fullstory-export://operations/",
		"fullstory-export://bulk/x", "fullstory-export://bulk/M%C3%A4rz%202026", "fullstory-export://bulk/März 2026",
		"fullstory-export://bulk/x/manifest", "fullstory-export://bulk/", "fullstory-export://bulk/%00",
		"fullstory-export://bulk//manifest", "fullstory-export://bulk/x/manifest?from=-1",
		"fullstory-export://bulk/x?from=1", "fullstory-export://guide/none", "fullstory-export://none/x",
		"fullstory-export://", "file:///etc/passwd", "", "x",
		"fullstory-export://guide/fields/" + strings.Repeat("x", 20_000),
	} {
		errs := map[string]*rpcError{}
		for _, method := range []string{"resources/read", "resources/subscribe"} {
			var e *rpcError
			if err := h.call(ctx, method, map[string]any{"uri": uri}, nil); !errors.As(err, &e) {
				t.Errorf("%s of %.100s: %v", method, uri, err)
				continue
			}
			errs[method] = e
			var data struct{ URI string }
			if json.Unmarshal(e.Data, &data) != nil || !strings.HasPrefix(uri, strings.TrimSuffix(data.URI, "…")) ||
				data.URI == "" && uri != "" ||
				e.Code != -32002 || goText.MatchString(e.Message) || len(e.Message) > 1000 {
				t.Errorf("%s of %.100s is answered %d, %s, %.300s", method, uri, e.Code, e.Message, e.Data)
			}
		}
		if read, follow := errs["resources/read"], errs["resources/subscribe"]; read != nil && follow != nil &&
			read.Message != follow.Message {
			t.Errorf("%.100s: reading fails with %s, following with %s", uri, read.Message, follow.Message)
		}
	}
	if err := h.call(ctx, "resources/unsubscribe", map[string]any{"uri": "fullstory-export://bulk/x"}, nil); err != nil {
		t.Errorf("unsubscribing is answered %v", err)
	}
}

// TestNoSuchResourceInTheNewProtocol listens to an address that no resource has.
func TestNoSuchResourceInTheNewProtocol(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	h := &httpSession{client: newHTTPClient(t), url: s.url}
	ask := func(method string, params map[string]any) *rpcError {
		params["_meta"] = json.RawMessage(modernMeta)
		headers := http.Header{}
		headers.Set("Mcp-Protocol-Version", "2026-07-28")
		headers.Set("Mcp-Method", method)
		headers.Set("Mcp-Name", nameOf(params))
		answer := answerOver(t, ctx, h, oddRequest{method: method, params: params}, headers)
		var a rpcAnswer
		if json.Unmarshal([]byte(answer), &a) != nil || a.Error == nil {
			t.Fatalf("%s is answered %s", method, answer)
		}
		return a.Error
	}
	read := ask("resources/read", map[string]any{"uri": "fullstory-export://bulk/x"})
	listened := ask("subscriptions/listen", map[string]any{"notifications": map[string]any{
		"resourceSubscriptions": []string{"fullstory-export://guide/fields", "fullstory-export://bulk/x"},
	}})
	if read.Code != -32602 || listened.Code != -32602 || read.Message != listened.Message ||
		string(listened.Data) != `{"uri":"fullstory-export://bulk/x"}` {
		t.Errorf("reading is answered %+v, listening %+v", read, listened)
	}
}

// updatesOn returns the addresses of the resources that a stream says have changed.
func updatesOn(stream io.Reader) <-chan string {
	updates := make(chan string, 1000)
	go func() {
		defer close(updates)
		for e, err := range events(stream) {
			var n struct{ Params struct{ URI string } }
			if err != nil || json.Unmarshal([]byte(e.data), &n) != nil {
				return
			}
			if n.Params.URI != "" {
				updates <- n.Params.URI
			}
		}
	}()
	return updates
}

// TestUpdatedAddress follows a bulk export by unusual spellings of its address. Each
// notification has the text that was subscribed to, which can be read.
func TestUpdatedAddress(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir(), "--sandbox-op-time", "1h")
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	h, err := s.open(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := h.listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	updates := updatesOn(stream)
	var started struct {
		BulkID string `json:"bulk_id"`
	}
	if err := callTool(ctx, h, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": "followed", "chunk": "PT2H",
		"time_range": window{"2026-09-03", "2026-09-04"},
	}, &started); err != nil {
		t.Fatal(err)
	}
	awaited := slices.Concat(spellings("bulk", started.BulkID, "")[3:], spellings("bulk", "followed", "/manifest")[3:])
	for _, uri := range awaited {
		if err := h.call(ctx, "resources/subscribe", map[string]any{"uri": uri}, nil); err != nil {
			t.Fatal(err)
		}
	}
	other, err := s.open(ctx, newHTTPClient(t)) // what a call changes is announced on its own stream
	if err != nil {
		t.Fatal(err)
	}
	cancelled := map[string]string{"bulk_id": started.BulkID, "action": "cancel"}
	asked := callTool(ctx, other, "control_bulk_export", cancelled, nil)
	cancelled["confirm"] = tokenIn(fmt.Sprint(asked))
	if err := callTool(ctx, other, "control_bulk_export", cancelled, nil); err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, uri := range awaited {
		missing[uri] = true
	}
	for len(missing) > 0 {
		select {
		case uri, ok := <-updates:
			if !ok || !slices.Contains(awaited, uri) {
				t.Fatalf("%v: update of %s, want one of %q", ok, uri, awaited)
			}
			readResource(t, ctx, h, uri)
			delete(missing, uri)
		case <-ctx.Done():
			t.Fatalf("no updates of %v", missing)
		}
	}
}

// TestLargeManifest reads a manifest that is too large for one answer, page by page.
func TestLargeManifest(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir(), "--sandbox-density", "10", "--sandbox-op-time", "20ms", "--sandbox-rate",
		"1000", "--sandbox-burst", "1000")
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	h, err := s.open(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	bulk := startedBulk(t, ctx, h, "large", "hour", window{"2026-09-01", "2026-09-05"})
	names, pages := map[string]bool{}, 0
	for next := "fullstory-export://bulk/" + bulk + "/manifest"; next != ""; pages++ {
		text := readResource(t, ctx, h, next)
		var page struct {
			archive.Manifest
			Summary, Next string
			Totals        struct{ Files int } `json:"totals"`
		}
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			t.Fatal(err)
		}
		if len(text) > 60_000 || len(page.Files) == 0 || page.State != "complete" || page.Totals.Files != 96 ||
			!strings.Contains(page.Summary, "96") || pages == 0 && page.Coverage == nil {
			t.Fatalf("%s has %d bytes: %.2000s", next, len(text), text)
		}
		for _, f := range page.Files {
			names[f.Name] = true
		}
		next = page.Next
	}
	if len(names) != 96 || pages < 2 {
		t.Errorf("%d pages have %d files, want 96", pages, len(names))
	}
}

// TestCompletionOfIDs completes ids of bulk exports and of operations.
func TestCompletionOfIDs(t *testing.T) {
	t.Parallel()
	ctx, h := openProgram(t)
	operation, err := completedExport(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	bulk := startedBulk(t, ctx, h, "Late-September", "day", window{"2026-09-20", "2026-09-21"})
	resource := map[string]string{"type": "ref/resource", "uri": "fullstory-export://bulk/{bulk_id}"}
	prompt := map[string]string{"type": "ref/prompt", "name": "troubleshoot_export"}
	for _, test := range []struct {
		ref         map[string]string
		name, value string
		want        string // "": nothing
	}{
		{resource, "bulk_id", "", bulk}, {resource, "bulk_id", bulk[:6], bulk}, {resource, "bulk_id", "SEPT", bulk},
		{resource, "bulk_id", "late-", bulk}, {resource, "bulk_id", "october", ""},
		{resource, "operation_id", "", operation}, {resource, "operation_id", operation[:10], operation},
		{prompt, "operation_id", operation[:10], operation}, {resource, "operation_id", "?", ""},
	} {
		var got struct{ Completion struct{ Values []string } }
		if err := h.call(ctx, "completion/complete", map[string]any{
			"ref": test.ref, "argument": map[string]string{"name": test.name, "value": test.value},
		}, &got); err != nil {
			t.Fatal(err)
		}
		if values := got.Completion.Values; slices.Contains(values, test.want) != (test.want != "") ||
			test.want == "" && len(values) > 0 {
			t.Errorf("%s %q is completed to %q, want %q", test.name, test.value, values, test.want)
		}
	}
}

// TestPromptArguments gets prompts with arguments as users and hosts write them.
func TestPromptArguments(t *testing.T) {
	t.Parallel()
	ctx, h := openProgram(t)
	get := func(name string, arguments any) (text string, e *rpcError) {
		t.Helper()
		var r struct {
			Messages []struct{ Content struct{ Text string } }
		}
		err := h.call(ctx, "prompts/get", map[string]any{"name": name, "arguments": arguments}, &r)
		if err != nil && !errors.As(err, &e) || err == nil && len(r.Messages) != 1 {
			t.Fatal(err, r)
		}
		if err == nil {
			text = r.Messages[0].Content.Text
		}
		return text, e
	}
	type arguments map[string]any
	for _, test := range []struct {
		name  string
		given any
		says  string
	}{
		{"export_segment", nil, "argument segment is missing"},
		{"export_segment", arguments{"segment": "x", "start": "2026-10-01"}, "argument end is missing"},
		{"export_segment", arguments{"segment": "x", "start": nil, "end": "y"}, "argument start is missing"},
		{"export_segment", arguments{"segment": "\u202e\u0000\n ", "start": "x", "end": "y"}, "argument segment is missing"},
		{"export_segment", arguments{"segment": "x", "start": "x", "end": "y", "begin": "z"}, "argument begin is unknown"},
		{"bulk_export", arguments{"segment": strings.Repeat("x", 501), "start": "x", "end": "y"},
			"argument segment is too long"},
		{"bulk_export", arguments{"segment": 7, "start": "x", "end": "y"},
			"params.arguments.segment must be a string; got a number"},
		{"no_such", nil, "export_segment, bulk_export, troubleshoot_export"},
	} {
		if text, e := get(test.name, test.given); e == nil || e.Code != -32602 || !strings.Contains(e.Message, test.says) {
			t.Errorf("%s with %v is answered %.100s %v", test.name, test.given, text, e)
		}
	}
	text, e := get("troubleshoot_export", arguments{
		"operation_id": nil, "problem": "a\u202eb\u0000c\n\n1. Ignore\u200b this." + strings.Repeat("x", 100_000),
	})
	if e != nil || len(text) > 8000 || strings.ContainsAny(text, "\u202e\u0000\u200b") ||
		!strings.Contains(text, "abc  1. Ignore this.x") {
		t.Errorf("a long problem is answered %v, %.300q", e, text)
	}
}
