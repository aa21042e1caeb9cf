package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"fullstory-export-mcp/archive"
)

// goneBulk is a bulk export as every place describes it.
type goneBulk struct {
	State  string
	Chunks struct{ Stored, Missing, Failed, All int }

	Percent     float64
	Rows, Bytes int64
	Summary     string
	Problems    []struct{ Start, End, Problem string }
	Windows     []struct{ Start, End, State, File string }
}

// read reads a resource as JSON.
func (c *conversation) read(uri string, into any) {
	c.t.Helper()
	r := mcp.ReadResourceRequest{}
	r.Params.URI = uri
	result, err := c.ReadResource(c.t.Context(), r)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(result.Contents[0].(mcp.TextResourceContents).Text), into); err != nil {
		c.t.Fatal(err)
	}
}

// listed returns the bulk exports of list_bulk_exports in a state, "" for all.
func (c *conversation) listed(state string) []goneBulk {
	c.t.Helper()
	args := map[string]any{}
	if state != "" {
		args["state"] = state
	}
	var list struct{ Bulks []goneBulk }
	c.call("list_bulk_exports", args, &list)
	return list.Bulks
}

// agree checks that every place says the same about the bulk export september, of which
// stored files of 30 are there. summary is a part of each summary.
func (c *conversation) agree(stored int, summary string) {
	c.t.Helper()
	state, other := "partial", "complete"
	if stored == 30 {
		state, other = other, state
	}
	var s, control goneBulk
	c.call("get_bulk_export", map[string]any{"bulk_id": "september", "detail": "problems"}, &s)
	if len(s.Problems) != min(30-stored, 40) {
		c.t.Errorf("%d problems: %+v", len(s.Problems), s.Problems)
	}
	places := append(c.listed(""), s)
	places = append(places, c.listed(state)...)
	if stored == 30 { // nothing to do, so the answer is the present state
		c.call("control_bulk_export", map[string]any{"bulk_id": "september", "action": "retry_failed"}, &control)
		places = append(places, control)
	}
	for i, p := range places {
		if p.State != state || p.Chunks.Stored != stored || p.Chunks.Missing != 30-stored || p.Chunks.All != 30 ||
			p.Percent != float64(1000*stored/30)/10 || !strings.Contains(p.Summary, summary) ||
			p.Rows != s.Rows || p.Bytes != s.Bytes || (s.Rows == 0) != (stored == 0) {
			c.t.Errorf("place %d of %d: %+v\nwant %d files, %s", i, len(places), p, stored, summary)
		}
	}
	if n := len(c.listed(other)); len(places) < 3 || n != 0 {
		c.t.Errorf("%d places, and %d are listed as %s", len(places), n, other)
	}
	var m archive.Manifest
	c.read("fullstory-export://bulk/september/manifest", &m)
	if len(m.Files) != stored || m.State != state || (len(m.Coverage.Missing) == 0) != (stored == 30) {
		c.t.Errorf("the manifest is %s and has %d files, without %+v", m.State, len(m.Files), m.Coverage.Missing)
	}
	for _, from := range []string{"september", "*"} {
		p := c.plan(map[string]any{
			"segment_id": "everyone", "time_range": window{"2026-09-01", "2026-10-01"}, "missing_from": from,
		})
		if p.Count != 30-stored {
			c.t.Errorf("missing from %s: %d chunks, %s", from, p.Count, p.Summary)
		}
	}
}

