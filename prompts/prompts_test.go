package prompts

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// mentioned finds the names of tools in a prompt.
var mentioned = regexp.MustCompile(`\b(?:check|list|plan|create|get|cancel|download|start|control)_[a-z_]+\b`)

var known = []string{"check_connection", "list_segments", "plan_time_chunks", "create_segment_export", "get_export_operation", "list_export_operations", "cancel_export_operation", "download_export", "start_bulk_export", "get_bulk_export", "list_bulk_exports", "control_bulk_export"}

func TestPrompts(t *testing.T) {
	all := All()
	if len(all) != 3 {
		t.Errorf("%d prompts, want 3", len(all))
	}
	for _, p := range all {
		least, most := map[string]string{}, map[string]string{}
		for _, a := range p.Prompt.Arguments {
			if a.Description == "" {
				t.Errorf("%s: the argument %s is not described", p.Prompt.Name, a.Name)
			}
			most[a.Name] = "the-" + a.Name
			if a.Required {
				least[a.Name] = "the-" + a.Name
			}
		}
		for name, args := range map[string]map[string]string{"least": least, "most": most} {
			r := mcp.GetPromptRequest{}
			r.Params.Arguments = args
			got, err := p.Handler(t.Context(), r)
			if err != nil {
				t.Errorf("%s with %s arguments: %v", p.Prompt.Name, name, err)
				continue
			}
			text := got.Messages[0].Content.(mcp.TextContent).Text
			for _, bad := range []string{"{{", "}}", "<no value>", "  "} {
				if strings.Contains(text, bad) {
					t.Errorf("%s with %s arguments holds %q:\n%s", p.Prompt.Name, name, bad, text)
				}
			}
			for _, value := range args {
				if !strings.Contains(text, value) {
					t.Errorf("%s does not use %s:\n%s", p.Prompt.Name, value, text)
				}
			}
			for _, tool := range mentioned.FindAllString(text, -1) {
				if !slices.Contains(known, tool) {
					t.Errorf("%s speaks of %s, which is no tool", p.Prompt.Name, tool)
				}
			}
		}
	}
}

func TestPromptsRefuse(t *testing.T) {
	for _, test := range []struct {
		args map[string]string
		says string
	}{
		{nil, "argument segment is missing"},
		{map[string]string{"segment": "x", "start": " ", "end": "y"}, "argument start is missing"},
		{map[string]string{"segment": "x", "start": "a", "end": "b", "begin": "c"}, "unknown argument begin; there are segment, start, end, type, format, timezone"},
	} {
		r := mcp.GetPromptRequest{}
		r.Params.Arguments = test.args
		if _, err := All()[0].Handler(t.Context(), r); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: got %v, want: … %s", test.args, err, test.says)
		}
	}
}
