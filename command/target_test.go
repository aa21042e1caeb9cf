package command

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/archive"
)

// sizedBulk is the result of start_bulk_export.
type sizedBulk struct {
	Summary, Next, Name, Folder, Confirm string
	BulkID                               string `json:"bulk_id"`
	Reused                               bool
	Chunks                               int
	Estimate                             *struct{ Basis string }
	Warnings                             []struct{ Code, Level string }
}

// codes returns the codes of the notices.
func (s sizedBulk) codes() string {
	var all []string
	for _, w := range s.Warnings {
		all = append(all, w.Code)
	}
	return strings.Join(all, " ")
}

// startBulk calls start_bulk_export with args and more.
func (c *conversation) startBulk(args map[string]any, more ...any) (s sizedBulk) {
	c.t.Helper()
	call := map[string]any{}
	for name, value := range args {
		call[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		call[more[i].(string)] = more[i+1]
	}
	c.call("start_bulk_export", call, &s)
	return s
}

// awaitBulk waits for the end of a bulk export, and returns its manifest.
func (c *conversation) awaitBulk(s sizedBulk) (m archive.Manifest) {
	c.t.Helper()
	var status bulkStatus
	for status.State = "running"; status.State == "running"; {
		c.call("get_bulk_export", map[string]any{"bulk_id": s.BulkID, "wait_seconds": 20}, &status)
	}
	raw, err := os.ReadFile(filepath.Join(s.Folder, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil || status.State != "complete" {
		c.t.Fatalf("%s is %s: %v", s.Name, status.State, err)
	}
	return m
}

// TestBulkBySize starts a bulk export by size, before and after there is an export to
// measure.
func TestBulkBySize(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t, "--sandbox-density", "150")...)
	args := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-10-20/P3D", "target_rows": 1000,
	}
	if dry := c.startBulk(args, "dry_run", true); dry.Chunks != 3 ||
		!strings.Contains(dry.codes(), "sizes_unknown") || !strings.Contains(dry.Summary, "sizes are not known") {
		t.Errorf("without sizes: %+v", dry)
	}
	history := c.startBulk(args, "time_range", "2026-10-13/P3D", "target_rows", nil)
	if m := c.awaitBulk(history); len(m.Files) != 3 {
		t.Fatalf("%d files of three days", len(m.Files))
	}

	dry := c.startBulk(args, "dry_run", true)
	started := c.startBulk(args, "name", "sized")
	if dry.Chunks != started.Chunks || started.Chunks < 5 || started.codes() != "everyone_window_set" ||
		!strings.Contains(started.Summary, "chunks of about 1000 rows") || dry.BulkID != "" {
		t.Errorf("by size: %+v, started %+v", dry, started)
	}
	m := c.awaitBulk(started)
	checkSizes(t, m, started.Chunks, func(f archive.File) float64 { return float64(f.Rows) / 1000 })
	if m.Chunk != "1000 rows" {
		t.Errorf("the manifest says that it is cut by %s", m.Chunk)
	}
	// Its own files are measured now, but the chunks of an export do not change.
	if again := c.startBulk(args, "name", "sized"); !again.Reused || again.BulkID != started.BulkID ||
		again.Chunks != started.Chunks {
		t.Errorf("started again: %+v", again)
	}
	size := float64(m.Files[0].Bytes) / float64(m.Files[0].Rows) * 1000 / 1e6
	megabytes := c.startBulk(args, "target_rows", nil, "target_megabytes", size)
	m = c.awaitBulk(megabytes)
	checkSizes(t, m, megabytes.Chunks, func(f archive.File) float64 { return float64(f.Bytes) / 1e6 / size })
	for _, test := range []struct {
		name  string
		value any
		says  string
	}{
		{"target_rows", 501, "name: the bulk export sized was started before with another request"},
		{"chunk", "day", "chunk: a target size is given as well"},
		{"target_megabytes", 1, "target_megabytes: `target_rows` is given as well"},
		{"type", "TYPE_INDIVIDUAL", "type: rows of individuals do not add up"},
	} {
		call := map[string]any{"name": "sized"}
		for name, value := range args {
			call[name] = value
		}
		call[test.name] = test.value
		c.rejected("start_bulk_export", call, test.says)
	}
}

// TestConfirmBySize confirms over 5,000 chunks, although another export was stored since
// the dry run, so that other sizes are known.
func TestConfirmBySize(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t, "--sandbox-density", "600")...)
	day := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-10-20"}
	c.awaitBulk(c.startBulk(day))
	many := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-07-01/P90D", "target_rows": 100, "name": "many",
	}
	dry := c.startBulk(many, "dry_run", true)
	if dry.Confirm == "" || dry.Chunks < 5000 {
		t.Fatalf("a dry run of many chunks: %+v", dry)
	}
	c.rejected("start_bulk_export", many, "confirm")
	day["time_range"] = "2026-10-21"
	c.awaitBulk(c.startBulk(day))
	if started := c.startBulk(many, "confirm", dry.Confirm); started.Chunks != dry.Chunks || started.BulkID == "" {
		t.Errorf("%d chunks were confirmed: %+v", dry.Chunks, started)
	}
	if again := c.startBulk(many); !again.Reused || again.Chunks != dry.Chunks {
		t.Errorf("started again: %+v", again)
	}
	c.consented("control_bulk_export", map[string]any{"bulk_id": "many", "action": "cancel"}, &bulkStatus{})
}

// checkSizes checks that a bulk export has the given number of files, and that their
// sizes, as a share of the target, are within the bounds that plans promise.
func checkSizes(t *testing.T, m archive.Manifest, chunks int, share func(archive.File) float64) {
	t.Helper()
	good := 0
	for _, f := range m.Files {
		if math.Abs(math.Log(share(f))) <= math.Log(1.5) {
			good++
		}
	}
	if len(m.Files) != chunks || good*10 < chunks*9 {
		t.Errorf("%d files of %d chunks, %d of about the size", len(m.Files), chunks, good)
	}
}
