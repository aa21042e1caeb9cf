package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/exports"
)

var update = flag.Bool("update", false, "write the golden files")

// listed returns every tool of a server without an account.
func listed(t testing.TB, s Settings) []Declaration {
	t.Helper()
	all, err := All(func(context.Context) (*exports.Account, error) {
		return nil, exports.MissingKey{Variable: "FULLSTORY_API_KEY"}.Because("No Fullstory API key is set")
	}, s)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDefinitions compares the published definition of each tool with a golden file.
// With -update it writes the files.
func TestDefinitions(t *testing.T) {
	var names []string
	for _, d := range listed(t, Settings{}) {
		names = append(names, d.Served.Tool.Name+".json")
		if err := d.Arguments.Check(); err != nil {
			t.Errorf("%s: %v", d.Served.Tool.Name, err)
		}
		checkGolden(t, d)
	}
	files, err := os.ReadDir(filepath.Join("testdata", "definitions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(names, f.Name()) {
			t.Errorf("no tool has the golden file %s", f.Name())
		}
	}
}

// checkGolden compares the definition of a tool with its golden file.
func checkGolden(t *testing.T, d Declaration) {
	t.Helper()
	name := d.Served.Tool.Name
	raw, err := json.Marshal(d.Served.Tool)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", "definitions", name+".json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%s has no golden file; run: go test ./tools -update", name)
		return
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s differs from its golden file (-want +got); if you intend that, run: go test ./tools -update\n%s",
			name, diff)
	}
}

var (
	toolName = regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)
	order    = regexp.MustCompile(`(?i)\b(must|always|never|important|you should|make sure)\b`)
)

// TestInventory checks the rules that every tool keeps.
func TestInventory(t *testing.T) {
	total := 0
	for _, d := range listed(t, Settings{}) {
		tool := d.Served.Tool
		if !toolName.MatchString(tool.Name) {
			t.Errorf("%s is not a verb_noun", tool.Name)
		}
		if _, err := os.Stat(tool.Name + ".go"); err != nil {
			t.Errorf("%s is not declared in a file of that name", tool.Name)
		}
		if tool.Title == "" || tool.Description == "" || len(tool.Description) > 700 {
			t.Errorf("%s has the title %q and a description of %d bytes, want at most 700",
				tool.Name, tool.Title, len(tool.Description))
		}
		if found := order.FindString(tool.Description); found != "" {
			t.Errorf("the description of %s gives an order: %q", tool.Name, found)
		}
		a := tool.Annotations
		if a.ReadOnlyHint == nil || a.DestructiveHint == nil || a.IdempotentHint == nil || a.OpenWorldHint == nil {
			t.Errorf("%s lacks a hint", tool.Name)
			continue
		}
		if *a.ReadOnlyHint != (d.Effect == Read) || *a.DestructiveHint != (d.Effect == Destroy) {
			t.Errorf("%s has hints that do not fit its effect", tool.Name)
		}
		checkSchemas(t, tool.Name, tool.RawInputSchema, tool.RawOutputSchema)
		tool.Meta = nil // only hosts that show MCP Apps get it, and do not give it to the model
		raw, err := json.Marshal(tool)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%5d bytes: %s", len(raw), tool.Name)
		total += len(raw)
	}
	t.Logf("%5d bytes in all", total)
	// A model reads all definitions in every conversation.
	if total > 32_000 {
		t.Errorf("the tools take %d bytes, want at most 32000", total)
	}
}

// checkSchemas checks the rules for the schemas of a tool.
func checkSchemas(t *testing.T, name string, in, out json.RawMessage) {
	t.Helper()
	var schema struct {
		Type       string
		Properties map[string]json.RawMessage
		Required   []string
	}
	if err := json.Unmarshal(in, &schema); err != nil || schema.Type != "object" || schema.Properties == nil {
		t.Errorf("%s: the arguments are %q with %v, %v", name, schema.Type, schema.Properties, err)
	}
	if !strings.Contains(string(in), `"additionalProperties":false`) {
		t.Errorf("%s accepts unknown arguments", name)
	}
	err := json.Unmarshal(out, &schema)
	if err != nil || schema.Type != "object" || !slices.Contains(schema.Required, "summary") {
		t.Errorf("%s: the result is %q and requires %v, %v", name, schema.Type, schema.Required, err)
	}
}

