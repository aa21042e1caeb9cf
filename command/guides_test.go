package command

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// TestExportWhatWeFound gets the prompt with a segment and a period of a conversation,
// and completes its arguments.
func TestExportWhatWeFound(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	get := mcp.GetPromptRequest{}
	get.Params.Name = "export_what_we_found"
	get.Params.Arguments = map[string]string{"segment_id": "rageClicks", "period": "last_7_days"}
	got, err := c.GetPrompt(t.Context(), get)
	if err != nil {
		t.Fatal(err)
	}
	text := got.Messages[0].Content.(mcp.TextContent).Text
	for _, want := range []string{
		`"rageClicks" over last_7_days`, `segment_time_range "range"`, "TYPE_INDIVIDUAL", "list_segments",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the prompt lacks %q:\n%s", want, text)
		}
	}
	complete := func(ref any, name, typed string, given map[string]string) string {
		t.Helper()
		r := mcp.CompleteRequest{}
		r.Params.Ref, r.Params.Argument.Name, r.Params.Argument.Value = ref, name, typed
		r.Params.Context.Arguments = given
		found, err := c.Complete(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(found.Completion.Values, " ")
	}
	prompt := mcp.PromptReference{Type: "ref/prompt", Name: "export_what_we_found"}
	part := mcp.ResourceReference{Type: "ref/resource", URI: "fullstory-export://guide/{topic}/{part}"}
	for _, test := range []struct{ got, want string }{
		{complete(prompt, "segment_id", "checkout v", nil), "tz81RtIU1Rw8"},
		{complete(prompt, "period", "last_", nil), "last_7_days last_30_days last_week last_month last_quarter"},
		{complete(prompt, "type", "type_i", nil), "TYPE_INDIVIDUAL"},
		{complete(part, "topic", "f", nil), "fields"},
		{complete(part, "part", "p", map[string]string{"topic": "fields"}), "page"},
		{complete(part, "part", "", map[string]string{"topic": "../x"}), ""},
	} {
		if test.got != test.want {
			t.Errorf("completed %q, want %q", test.got, test.want)
		}
	}
}

// TestInstructionsAndGuides reads the instructions, and every guide and part that can be
// reached from them: each answer is short.
func TestInstructionsAndGuides(t *testing.T) {
	t.Parallel()
	var greeting struct{ Instructions string }
	if err := json.Unmarshal(feed(t, strings.NewReader(hello))["1"].Result, &greeting); err != nil {
		t.Fatal(err)
	}
	if text := greeting.Instructions; len(text) >= 2000 || !strings.Contains(text, "Fullstory's own MCP server") {
		t.Errorf("the instructions have %d bytes:\n%s", len(text), text)
	}
	c := converse(t, nil, simulated(t)...)
	listed, err := c.ListResources(t.Context(), mcp.ListResourcesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{
		"fullstory-export://guide/fields/page", "fullstory-export://guide/fields/PageUrl",
		"fullstory-export://Guide/Time-Windows/Segment", "fullstory-export://guide/notices/large_window",
		"fullstory-export://guide/troubleshooting/rows/",
	}
	for _, r := range listed.Resources {
		addresses = append(addresses, r.URI)
	}
	for _, uri := range addresses {
		read := mcp.ReadResourceRequest{}
		read.Params.URI = uri
		got, err := c.ReadResource(t.Context(), read)
		if err != nil || len(got.Contents) != 1 {
			t.Errorf("%s: %v, %v", uri, got, err)
			continue
		}
		content := got.Contents[0].(mcp.TextResourceContents)
		if len(content.Text) < 20 || len(content.Text) > 1500 || content.MIMEType != "text/markdown" {
			t.Errorf("%s has %d bytes of %s", uri, len(content.Text), content.MIMEType)
		}
	}
}
