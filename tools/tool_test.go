package tools

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// callRaw calls a tool with args as a client sends them; "" sends none.
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

func TestPanicIsExplained(t *testing.T) {
	tool := Tool[struct{}, summaryOnly]{
		Name: "x", Call: func(context.Context, struct{}) (summaryOnly, error) { panic("secret detail") },
	}
	d, err := tool.declare(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	text, failed := callRaw(t, d, "")
	if !failed || !strings.HasPrefix(text, "Internal error ") || strings.Contains(text, "secret") {
		t.Errorf("got %q", text)
	}
}

type summaryOnly struct {
	Summary string `json:"summary"`
}
