package command

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mark3labs/mcp-go/mcp"

	"fullstory-export-mcp/sandbox"
)

var everyLie = flag.Bool("lies", false, "tell every lie about every value, each alone, which takes minutes")

// TestLies has a Fullstory that lies, and looks at everything that the program writes: see
// checkOutput.
func TestLies(t *testing.T) {
	t.Parallel()
	for name, l := range allLies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newLiar(t, l)
			limit := 2 * time.Second // some lies never end
			if name == "no lie" {
				limit = patience
			}
			o := interrogate(t, api.URL, limit)
			o.check(t)
			if name == "no lie" {
				checkPaths(t, api)
			}
		})
	}
}

// allLies returns lies by their names: a sample, or all.
func allLies() map[string]lie {
	texts := hostileTexts()
	lies := map[string]lie{
		"no lie": {}, "the limit": {repeat: 30},
		"errors, 400": {path: "*", text: texts[4], status: 400}, "errors, 403": {path: "*", text: texts[0], status: 403},
		"everything": {path: "*", text: texts[5]},
	}
	for j, text := range texts {
		if *everyLie || j < 3 || *full && j < 9 {
			lies[fmt.Sprintf("texts, %d", j)] = lie{path: "texts", text: text, failed: j%2 == 1}
		}
		if !*everyLie {
			continue
		}
		lies[fmt.Sprintf("texts of what failed, %d", j)] = lie{path: "texts", text: text, failed: j%2 == 0}
		lies[fmt.Sprintf("everything, %d", j)] = lie{path: "*", text: text}
		for _, status := range []int{200, 400, 401, 403, 404, 409} { // others are retried, which takes long
			lies[fmt.Sprintf("errors, %d, %d", status, j)] = lie{path: "*", text: text, status: status}
		}
		for _, path := range lyingPaths() {
			lies[fmt.Sprintf("%s, %d", path, j)] = lie{path: path, text: text}
		}
	}
	return lies
}

// lyingPaths are the paths of all values in the answers of the sandbox.
func lyingPaths() []string {
	operation := []string{"id", "type", "state", "step", "errorDetails", "createdAt", "finishedAt", "estimatePctComplete",
		"details", "results", "results.searchExportId", "results.expires"}
	segment := []string{"id", "name", "creator", "created", "url"}
	var all []string
	for _, of := range []struct {
		prefix string
		keys   []string
	}{
		{"GET me: ", []string{"orgId", "email", "role"}},
		{"GET segments: segments.", segment},
		{"GET segments id: ", segment},
		{"GET segments: ", []string{"nextPaginationToken"}},
		{"POST exports: ", []string{"operationId"}},
		{"GET operations: operations.", operation},
		{"GET operations id: ", operation},
		{"GET operations: ", []string{"nextPaginationToken"}},
		{"GET search results: ", []string{"location", "expires"}},
	} {
		for _, key := range of.keys {
			all = append(all, of.prefix+key)
		}
	}
	return all
}

// checkPaths fails if an answer has a value that lyingPaths lacks.
func checkPaths(t *testing.T, api *liar) {
	api.mu.Lock()
	defer api.mu.Unlock()
	listed := lyingPaths()
	for _, path := range slices.Sorted(maps.Keys(api.paths)) {
		if !slices.Contains(listed, path) && !strings.HasSuffix(path, ": code") && !strings.HasSuffix(path, ": message") {
			t.Errorf("an answer has a value at %q that nobody lies about", path)
		}
	}
	for _, path := range []string{"GET operations: operations.results.searchExportId", "GET search results: location"} {
		if !api.paths[path] {
			t.Errorf("no answer has a value at %q: the program did not come so far", path)
		}
	}
}

// output is everything that the program wrote: texts by their source.
type output map[string][]string

