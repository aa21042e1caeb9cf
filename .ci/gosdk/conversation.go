package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var toolNames = []string{
	"cancel_export_operation", "check_connection", "control_bulk_export", "create_segment_export",
	"describe_export", "download_export", "get_bulk_export", "get_export_operation", "list_bulk_exports",
	"list_export_operations", "list_segments", "list_syncs", "plan_time_chunks", "query_export", "start_bulk_export",
	"sync_export",
}

// conversation is one session with the server. Its steps run in order: later ones use
// the segment and the exports of earlier ones.
type conversation struct {
	name, version string
	session       *mcp.ClientSession
	updated       chan string // URIs of resources announced as changed
	segment       string      // id of the segment that is exported
	outcome       string      // a line about the exports, for the log
}

type object map[string]any

// hold runs the whole conversation over a transport.
func (c *conversation) hold(ctx context.Context, transport mcp.Transport) error {
	c.updated = make(chan string, 1000)
	client := mcp.NewClient(&mcp.Implementation{Name: "conversation", Version: "1.0.0"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			c.updated <- r.Params.URI
		},
	})
	session, err := client.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: c.version})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer session.Close()
	c.session = session
	hello := session.InitializeResult()
	if hello.ProtocolVersion != c.version || !strings.Contains(hello.Instructions, "Fullstory") {
		return fmt.Errorf("unexpected greeting: version %s, instructions %q", hello.ProtocolVersion, hello.Instructions)
	}
	for _, step := range []func(context.Context) error{
		c.listed, c.connected, c.chunked, c.bulk, c.operations, c.guided, c.prompted,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := session.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	fmt.Printf("%s: %s\n", c.name, c.outcome)
	return nil
}

// call calls a tool and decodes its result. The text of the result must be the JSON of its
// structured content.
func (c *conversation) call(ctx context.Context, tool string, arguments object, out any) error {
	r, err := c.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	text := firstText(r)
	if r.IsError {
		return fmt.Errorf("%s: %s", tool, text)
	}
	var decoded any
	if err := json.Unmarshal([]byte(text), &decoded); err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	if !reflect.DeepEqual(decoded, r.StructuredContent) {
		return fmt.Errorf("%s: the two forms differ: %s and %v", tool, text, r.StructuredContent)
	}
	return json.Unmarshal([]byte(text), out)
}

func firstText(r *mcp.CallToolResult) string {
	if len(r.Content) == 0 {
		return ""
	}
	text, ok := r.Content[0].(*mcp.TextContent)
	if !ok {
		return ""
	}
	return text.Text
}

// listed checks the list of tools.
func (c *conversation) listed(ctx context.Context) error {
	var names []string
	for tool, err := range c.session.Tools(ctx, nil) {
		if err != nil {
			return err
		}
		if tool.Title == "" || tool.Description == "" || tool.OutputSchema == nil {
			return fmt.Errorf("%s is not described", tool.Name)
		}
		names = append(names, tool.Name)
	}
	if slices.Sort(names); !slices.Equal(names, toolNames) {
		return fmt.Errorf("unexpected tools: %q", names)
	}
	return nil
}

// connected checks the connection to Fullstory and finds the segment.
func (c *conversation) connected(ctx context.Context) error {
	var connection struct {
		OK       bool     `json:"ok"`
		Problems []string `json:"problems"`
	}
	if err := c.call(ctx, "check_connection", nil, &connection); err != nil {
		return err
	}
	if !connection.OK {
		return fmt.Errorf("check_connection: %q", connection.Problems)
	}
	var found struct {
		Segments []struct {
			ID string `json:"id"`
		} `json:"segments"`
	}
	if err := c.call(ctx, "list_segments", object{"query": "Checkout visitors"}, &found); err != nil {
		return err
	}
	if len(found.Segments) != 1 {
		return fmt.Errorf("%d segments have the name", len(found.Segments))
	}
	c.segment = found.Segments[0].ID
	return nil
}

// operations lists the exports, and makes a mistake that the server must explain.
func (c *conversation) operations(ctx context.Context) error {
	var listed struct {
		Operations []struct {
			Known bool `json:"known"`
		} `json:"operations"`
	}
	if err := c.call(ctx, "list_export_operations", nil, &listed); err != nil {
		return err
	}
	known := 0
	for _, operation := range listed.Operations {
		if operation.Known {
			known++
		}
	}
	if known < 3 {
		return fmt.Errorf("only %d operations are known", known)
	}
	wrong, err := c.session.CallTool(ctx, &mcp.CallToolParams{
		Name: "get_export_operation", Arguments: object{"misspelt": 1},
	})
	if err != nil {
		return fmt.Errorf("a wrong argument: %w", err)
	}
	if text := firstText(wrong); !wrong.IsError || !strings.Contains(text, "operation_id") {
		return fmt.Errorf("a wrong argument is not explained: %s", text)
	}
	return nil
}

// guided reads the first guide.
func (c *conversation) guided(ctx context.Context) error {
	for guide, err := range c.session.Resources(ctx, nil) {
		if err != nil {
			return err
		}
		text, err := c.read(ctx, guide.URI)
		if err != nil {
			return err
		}
		if len(text) < 100 {
			return fmt.Errorf("%s is empty", guide.URI)
		}
		return nil
	}
	return errors.New("there is no guide")
}

// read returns the text of a resource.
func (c *conversation) read(ctx context.Context, uri string) (string, error) {
	r, err := c.session.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri})
	if err != nil {
		return "", fmt.Errorf("read %s: %w", uri, err)
	}
	if len(r.Contents) == 0 {
		return "", fmt.Errorf("%s has no contents", uri)
	}
	return r.Contents[0].Text, nil
}

// prompted gets a prompt and completes one of its arguments.
func (c *conversation) prompted(ctx context.Context) error {
	listed, err := c.session.ListPrompts(ctx, nil)
	if err != nil {
		return err
	}
	if len(listed.Prompts) != 5 {
		return fmt.Errorf("%d prompts, not 5", len(listed.Prompts))
	}
	prompt, err := c.session.GetPrompt(ctx, &mcp.GetPromptParams{
		Name:      "export_segment",
		Arguments: map[string]string{"segment": "everyone", "start": "2026-10-01", "end": "2026-10-02"},
	})
	if err != nil {
		return err
	}
	text, ok := prompt.Messages[0].Content.(*mcp.TextContent)
	if !ok || !strings.Contains(text.Text, "2026-10-01") {
		return fmt.Errorf("the prompt lacks its argument: %v", prompt.Messages[0].Content)
	}
	completed, err := c.session.Complete(ctx, &mcp.CompleteParams{
		Ref:      &mcp.CompleteReference{Type: "ref/prompt", Name: "export_segment"},
		Argument: mcp.CompleteParamsArgument{Name: "segment", Value: "every"},
	})
	if err != nil {
		return err
	}
	if !slices.Equal(completed.Completion.Values, []string{"everyone"}) {
		return fmt.Errorf("unexpected completions: %q", completed.Completion.Values)
	}
	return nil
}
