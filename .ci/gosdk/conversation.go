package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var toolNames = []string{
	"cancel_export_operation", "check_connection", "control_bulk_export", "create_segment_export",
	"download_export", "get_bulk_export", "get_export_operation", "list_bulk_exports",
	"list_export_operations", "list_segments", "plan_time_chunks", "start_bulk_export",
}

// conversation is one session with the server.
type conversation struct {
	name, version string
	session       *mcp.ClientSession
	updated       chan string // URIs of resources announced as changed
	segment       string
	outcome       string
}

type object map[string]any

type window struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

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

// call calls a tool and decodes its result, whose two forms must be the same.
func (c *conversation) call(ctx context.Context, tool string, arguments object, out any) error {
	r, err := c.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	text := firstText(r)
	if r.IsError {
		return fmt.Errorf("%s: %s", tool, text)
	}
	var told any
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	if !reflect.DeepEqual(told, r.StructuredContent) {
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

// chunked exports a day as a whole and in two chunks, and compares the rows.
func (c *conversation) chunked(ctx context.Context) error {
	day := window{"2026-10-25", "2026-10-26"}
	var plan struct {
		Chunks []window `json:"chunks"`
	}
	arguments := object{"time_range": day, "chunk": "PT12H30M", "timezone": "Europe/Berlin"}
	if err := c.call(ctx, "plan_time_chunks", arguments, &plan); err != nil {
		return err
	}
	if len(plan.Chunks) != 2 {
		return fmt.Errorf("the day on which clocks go back is cut into %d chunks of 12.5 hours", len(plan.Chunks))
	}
	whole, err := c.fetched(ctx, day, day)
	if err != nil {
		return err
	}
	var parts []string
	for _, chunk := range plan.Chunks {
		rows, err := c.fetched(ctx, chunk, day)
		if err != nil {
			return err
		}
		parts = append(parts, rows...)
	}
	slices.Sort(whole)
	slices.Sort(parts)
	if len(whole) == 0 || !slices.Equal(whole, parts) {
		return fmt.Errorf("the day has %d rows, and its chunks have others: %d", len(whole), len(parts))
	}
	c.outcome = fmt.Sprintf("%d rows whole and in %d chunks", len(whole), len(plan.Chunks))
	return nil
}

// fetched exports a window and returns the rows of the stored file.
func (c *conversation) fetched(ctx context.Context, w, segmentWindow window) ([]string, error) {
	var made struct {
		OperationID string `json:"operation_id"`
	}
	if err := c.call(ctx, "create_segment_export", object{
		"segment_id": c.segment, "type": "TYPE_SESSIONS", "time_range": w, "segment_time_range": segmentWindow, "timezone": "Europe/Berlin",
	}, &made); err != nil {
		return nil, err
	}
	var file struct {
		State   string `json:"state"`
		Summary string `json:"summary"`
		Path    string `json:"path"`
		Rows    int    `json:"rows"`
	}
	for file.State == "" || file.State == "waiting" || file.State == "downloading" {
		arguments := object{"operation_id": made.OperationID, "wait_seconds": 10}
		if err := c.call(ctx, "download_export", arguments, &file); err != nil {
			return nil, err
		}
	}
	if file.State != "stored" {
		return nil, errors.New(file.Summary)
	}
	var operation struct {
		State string `json:"state"`
	}
	if err := c.call(ctx, "get_export_operation", object{"operation_id": made.OperationID}, &operation); err != nil {
		return nil, err
	}
	if operation.State != "COMPLETED" {
		return nil, fmt.Errorf("the operation of a stored file is %s", operation.State)
	}
	rows, err := readLines(file.Path)
	if err == nil && len(rows) != file.Rows {
		err = fmt.Errorf("%s holds %d rows, not the %d told", file.Path, len(rows), file.Rows)
	}
	return rows, err
}

func readLines(path string) ([]string, error) {
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(unpacked)
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), err
}

// bulk exports three days in chunks of two hours. Its changes are announced.
func (c *conversation) bulk(ctx context.Context) error {
	var started struct {
		BulkID string `json:"bulk_id"`
		Chunks int    `json:"chunks"`
	}
	if err := c.call(ctx, "start_bulk_export", object{
		"segment_id": c.segment, "type": "TYPE_SESSIONS", "time_range": window{"2026-10-24", "2026-10-27"},
		"timezone": "Europe/Berlin", "chunk": "PT2H", "name": "by " + c.name,
	}, &started); err != nil {
		return err
	}
	if started.Chunks != 37 {
		return fmt.Errorf("three days of 73 hours are cut into %d chunks of 2 hours", started.Chunks)
	}
	uri := "fullstory-export://bulk/" + started.BulkID
	if err := c.session.Subscribe(ctx, &mcp.SubscribeParams{URI: uri}); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	rows, err := c.finished(ctx, started.BulkID)
	if err != nil {
		return err
	}
	select {
	case changed := <-c.updated:
		if changed != uri {
			return fmt.Errorf("%s is announced, but was not subscribed to", changed)
		}
	case <-time.After(5 * time.Second):
		return errors.New("no change of the bulk export was announced")
	}
	var manifest struct {
		Files []struct {
			Rows int `json:"rows"`
		} `json:"files"`
	}
	text, err := c.read(ctx, uri+"/manifest")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), &manifest); err != nil {
		return err
	}
	listed := 0
	for _, file := range manifest.Files {
		listed += file.Rows
	}
	if len(manifest.Files) != 37 || listed != rows {
		return fmt.Errorf("the manifest has %d files of %d rows, not 37 of %d", len(manifest.Files), listed, rows)
	}
	c.outcome += fmt.Sprintf(", %d in bulk in %d, %d changes announced", rows, len(manifest.Files), len(c.updated)+1)
	return nil
}