// interrogate uses every tool, resource, prompt, completion and command with an API. A
// command is ended after limit.
func interrogate(t *testing.T, api string, limit time.Duration) output {
	dir := filepath.Join(t.TempDir(), "exports")
	env := map[string]string{"FULLSTORY_API_URL": api, "FULLSTORY_API_KEY": sandbox.KeyArchitect}
	o := output{}
	c := converse(t, env, "--dir", dir, "--log-level", "debug")
	o.tools(c)
	o.rest(c)
	c.end()
	for line := range strings.Lines(c.stdout.String()) {
		o.json("stdout", line)
	}
	o.lines("log", c.stderr.String())
	for _, args := range []string{
		"doctor", "run --json --segment everyone --from 2026-09-01 --to 2026-09-02 --chunk PT12H --name lies2",
		"run --segment everyone --from 2026-09-01 --to 2026-09-02 --chunk PT12H --name lies3",
		"run --segment " + mark + " --from 2026-09-01 --to 2026-09-02",
		"audit", "verify " + dir,
	} {
		command, _, _ := strings.Cut(args, " ")
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		var stdout, stderr buffer
		words := append(strings.Fields(args), "--dir", dir, "--log-format", "json", "--log-level", "debug")
		if command == "verify" {
			words = []string{"verify", dir}
		}
		Run(ctx, words, func(name string) string { return env[name] }, strings.NewReader(""), &stdout, &stderr)
		cancel()
		if command == "audit" || strings.Contains(args, "--json") {
			o.json(command, stdout.String())
		}
		o.lines(command, stdout.String())
		o.lines("log", stderr.String())
	}
	o.files(dir)
	return o
}

// tools calls every tool.
func (o output) tools(c *conversation) {
	hour := map[string]any{"start": "2026-09-01T00:00:00Z", "end": "2026-09-01T01:00:00Z"}
	call := func(tool string, args map[string]any) map[string]any {
		text, _ := c.try(tool, args)
		var result map[string]any
		json.Unmarshal([]byte(text), &result)
		o.json(tool, text)
		if len(text) > 64_000 {
			c.t.Errorf("%s answered %d bytes", tool, len(text))
		}
		return result
	}
	call("check_connection", nil)
	for _, args := range []map[string]any{{}, {"limit": 2}, {"query": "e"}, {"query": mark}, {"limit": 100}} {
		call("list_segments", args)
	}
	request := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": hour}
	named := map[string]any{"segment_id": "Rage clickers " + mark, "type": "TYPE_EVENT", "time_range": hour}
	call("create_segment_export", named)
	operation := map[string]any{"operation_id": "none", "wait_seconds": 2}
	if id, ok := call("create_segment_export", request)["operation_id"]; ok {
		operation["operation_id"] = id
	}
	for _, args := range []map[string]any{{}, {"limit": 1}, {"limit": 100}, {"state": "FAILED"}} {
		call("list_export_operations", args)
	}
	call("get_export_operation", map[string]any{"operation_id": operation["operation_id"], "include_download_url": true})
	call("download_export", operation)
	bulk := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "PT1H", "name": "lies",
		"time_range": map[string]any{"start": "2026-09-01T01:00:00Z", "end": "2026-09-01T03:00:00Z"}}
	call("start_bulk_export", bulk)
	call("get_bulk_export", map[string]any{"bulk_id": "lies", "wait_seconds": 2, "detail": "problems"})
	call("get_bulk_export", map[string]any{"bulk_id": "lies", "detail": "chunks"})
	call("list_bulk_exports", nil)
	call("plan_time_chunks", map[string]any{
		"time_range": hour, "chunk": "hour", "segment_id": "everyone", "type": "TYPE_EVENT",
	})
	call("control_bulk_export", map[string]any{"bulk_id": "lies", "action": "pause"})
	call("cancel_export_operation", map[string]any{"operation_id": operation["operation_id"]})
}

