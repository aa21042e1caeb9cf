package command

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// conversation is one run of the program over pipes, with an MCP client at the
// other end.
type conversation struct {
	*client.Client
	t      *testing.T
	stdout *buffer // all output so far
	stderr *buffer
	ended  chan error
	stdin  io.Closer
	once   sync.Once
}

// converse runs the program with args and env, and initializes a session.
func converse(t *testing.T, env map[string]string, args ...string) *conversation {
	t.Helper()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	c := &conversation{t: t, stdout: &buffer{}, stderr: &buffer{}, ended: make(chan error, 1), stdin: inWrite}
	go func() {
		err := Run(context.WithoutCancel(t.Context()), args, func(name string) string { return env[name] }, inRead,
			io.MultiWriter(outWrite, c.stdout), c.stderr)
		outWrite.Close()
		c.ended <- err
	}()
	c.Client = client.NewClient(transport.NewIO(outRead, inWrite, io.NopCloser(strings.NewReader(""))))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.end)
	hello := mcp.InitializeRequest{}
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	if _, err := c.Initialize(t.Context(), hello); err != nil {
		t.Fatalf("initialize: %v; stderr: %s", err, c.stderr)
	}
	return c
}

// end closes the input. The program must end without an error, and all its output
// must be JSON-RPC. Only the first call has an effect.
func (c *conversation) end() {
	c.once.Do(func() {
		c.stdin.Close()
		select {
		case err := <-c.ended:
			if err != nil {
				c.t.Errorf("the program ended with %v", err)
			}
		case <-time.After(patience):
			c.t.Error("the program does not end with its input")
			return
		}
		checkLines(c.t, c.stdout.String())
	})
}

func checkLines(t *testing.T, stdout string) {
	t.Helper()
	if stdout != "" && !strings.HasSuffix(stdout, "\n") {
		t.Errorf("the last line is not terminated: %.200q", stdout[max(0, len(stdout)-200):])
	}
	for line := range strings.Lines(stdout) {
		var m struct{ JSONRPC string }
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.JSONRPC != "2.0" {
			t.Errorf("stdout has a line that is not JSON-RPC: %.200q", line)
		}
	}
}

// try calls a tool and returns the text that a model reads. If the call waited in vain for an
// export to end, it calls again, as a model would: the machine may be slow.
func (c *conversation) try(tool string, args any) (text string, failed bool) {
	c.t.Helper()
	given, _ := args.(map[string]any)
	wait, _ := given["wait_seconds"].(int)
	for end := time.Now().Add(patience); ; {
		began := time.Now()
		text, failed = c.callOnce(tool, args)
		if failed && strings.Contains(text, "is being prepared for queries") && time.Now().Before(end) {
			continue // the call has waited
		}
		// A call waits for less than 20 s, whatever it is asked for.
		whole := wait >= 10 && time.Since(began) >= time.Duration(min(wait, 15))*time.Second
		if failed || !whole || !unfinished(text) || time.Now().After(end) {
			return text, failed
		}
	}
}

// unfinished reports whether a result says that an export has not ended.
func unfinished(result string) bool {
	var r struct{ State string }
	err := json.Unmarshal([]byte(result), &r)
	going := []string{"pending", "running", "waiting", "downloading"}
	return err == nil && slices.Contains(going, strings.ToLower(r.State))
}

// callOnce calls a tool once.
func (c *conversation) callOnce(tool string, args any) (text string, failed bool) {
	c.t.Helper()
	r := mcp.CallToolRequest{}
	r.Params.Name, r.Params.Arguments = tool, args
	result, err := c.CallTool(c.t.Context(), r)
	if err != nil {
		c.t.Fatalf("%s failed as a protocol error: %v", tool, err)
	}
	if len(result.Content) != 1 {
		c.t.Fatalf("%s answered %d contents", tool, len(result.Content))
	}
	text = result.Content[0].(mcp.TextContent).Text
	if !result.IsError {
		structured, err := json.Marshal(result.StructuredContent)
		var a, b any
		if json.Unmarshal([]byte(text), &a) != nil || err != nil || json.Unmarshal(structured, &b) != nil ||
			fmt.Sprint(a) != fmt.Sprint(b) {
			c.t.Errorf("text and structured content of %s differ:\n%s\n%s", tool, text, structured)
		}
	}
	return text, result.IsError
}