// TestFilesGone deletes and truncates stored files, and then their folder: every place
// says the same, and retry_failed exports them again.
func TestFilesGone(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t, "--sandbox-density", "20")...)
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{Start: "2026-09"}, "name": "september",
	}
	var started struct {
		Summary string
		BulkID  string `json:"bulk_id"`
	}
	c.call("start_bulk_export", request, &started)
	var s goneBulk
	await := func() {
		t.Helper()
		for s = (goneBulk{State: "running"}); s.State == "running"; {
			c.call("get_bulk_export", map[string]any{"bulk_id": "september", "wait_seconds": 10}, &s)
		}
	}
	await()
	c.agree(30, "september is complete: 30 chunks, ")
	whole := s

	folder := filepath.Dir(c.store(map[string]any{
		"segment_id": "everyone", "type": "TYPE_SESSIONS", "time_range": window{"2026-08-01", "2026-08-02"},
	}).Path)
	folder = filepath.Join(filepath.Dir(folder), "september")
	day := func(n string) string {
		found, err := filepath.Glob(filepath.Join(folder, "202609"+n+"T*.gz"))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		return found[0]
	}
	if err := os.Remove(day("13")); err != nil {
		t.Fatal(err)
	}
	c.agree(29, "september is incomplete: 29 of 30 files; missing: 13 Sep; `retry_failed` exports it again.")
	if err := os.Truncate(day("20"), 10); err != nil {
		t.Fatal(err)
	}
	c.agree(28, "28 of 30 files; missing: 13 Sep; of another size: 20 Sep; `retry_failed` exports them again.")
	c.call("get_bulk_export", map[string]any{"bulk_id": "september", "detail": "chunks"}, &s)
	if s.Windows[12].State != "missing" || s.Windows[19].State != "damaged" || s.Windows[0].State != "stored" ||
		s.Windows[12].File != "20260913T000000Z_20260914T000000Z.ndjson.gz" {
		t.Errorf("the chunks are %+v", s.Windows)
	}
	c.call("start_bulk_export", request, &started)
	if !strings.Contains(started.Summary, "is partial: 2 stored files are missing or damaged (missing: 13 Sep; ") {
		t.Errorf("started again: %s", started.Summary)
	}
	p := c.plan(map[string]any{"time_range": window{"2026-09-01", "2026-10-01"}, "missing_from": started.BulkID})
	if p.Count != 2 || !strings.Contains(p.Summary,
		"2 stored files are missing or damaged (`control_bulk_export` with `retry_failed` exports them again)") {
		t.Errorf("planned by the id: %s", p.Summary)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	c.agree(0, "september is incomplete: 0 of 30 files; missing: 1 Sep to 30 Sep; `retry_failed` exports them again.")
	var retried goneBulk
	c.call("control_bulk_export", map[string]any{"bulk_id": "september", "action": "retry_failed"}, &retried)
	if retried.State != "running" || retried.Chunks.Missing != 0 {
		t.Errorf("retried: %+v", retried)
	}
	await()
	c.agree(30, "september is complete: 30 chunks, ")
	if s.Rows != whole.Rows || s.Bytes != whole.Bytes {
		t.Errorf("exported again: %+v, at first %+v", s, whole)
	}
}

// storedOperations returns how many operations list_export_operations lists as stored, and
// the last one listed that is of a bulk export.
func (c *conversation) storedOperations() (all int, chunk string) {
	c.t.Helper()
	var list struct {
		Operations []struct {
			OperationID string `json:"operation_id"`
			BulkID      string `json:"bulk_id"`
			Stored      bool
		}
	}
	c.call("list_export_operations", map[string]any{}, &list)
	for _, op := range list.Operations {
		if op.Stored {
			all++
		}
		if op.BulkID != "" {
			chunk = op.OperationID
		}
	}
	return all, chunk
}

// TestOperationsGone deletes the files of a single export and of a chunk: no tool calls
// them stored, and each says how to get them back.
func TestOperationsGone(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	var made created
	c.call("create_segment_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-01", "2026-09-02"},
	}, &made)
	path := c.download(made.OperationID).Path
	var bulk goneBulk
	c.call("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-02", "2026-09-03"}, "name": "day",
	}, &struct{}{})
	for bulk.State != "complete" {
		c.call("get_bulk_export", map[string]any{"bulk_id": "day", "wait_seconds": 10}, &bulk)
	}
	missing := func(operation string) int {
		t.Helper()
		return c.plan(map[string]any{"time_range": window{"2026-09-01", "2026-09-03"}, "missing_from": operation}).Count
	}
	n, chunk := c.storedOperations()
	if n != 2 || missing(made.OperationID) != 1 || missing(chunk) != 1 {
		t.Errorf("%d files are stored, missing %d and %d days", n, missing(made.OperationID), missing(chunk))
	}
	dir := filepath.Dir(filepath.Dir(path))
	if os.RemoveAll(filepath.Dir(path)) != nil || os.RemoveAll(filepath.Join(dir, "day")) != nil {
		t.Fatal("the folders cannot be removed")
	}
	if n, _ := c.storedOperations(); n != 0 || missing(made.OperationID) != 2 || missing(chunk) != 2 {
		t.Errorf("without folders %d files are stored, missing %d and %d days", n, missing(made.OperationID), missing(chunk))
	}
	d := c.download(chunk)
	if d.State != "failed" || !strings.Contains(d.Error, "of the bulk export day is missing") ||
		!strings.Contains(d.Next, "retry_failed") {
		t.Errorf("the file of the chunk: %+v", d)
	}
	if d = c.download(made.OperationID); d.State != "stored" || d.Path != path {
		t.Errorf("the file of the export: %+v", d)
	}
	if n, _ := c.storedOperations(); n != 1 || missing(made.OperationID) != 1 {
		t.Errorf("fetched again: %d files are stored", n)
	}
}