// rest reads every resource and prompt, and completes their arguments.
func (o output) rest(c *conversation) {
	ctx := c.t.Context()
	keep := func(source string, result any, err error) {
		raw, _ := json.Marshal(result)
		o.json(source, string(raw))
		if err != nil {
			o.lines(source, err.Error())
		}
	}
	var ids []string
	for _, argument := range []string{"segment", "operation_id"} {
		for _, typed := range []string{"", "e", mark, strings.Repeat("e", 5000)} {
			r := mcp.CompleteRequest{}
			prompt := "export_segment"
			if argument == "operation_id" {
				prompt = "troubleshoot_export"
			}
			r.Params.Ref = mcp.PromptReference{Type: "ref/prompt", Name: prompt}
			r.Params.Argument.Name, r.Params.Argument.Value = argument, typed
			result, err := c.Complete(ctx, r)
			keep("completion", result, err)
			if err == nil {
				ids = append(ids, result.Completion.Values...)
				if n := len(result.Completion.Values); n > 100 || len(typed) > 500 && n > 0 {
					c.t.Errorf("%d completions of %d bytes", n, len(typed))
				}
			}
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids[:min(len(ids), 3)] {
		r := mcp.GetPromptRequest{}
		r.Params.Name = "troubleshoot_export"
		r.Params.Arguments = map[string]string{"operation_id": id}
		result, err := c.GetPrompt(ctx, r)
		keep("prompt", result, err)
	}
	first := strings.Join(ids[:min(len(ids), 1)], "")
	for _, path := range []string{"bulk/lies", "bulk/lies/manifest", "operations/" + first} {
		r := mcp.ReadResourceRequest{}
		r.Params.URI = "fullstory-export://" + path
		result, err := c.ReadResource(ctx, r)
		keep("resource", result, err)
	}
}

// json keeps the strings of JSON values, also of those inside of strings, or the text if it
// is not JSON.
func (o output) json(source, text string) {
	d := json.NewDecoder(strings.NewReader(text))
	for {
		var v any
		if d.Decode(&v) != nil {
			break
		}
		o.value(source, v)
	}
	if !json.Valid([]byte(text)) {
		o.lines(source, text)
	}
}

func (o output) value(source string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, each := range v {
			o.value(source+"."+key, each)
		}
	case []any:
		for _, each := range v {
			o.value(source, each)
		}
	case string:
		if strings.HasPrefix(v, "{") && json.Valid([]byte(v)) {
			o.json(source, v)
			return
		}
		o.lines(source, v)
	}
}

func (o output) lines(source, text string) { o[source] = append(o[source], text) }

// files keeps every file of the folder that is text, and every name of a file.
func (o output) files(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		o.lines("names of files", strings.TrimPrefix(path, dir))
		profiled := strings.Contains(path, "/.profile/") // it has values of rows as they are, and no model reads it
		if err == nil && strings.HasSuffix(path, ".json") && !profiled {
			if raw, err := os.ReadFile(path); err == nil {
				o.json("manifest", string(raw))
			}
		}
		return nil
	})
}

// live is markup of a liar that a host would render.
var live = regexp.MustCompile(`(?i)\]\((https?:)?//|!\[` + mark + `|<img src=|<a href=|://` + mark + `|\bwww\.` + mark +
	`|&#x7a|&lt;img|\n` + mark + `line`)

// check checks the texts of an interrogation.
func (o output) check(t *testing.T) {
	t.Helper()
	if len(o) < 20 {
		t.Errorf("only %d kinds of output were seen", len(o))
	}
	o.checkTexts(t)
}

// checkTexts checks every text: it has nothing that hides, nothing that a host renders,
// no key, and no value without a bound.
func (o output) checkTexts(t *testing.T) {
	t.Helper()
	for source, texts := range o {
		for _, text := range texts {
			wrong := ""
			for _, r := range text {
				if r != '\n' && r != '\t' && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Variation_Selector,
					unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point) || r == '\u2800' || r == '\ufffc' {
					wrong = fmt.Sprintf("has U+%04X", r)
				}
			}
			link := strings.HasSuffix(source, ".download_url") // of a file, which was asked for
			switch {
			case strings.Contains(text, strings.Repeat("A", 600)) && !link:
				wrong = "has a long value"
			case strings.Contains(text, strings.Repeat("\u0301\u20dd", 4)):
				wrong = "has many marks"
			case live.MatchString(text) && source != "log" && !link: // the log has quoted values
				wrong = "has markup: " + live.FindString(text)
			case strings.Contains(text, sandbox.KeyArchitect), strings.Contains(text, "c2FuZGJveC1hcmNoaXRlY3"):
				wrong = "has the key"
			}
			if wrong != "" {
				t.Errorf("%s %s: %.400q", source, wrong, text)
			}
		}
	}
}