// call calls a tool that must succeed, and decodes its result into out.
func (c *conversation) call(tool string, args, out any) {
	c.t.Helper()
	text, failed := c.try(tool, args)
	if failed {
		c.t.Fatalf("%s of %v: %s", tool, args, text)
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		c.t.Fatalf("%s: %v in %s", tool, err, text)
	}
	most := 8000
	if given, _ := args.(map[string]any); tool == "query_export" && given["limit"] != nil {
		most = 34_000
	}
	if len(text) > most {
		c.t.Errorf("%s answered %d bytes, want at most %d", tool, len(text), most)
	}
}

// rejected calls a tool that must fail. Its text must contain every one of says.
func (c *conversation) rejected(tool string, args any, says ...string) {
	c.t.Helper()
	text, failed := c.try(tool, args)
	for _, want := range says {
		if !failed || !strings.Contains(text, want) {
			c.t.Errorf("%s of %v: failed %v: %s\nwant text with %q", tool, args, failed, text, want)
		}
	}
}

type created struct {
	OperationID string `json:"operation_id"`
	Rows        string
	Summary     string
	Request     struct {
		SegmentID        string `json:"segment_id"`
		SegmentTimeRange *window
	}
	Warnings []struct{ Code string }
}

type window struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

type downloaded struct {
	State, Path, SHA256, Summary, Next, Error string
	Rows, Bytes                               int64
	FirstEvent                                string `json:"first_event"`
	LastEvent                                 string `json:"last_event"`
	Columns                                   []string
}

// export creates an export, downloads its file, and returns its rows.
func (c *conversation) export(args map[string]any) (rows []string, d downloaded) {
	c.t.Helper()
	d = c.store(args)
	rows = readLines(c.t, d.Path)
	if args["format"] == nil && int64(len(rows)) != d.Rows {
		c.t.Errorf("%s holds %d rows, download_export counts %d", d.Path, len(rows), d.Rows)
	}
	return rows, d
}

// store creates an export and downloads its file. export also reads it, all of it
// into memory.
func (c *conversation) store(args map[string]any) (d downloaded) {
	c.t.Helper()
	var made created
	c.call("create_segment_export", args, &made)
	d = c.download(made.OperationID)
	if d.State != "stored" {
		c.t.Fatalf("the file of %v is %s: %s %s", args, d.State, d.Summary, d.Error)
	}
	return d
}