func TestSelection(t *testing.T) {
	names := func(s Settings) (names []string) {
		for _, d := range listed(t, s) {
			names = append(names, d.Served.Tool.Name)
		}
		return names
	}
	readOnly := []string{
		"check_connection", "list_segments", "plan_time_chunks", "get_export_operation", "list_export_operations",
		"get_bulk_export", "list_bulk_exports", "list_syncs", "describe_export", "query_export",
	}
	if got := names(Settings{ReadOnly: true}); !slices.Equal(got, readOnly) {
		t.Errorf("a read-only server lists %q, want %q", got, readOnly)
	}
	if got := names(Settings{Only: []string{"list_segments", "check_connection"}}); len(got) != 2 {
		t.Errorf("got %q, want two tools", got)
	}
	_, err := All(nil, Settings{Only: []string{"list_segment"}})
	want := `unknown tool "list_segment"; there are check_connection, list_segments`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("an unknown tool: %v", err)
	}
}

// TestInvalidArguments sends every tool invalid arguments.
func TestInvalidArguments(t *testing.T) {
	for _, d := range listed(t, Settings{}) {
		tool := d.Served.Tool
		for _, args := range []string{
			`{"misspelt":1}`,
			`{"misspelt":1,"limit":"x","operation_id":7,"segment_id":null,"time_range":"October","query":{}}`,
			`[1]`, `"x"`, `{"a`,
		} {
			text, failed := callRaw(t, d, args)
			if !failed || !strings.HasPrefix(text, "Invalid arguments; correct them and call again.\n") {
				t.Errorf("%s of %s: %q", tool.Name, args, text)
			}
			if strings.HasPrefix(args, "{\"m") && !strings.Contains(text, "misspelt: unknown field") {
				t.Errorf("%s of %s does not name the unknown field: %q", tool.Name, args, text)
			}
			for _, leak := range []string{"0x", "&{", "tools.", "json:", "map["} {
				if strings.Contains(text, leak) {
					t.Errorf("%s of %s shows %q: %s", tool.Name, args, leak, text)
				}
			}
		}
	}
}

// TestWithoutAKey calls every tool of a server without a key.
func TestWithoutAKey(t *testing.T) {
	for _, d := range listed(t, Settings{}) {
		name := d.Served.Tool.Name
		text, failed := callRaw(t, d, validArguments[name])
		if name == "plan_time_chunks" {
			if failed || !strings.Contains(text, `"count":1`) {
				t.Errorf("%s needs no key, got %q", name, text)
			}
			continue
		}
		if !failed || !strings.Contains(text, "No Fullstory API key is set.") || !strings.Contains(text, "--sandbox") {
			t.Errorf("%s: got %q", name, text)
		}
	}
}

// validArguments has the required arguments of each tool that has some.
var validArguments = map[string]string{
	"describe_export":         `{"source":"september"}`,
	"query_export":            `{"source":"september","sql":"SELECT count(*) FROM rows"}`,
	"plan_time_chunks":        `{"time_range":{"start":"2026-10-01"}}`,
	"create_segment_export":   `{"segment_id":"everyone","type":"TYPE_EVENT","time_range":{"start":"2026-10-01"}}`,
	"get_export_operation":    `{"operation_id":"x"}`,
	"cancel_export_operation": `{"operation_id":"x"}`,
	"download_export":         `{"operation_id":"x"}`,
	"start_bulk_export":       `{"segment_id":"everyone","type":"TYPE_EVENT","time_range":{"start":"2026-10"}}`,
	"get_bulk_export":         `{"bulk_id":"x"}`,
	"control_bulk_export":     `{"bulk_id":"x","action":"pause"}`,
	"sync_export":             `{"action":"pause","name":"x"}`,
}