// finished waits until a bulk export is complete and returns its number of rows.
func (c *conversation) finished(ctx context.Context, id string) (int, error) {
	var status struct {
		State   string `json:"state"`
		Summary string `json:"summary"`
		Rows    int    `json:"rows"`
	}
	for range 5 {
		arguments := object{"bulk_id": id, "wait_seconds": 20}
		if err := c.call(ctx, "get_bulk_export", arguments, &status); err != nil {
			return 0, err
		}
		if status.State != "running" {
			break
		}
	}
	if status.State != "complete" {
		return 0, fmt.Errorf("the bulk export is %s: %s", status.State, status.Summary)
	}
	return status.Rows, nil
}

// operations lists what was exported, and makes a mistake that must be explained.
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
	wrong, err := c.session.CallTool(ctx, &mcp.CallToolParams{Name: "get_export_operation", Arguments: object{"misspelt": 1}})
	if err != nil {
		return fmt.Errorf("a wrong argument: %w", err)
	}
	if text := firstText(wrong); !wrong.IsError || !strings.Contains(text, "operation_id") {
		return fmt.Errorf("a wrong argument is not explained: %s", text)
	}
	return nil
}

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

// prompted fetches a prompt and completes one of its arguments.
func (c *conversation) prompted(ctx context.Context) error {
	listed, err := c.session.ListPrompts(ctx, nil)
	if err != nil {
		return err
	}
	if len(listed.Prompts) != 3 {
		return fmt.Errorf("%d prompts, not 3", len(listed.Prompts))
	}
	prompt, err := c.session.GetPrompt(ctx, &mcp.GetPromptParams{
		Name: "export_segment", Arguments: map[string]string{"segment": "everyone", "start": "2026-10-01", "end": "2026-10-02"},
	})
	if err != nil {
		return err
	}
	text, ok := prompt.Messages[0].Content.(*mcp.TextContent)
	if !ok || !strings.Contains(text.Text, "2026-10-01") {
		return fmt.Errorf("the prompt does not hold its argument: %v", prompt.Messages[0].Content)
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
