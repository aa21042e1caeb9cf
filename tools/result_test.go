package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/schema"
)

// callRaw calls a tool with args as they came over the wire.
func callRaw(t testing.TB, d Declaration, args string) (text string, failed bool) {
	t.Helper()
	var r mcp.CallToolRequest
	envelope := `{"method":"tools/call","params":{"name":"` + d.Served.Tool.Name + `","arguments":` + args + `}}`
	if args == "" {
		envelope = `{"method":"tools/call","params":{"name":"` + d.Served.Tool.Name + `"}}`
	}
	if err := json.Unmarshal([]byte(envelope), &r); err != nil {
		r.Params.RawArguments = json.RawMessage(args)
	}
	result, err := d.Served.Handler(t.Context(), r)
	if err != nil {
		t.Fatalf("%s failed as a protocol error: %v", d.Served.Tool.Name, err)
	}
	return result.Content[0].(mcp.TextContent).Text, result.IsError
}

// TestExplain is the table of failures and what a model reads of them: cause,
// remedy, whether a repeat helps.
func TestExplain(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, test := range []struct {
		name string
		err  error
		says []string
	}{
		{"arguments", &schema.Invalid{Problems: []schema.Problem{{Field: "limit", Got: "5", Want: "less"}}}, []string{"Invalid arguments", "limit: got 5, want less"}},
		{"contradiction", &preflight.Refusal{Field: "scope", Message: "both"}, []string{"Invalid arguments", "scope: both"}},
		{"time", fmt.Errorf("x: %w", &plan.Error{Field: "start", Got: "x", Message: "not understood"}), []string{"Invalid arguments", `start: got "x": not understood`}},
		{"no segment", &preflight.SegmentError{Asked: "Chekout", Near: []client.Segment{{ID: "a1", Name: "Checkout"}}}, []string{`no segment has the id or name "Chekout"`, `"Checkout" (a1)`, "list_segments"}},
		{"two segments", &preflight.SegmentError{Asked: "X", Matches: []client.Segment{{ID: "a1"}, {ID: "a2"}}}, []string{"2 segments", "a1, a2"}},
		{"400", &client.Error{Op: "create segment export", Status: 400, Message: "fields is bad"}, []string{"refused the request (400): fields is bad", "unchanged repeat does not help"}},
		{"401", &client.Error{Status: 401}, []string{"refused the API key", "person has to replace it", "repeat does not help"}},
		{"403", &client.Error{Status: 403}, []string{"role may be too low", "check_connection", "add-on", "repeat does not help"}},
		{"403 of a low role", &forbidden{role: "USER", err: &client.Error{Status: 403}}, []string{"has the role USER", "Architect or Admin", "administrator"}},
		{"403 of a good role", &forbidden{role: "ARCHITECT", err: &client.Error{Status: 403}}, []string{"add-on", "ARCHITECT is enough"}},
		{"404", &client.Error{Op: "get operation", Status: 404, Message: "There is no such operation."}, []string{"get operation", "list_export_operations", "repeat does not help"}},
		{"429", &client.Error{Status: 429, RetryAfter: 7 * time.Second}, []string{"Wait 7 seconds", "nothing was started"}},
		{"500", &client.Error{Op: "list segments", Status: 500}, []string{"failed (500", "arguments may be fine", "repeat in a minute is safe"}},
		{"down", &client.Error{Op: "list segments", Err: dial}, []string{"could not be reached", "connection refused", "arguments may be fine", "repeat is safe"}},
		{"slow", &client.Error{Op: "list segments", Err: context.DeadlineExceeded}, []string{"could not be reached", "no answer in time"}},
		{"uncertain", &client.Error{Op: "create segment export", Status: 502, Uncertain: true}, []string{"may have been accepted", "list_export_operations", "second export"}},
		{"unrecorded", &unrecorded{operationID: "op=", err: &archive.DiskError{Path: "/x", Err: syscall.ENOSPC}}, []string{"operation_id is op=", "Do not create it again", "No space is left in /x"}},
		{"disk full", &archive.DiskError{Path: "/x", Need: 5e6, Keep: 64e6, Free: 1e6}, []string{"Not enough space in /x: the file needs 5 MB more and 64 MB are to stay free, but 1 MB are free", "Somebody has to free space"}},
		{"no permission", &archive.DiskError{Path: "/x", Err: fs.ErrPermission}, []string{"Permission is missing to write in /x"}},
		{"unsound", &archive.ContentError{Reason: "the gzip file is cut off"}, []string{"cut off", "not kept", "once more", "create the export anew"}},
		{"link refused", &archive.LinkError{Status: 403}, []string{"refused the link (403)", "expired", "get_export_operation"}},
		{"link not followed", &archive.LinkError{Reason: "it leads to 10.0.0.1"}, []string{"10.0.0.1", "A person has to look", "repeat does not help"}},
		{"broken off", &archive.TransferError{Done: 5000, Err: errors.New("reset")}, []string{"broke off", "kept", "goes on from there"}},
		{"expired export", &client.Error{Op: "get export results", Status: 410}, []string{"has expired", "create_segment_export"}},
		{"damaged manifest", &archive.ManifestError{Path: "/x/manifest.json", Reason: "is damaged"}, []string{"/x/manifest.json is damaged", "moves that file away"}},
		{"conflict", &archive.ConflictError{Path: "/x/y"}, []string{"/x/y", "left alone"}},
		{"bug", &panicked{id: "abc"}, []string{"Internal error abc", "log"}},
		{"cancelled", context.Canceled, []string{"cancelled"}},
		{"too long", context.DeadlineExceeded, []string{"20 seconds", "repeat is safe"}},
		{"unknown", errors.New("odd"), []string{"Internal error: wrapped: odd"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := explain(fmt.Errorf("wrapped: %w", test.err))
			for _, want := range test.says {
				if !strings.Contains(text, want) {
					t.Errorf("%q lacks %q", text, want)
				}
			}
		})
	}
}

func TestPanicIsExplained(t *testing.T) {
	tool := Tool[struct{}, connectionOutForTest]{Name: "x", Call: func(context.Context, struct{}) (connectionOutForTest, error) { panic("secret detail") }}
	d, err := tool.declare(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	text, failed := callRaw(t, d, "")
	if !failed || !strings.HasPrefix(text, "Internal error ") || strings.Contains(text, "secret") {
		t.Errorf("got %q", text)
	}
}

type connectionOutForTest struct {
	Summary string `json:"summary"`
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                          "plain",
		"a\nb\tc":                        "a b c",
		"\x1b[31mred\x1b[0m":             "[31mred[0m",
		"abc\u202edef\u2066\u200b\ufeff": "abcdef",
		"bad\xff":                        "bad�",
		"héllo wörld":                    "héllo …",
	} {
		limit := 100
		if strings.HasPrefix(in, "h") {
			limit = 6
		}
		if got := clean(in, limit); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