// download downloads the file of an operation, and returns once it is stored or
// has failed.
func (c *conversation) download(operationID string) (d downloaded) {
	c.t.Helper()
	for d.State = "waiting"; d.State == "waiting" || d.State == "downloading"; {
		c.call("download_export", map[string]any{"operation_id": operationID, "wait_seconds": 10, "columns": true}, &d)
	}
	return d
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	scan := bufio.NewScanner(unpacked)
	scan.Buffer(nil, 8<<20)
	for scan.Scan() {
		lines = append(lines, scan.Text())
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// simulated returns the flags of a sandbox whose exports take 20 ms.
func simulated(t *testing.T, more ...string) []string {
	return append([]string{
		"--sandbox", "--dir", filepath.Join(t.TempDir(), "exports"), "--sandbox-now", "2026-11-05T12:00:00Z",
		"--sandbox-op-time", "20ms", "--sandbox-rate", "1000", "--sandbox-burst", "1000", "--sandbox-density", fewRows,
	}, more...)
}

// planned returns the windows of a range's chunks.
func (c *conversation) planned(from window, chunk, zone string) []window {
	c.t.Helper()
	var p struct {
		Count  int
		Chunks []window
	}
	c.call("plan_time_chunks", map[string]any{"time_range": from, "chunk": chunk, "timezone": zone}, &p)
	if p.Count != len(p.Chunks) {
		c.t.Fatalf("%d of %d chunks", len(p.Chunks), p.Count)
	}
	return p.Chunks
}

// sameRows checks that parts holds exactly the rows of whole, without duplicates.
// It sorts both.
func sameRows(t *testing.T, what string, parts, whole []string) {
	t.Helper()
	slices.Sort(parts)
	slices.Sort(whole)
	if len(whole) == 0 || !slices.Equal(parts, whole) {
		t.Errorf("%s: %d rows in parts, %d whole", what, len(parts), len(whole))
	}
	if n := len(slices.Compact(slices.Clone(parts))); n != len(parts) {
		t.Errorf("%s: %d duplicate rows", what, len(parts)-n)
	}
}

// TestConversation finds a segment by name and exports the day of 25 hours in
// Berlin in chunks. The chunks must add up to one export of the whole day.
func TestConversation(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	var found struct{ Segments []struct{ ID, Name string } }
	c.call("list_segments", map[string]any{"query": "checkout visitors"}, &found)
	if len(found.Segments) != 1 || found.Segments[0].Name != "Checkout visitors" {
		t.Fatalf("found %+v", found)
	}
	day := window{"2026-10-25", "2026-10-26"}
	request := map[string]any{
		"segment_id": found.Segments[0].ID, "type": "TYPE_SESSIONS", "segment_time_range": day, "timezone": "Europe/Berlin",
	}
	var parts []string
	chunks := c.planned(day, "PT5H", "Europe/Berlin")
	if len(chunks) != 5 {
		t.Errorf("%d chunks of five hours, want 5", len(chunks))
	}
	for _, chunk := range chunks {
		request["time_range"] = chunk
		rows, _ := c.export(request)
		parts = append(parts, rows...)
	}
	request["time_range"] = day
	whole, d := c.export(request)
	sameRows(t, "checkout visitors", parts, whole)
	if d.FirstEvent < "2026-10-24T22:00:00Z" || d.LastEvent >= "2026-10-25T23:00:00Z" || len(d.SHA256) != 64 {
		t.Errorf("the whole day is %+v", d)
	}

	var operations struct {
		Operations []struct {
			Known, Stored bool
			State         string
		}
	}
	c.call("list_export_operations", map[string]any{}, &operations)
	if len(operations.Operations) != 6 {
		t.Errorf("%d operations, want 6", len(operations.Operations))
	}
	for _, op := range operations.Operations {
		if !op.Known || op.State != "COMPLETED" {
			t.Errorf("an operation is listed as %+v", op)
		}
	}
}

// TestRealRows exports rows of a real export in daily chunks, if the sample is
// available: each row must come out once, unchanged.
func TestRealRows(t *testing.T) {
	t.Parallel()
	const sample = "../../shared/data/fullstory-events-sample.json"
	raw, err := os.ReadFile(sample)
	if err != nil {
		t.Skipf("the sample of real rows is not here: %v", err)
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	c := converse(t, nil, simulated(t, "--sandbox-data", sample)...)
	days := window{"2020-08-27", "2020-08-31"}
	var parts, whole, want []string
	for _, chunk := range c.planned(days, "day", "UTC") {
		got, _ := c.export(map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": chunk})
		parts = append(parts, got...)
	}
	whole, _ = c.export(map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": days})
	sameRows(t, "real rows", parts, whole)
	for _, row := range rows {
		var compact bytes.Buffer
		if err := json.Compact(&compact, row); err != nil {
			t.Fatal(err)
		}
		want = append(want, compact.String())
	}
	for i := range whole {
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(whole[i])); err != nil {
			t.Fatal(err)
		}
		whole[i] = compact.String()
	}
	sameRows(t, "unchanged", whole, want)
	t.Logf("%d rows in, %d out over daily chunks", len(rows), len(parts))
}

// rowSets are the rows of exports, by the name of the export.
type rowSets map[string]map[string]bool

// TestKindsOfRows exports one window by every type and scope.
func TestKindsOfRows(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	sets := rowSets{}
	for name, more := range map[string]map[string]any{
		"events":           {"type": "TYPE_EVENT"},
		"events by scope":  {"type": "TYPE_EVENT", "scope": "SCOPE_EVENTS"},
		"pages":            {"type": "TYPE_PAGES"},
		"pages by scope":   {"type": "TYPE_EVENT", "scope": "SCOPE_PAGES"},
		"sessions":         {"type": "TYPE_SESSIONS"},
		"sessions by name": {"type": "TYPE_EVENT", "scope": "SCOPE_SESSIONS"},
		"individuals":      {"type": "TYPE_EVENT", "scope": "SCOPE_INDIVIDUALS"},
		"everyone":         {"type": "TYPE_EVENT", "segment_id": "everyone"},
		"people":           {"type": "TYPE_INDIVIDUAL"},
	} {
		day := window{"2026-10-26", "2026-10-27"}
		request := map[string]any{"segment_id": "Rage clickers", "time_range": day, "segment_time_range": day}
		maps.Copy(request, more)
		rows, d := c.export(request)
		sets[name] = map[string]bool{}
		for _, row := range rows {
			sets[name][row] = true
		}
		if kind := slices.Contains(d.Columns, "EventStart"); kind != (name != "people") {
			t.Errorf("%s has the columns %q", name, d.Columns)
		}
	}
	for a, b := range map[string]string{
		"events": "events by scope", "pages": "pages by scope", "sessions": "sessions by name",
	} {
		if !maps.Equal(sets[a], sets[b]) {
			t.Errorf("%s and %s differ", a, b)
		}
	}
	sets.checkOrder(t)
	sets.checkScopes(t)
	people, active := keysOf(t, sets["people"], "IndvId"), keysOf(t, sets["events"], "IndvId")
	if len(people) != len(sets["people"]) || len(active) == 0 || !maps.Equal(people, active) {
		t.Errorf("%d rows of people, want one for each of the %d that matched", len(sets["people"]), len(active))
	}
}

// checkOrder checks that each wider scope contains the rows of the narrower one and
// more. Only individuals may have as many rows as sessions.
func (sets rowSets) checkOrder(t *testing.T) {
	t.Helper()
	order := []string{"events", "pages", "sessions", "individuals", "everyone"}
	for i, name := range order[1:] {
		narrow, wide := sets[order[i]], sets[name]
		more := len(narrow) < len(wide) || len(narrow) == len(wide) && name == "individuals"
		if len(narrow) == 0 || !more || !within(narrow, wide) {
			t.Errorf("%s has %d rows, %s %d, want the former among the latter",
				order[i], len(narrow), name, len(wide))
		}
	}
}

// checkScopes checks that a scope selects the rows that share the ids of a matching
// event.
func (sets rowSets) checkScopes(t *testing.T) {
	t.Helper()
	for name, keys := range map[string][]string{
		"pages": {"UserId", "SessionId", "PageId"}, "sessions": {"UserId", "SessionId"}, "individuals": {"IndvId"},
	} {
		matched, want := keysOf(t, sets["events"], keys...), map[string]bool{}
		for row := range sets["everyone"] {
			if matched[keyOf(t, row, keys...)] {
				want[row] = true
			}
		}
		if !maps.Equal(want, sets[name]) {
			t.Errorf("%s has %d rows, want %d by %v", name, len(sets[name]), len(want), keys)
		}
	}
}

func within(small, large map[string]bool) bool {
	for row := range small {
		if !large[row] {
			return false
		}
	}
	return true
}

func keysOf(t *testing.T, rows map[string]bool, keys ...string) map[string]bool {
	found := map[string]bool{}
	for row := range rows {
		found[keyOf(t, row, keys...)] = true
	}
	return found
}

func keyOf(t *testing.T, row string, keys ...string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(row), &fields); err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, k := range keys {
		parts = append(parts, string(fields[k]))
	}
	return strings.Join(parts, " ")
}

// TestFormats downloads the same rows as NDJSON, JSON and CSV.
func TestFormats(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	var rows []int64
	for format, suffix := range map[string]string{
		"FORMAT_NDJSON": ".ndjson.gz", "FORMAT_JSON": ".json.gz", "FORMAT_CSV": ".csv.gz",
	} {
		_, d := c.export(map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "format": format,
			"time_range": window{"2026-10-27T10:00:00Z", "2026-10-27T12:00:00Z"},
			"fields":     []string{"UserId", "EventStart", "EventType", "evt_*"},
		})
		rows = append(rows, d.Rows)
		if filepath.Base(d.Path) != "20261027T100000Z_20261027T120000Z"+suffix || d.FirstEvent == "" || d.Rows == 0 {
			t.Errorf("%s: %+v", format, d)
		}
	}
	if rows[0] != rows[1] || rows[1] != rows[2] {
		t.Errorf("the formats have %v rows", rows)
	}
}

// TestWarnedBeforehand tries a request without starting it.
func TestWarnedBeforehand(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	var made created
	c.call("create_segment_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-01", "2026-10-01"}, "dry_run": true,
	}, &made)
	var codes []string
	for _, w := range made.Warnings {
		codes = append(codes, w.Code)
	}
	if made.OperationID != "" || !slices.Equal(codes, []string{"large_window", "everyone_window_set",
		"individuals_or_events"}) ||
		!strings.HasPrefix(made.Summary, "Nothing was started.") {
		t.Errorf("got %+v with %q", made, codes)
	}
	var operations struct{ Operations []any }
	c.call("list_export_operations", map[string]any{}, &operations)
	if len(operations.Operations) > 0 {
		t.Errorf("a dry run started %v", operations.Operations)
	}
}

// buffer is a bytes.Buffer that is safe for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
