package prompts

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// mentioned matches the names of tools in a prompt.
var mentioned = regexp.MustCompile(`\b(?:check|list|plan|create|get|cancel|download|start|control)_[a-z_]+\b`)

// known lists the tools; this package cannot import them.
var known = []string{"check_connection", "list_segments", "plan_time_chunks", "create_segment_export",
	"get_export_operation", "list_export_operations", "cancel_export_operation", "download_export", "start_bulk_export",
	"get_bulk_export", "list_bulk_exports", "control_bulk_export"}

func TestPrompts(t *testing.T) {
	all := All()
	if len(all) != 5 {
		t.Errorf("%d prompts, want 5", len(all))
	}
	for _, p := range all {
		required, every := map[string]string{}, map[string]string{}
		for _, a := range p.Prompt.Arguments {
			if a.Description == "" {
				t.Errorf("%s: the argument %s has no description", p.Prompt.Name, a.Name)
			}
			every[a.Name] = "the-" + a.Name
			if a.Required {
				required[a.Name] = "the-" + a.Name
			}
		}
		checkPrompt(t, p, required)
		checkPrompt(t, p, every)
	}
}

// checkPrompt checks that the text of p uses every argument in args, leaves nothing
// of the template, and mentions existing tools only.
func checkPrompt(t *testing.T, p server.ServerPrompt, args map[string]string) {
	t.Helper()
	r := mcp.GetPromptRequest{}
	r.Params.Arguments = args
	got, err := p.Handler(t.Context(), r)
	if err != nil {
		t.Errorf("%s with %d arguments: %v", p.Prompt.Name, len(args), err)
		return
	}
	text := got.Messages[0].Content.(mcp.TextContent).Text
	for _, bad := range []string{"{{", "}}", "<no value>", "  "} {
		if strings.Contains(text, bad) {
			t.Errorf("%s with %d arguments contains %q:\n%s", p.Prompt.Name, len(args), bad, text)
		}
	}
	for _, value := range args {
		if !strings.Contains(text, value) {
			t.Errorf("%s does not use %s:\n%s", p.Prompt.Name, value, text)
		}
	}
	for _, tool := range mentioned.FindAllString(text, -1) {
		if !slices.Contains(known, tool) {
			t.Errorf("%s mentions %s, which is not a tool", p.Prompt.Name, tool)
		}
	}
}

func TestPromptsReject(t *testing.T) {
	for _, test := range []struct {
		args map[string]string
		says string
	}{
		{nil, "argument segment is missing"},
		{map[string]string{"segment": "x", "start": " ", "end": "y"}, "argument start is missing"},
		{map[string]string{"segment": "x", "start": "a", "end": "b", "begin": "c"},
			"argument begin is unknown; valid arguments are segment, start, end, type, format, timezone"},
	} {
		r := mcp.GetPromptRequest{}
		r.Params.Arguments = test.args
		if _, err := All()[0].Handler(t.Context(), r); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: got %v, want: … %s", test.args, err, test.says)
		}
	}
}
