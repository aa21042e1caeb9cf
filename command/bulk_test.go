package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"fullstory-export-mcp/archive"
)

type bulkStatus struct {
	Bytes   int64
	Summary string `json:"summary"`
	BulkID  string `json:"bulk_id"`
	State   string `json:"state"`
	Chunks  struct {
		Planned, Running, Stored, Failed, Cancelled, All int
	} `json:"chunks"`
	Percent  float64                    `json:"percent"`
	Rows     int64                      `json:"rows"`
	ETA      string                     `json:"eta"`
	Folder   string                     `json:"folder"`
	Problems []struct{ Problem string } `json:"problems"`
	Windows  []struct{ State string }   `json:"windows"`
	HasMore  bool                       `json:"has_more"`
	Next     string                     `json:"next"`
}

// TestEverythingFromSeptember is the conversation "export everything from
// September, by day, and tell me when it is done and how many rows", in six
// calls at most.
func TestEverythingFromSeptember(t *testing.T) {
	long(t)
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	calls := 1
	var started struct {
		BulkID   string `json:"bulk_id"`
		Name     string
		Chunks   int
		Warnings []struct{ Code string }
		Summary  string
	}
	c.call("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": map[string]string{"start": "2026-09"},
		"name": "September 2026",
	}, &started)
	if started.Chunks != 30 || started.Name != "september-2026" || !strings.Contains(started.Summary, "september-2026") ||
		started.Warnings[0].Code != "everyone_window_set" {
		t.Errorf("started %+v", started)
	}
	var s bulkStatus
	for s.State == "" || s.State == "running" {
		calls++
		c.call("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 20}, &s)
	}
	if calls > 6 || s.State != "complete" || s.Chunks.Stored != 30 || s.Rows < 20_000 ||
		!strings.Contains(s.Summary, "complete: 30 chunks") {
		t.Errorf("after %d calls: %+v", calls, s)
	}
	checked, err := archive.Check(t.Context(), s.Folder, nil)
	if err != nil || len(checked.Faults) > 0 || checked.Rows != s.Rows {
		t.Errorf("the folder: %+v, %v", checked.Faults, err)
	}
	c.call("get_bulk_export", map[string]any{
		"bulk_id": "september-2026", "detail": "chunks", "limit": 7, "offset": 28,
	}, &s)
	if len(s.Windows) != 2 || s.HasMore || s.Windows[0].State != "stored" {
		t.Errorf("its chunks: %+v", s.Windows)
	}
	// Plans know what is stored: nothing is missing.
	var planned struct {
		Count    int
		Estimate struct{ Rows int64 }
	}
	c.call("plan_time_chunks", map[string]any{
		"time_range": map[string]string{"start": "2026-09"}, "missing_from": "september-2026",
	}, &planned)
	if planned.Count != 0 {
		t.Errorf("%d chunks are missing, want none", planned.Count)
	}
}

// TestBulkControl pauses, resumes and cancels, and checks that impossible actions
// are rejected.
func TestBulkControl(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	var dry, started, s bulkStatus
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": map[string]string{"start": "2026-09"}, "chunk": "hour",
		"name": "hours", "dry_run": true,
	}
	c.call("start_bulk_export", request, &struct{ Summary *string }{&dry.Summary})
	if !strings.HasPrefix(dry.Summary, "Nothing was started.") {
		t.Errorf("dry run: %s", dry.Summary)
	}
	var list struct {
		Bulks   []bulkStatus
		HasMore bool   `json:"has_more"`
		Cursor  string `json:"next_cursor"`
	}
	c.call("list_bulk_exports", map[string]any{}, &list)
	if len(list.Bulks) != 0 {
		t.Errorf("a dry run started %+v", list.Bulks)
	}
	delete(request, "dry_run")
	c.call("start_bulk_export", request, &struct {
		ID *string `json:"bulk_id"`
	}{&started.BulkID})
	id := map[string]any{"bulk_id": started.BulkID}
	control := func(action string) (s bulkStatus) {
		t.Helper()
		c.call("control_bulk_export", map[string]any{"bulk_id": "hours", "action": action}, &s)
		return s
	}
	if s = control("pause"); s.State != "paused" || !strings.Contains(s.Summary, "Paused on request.") ||
		s.Chunks.All != 720 || len(s.Problems) != 1 {
		t.Errorf("paused: %+v", s)
	}
	if s = control("resume"); s.State != "running" {
		t.Errorf("resumed: %+v", s)
	}
	for s.Chunks.Stored < 3 {
		c.call("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 1}, &s)
	}
	if s.ETA == "" || s.Percent <= 0 {
		t.Errorf("under way: %+v", s)
	}
	c.consented("control_bulk_export", map[string]any{"bulk_id": "hours", "action": "cancel"}, &s)
	if s.State != "cancelled" || s.Chunks.Planned+s.Chunks.Running != 0 ||
		s.Chunks.Cancelled+s.Chunks.Stored != 720 {
		t.Errorf("cancelled: %+v", s)
	}
	c.rejected("control_bulk_export", map[string]any{
		"bulk_id": "hours", "action": "resume",
	}, "a bulk export that is cancelled", "another name")
	c.rejected("get_bulk_export", map[string]any{"bulk_id": "no-such"}, "no bulk export", "list_bulk_exports")
	other := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": map[string]string{"start": "2026-08"}, "chunk": "hour",
		"name": "hours",
	}
	c.rejected("start_bulk_export", other, "started before with another request", "another name")
	c.rejected("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": map[string]string{},
	}, "time_range")
	c.rejected("list_bulk_exports", map[string]any{"cursor": "x"}, "cursor")
	c.call("list_bulk_exports", map[string]any{"state": "cancelled"}, &list)
	if len(list.Bulks) != 1 || list.Bulks[0].BulkID != id["bulk_id"] {
		t.Errorf("listed: %+v", list)
	}
}

// TestTwoHosts starts the server twice on one folder. One of the two processes does
// the work that either is asked for; when it ends, the other takes over.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flags := simulated(t, "--dir", dir)
	first, second := converse(t, nil, flags...), converse(t, nil, flags...)
	single := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": map[string]string{"start": "2026-09-01"},
	}
	var a, b struct {
		OperationID string `json:"operation_id"`
		Reused      bool
	}
	first.call("create_segment_export", single, &a)
	second.call("create_segment_export", single, &b)
	if a.Reused || !b.Reused || a.OperationID != b.OperationID {
		t.Errorf("the same export from two hosts: %+v and %+v", a, b)
	}
	var started struct {
		BulkID string `json:"bulk_id"`
	}
	second.call("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT",
		"time_range": map[string]string{"start": "2026-09-02", "end": "2026-09-03"}, "chunk": "hour",
	}, &started)
	var s bulkStatus
	for s.Chunks.Stored < 5 {
		first.call("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 1}, &s)
	}
	first.end()
	for s.State == "running" {
		second.call("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 20}, &s)
	}
	if s.State != "complete" || s.Chunks.Stored != 24 {
		t.Errorf("after the first host ended: %+v", s)
	}
}

// TestSubscription subscribes to a bulk export until it is complete.
func TestSubscription(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	announced := make(chan string, 100)
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		if n.Method == mcp.MethodNotificationResourceUpdated {
			uri, _ := n.Params.AdditionalFields["uri"].(string)
			announced <- uri
		}
	})
	var started struct {
		BulkID string `json:"bulk_id"`
	}
	c.call("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT",
		"time_range": map[string]string{"start": "2026-09-01", "end": "2026-09-02"}, "chunk": "hour",
	}, &started)
	uri := "fullstory-export://bulk/" + started.BulkID
	stop, err := c.ListenAsync(t.Context(), mcp.SubscriptionFilter{ResourceSubscriptions: []string{uri}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	read := func(uri string, into any) {
		t.Helper()
		r := mcp.ReadResourceRequest{}
		r.Params.URI = uri
		result, err := c.ReadResource(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(result.Contents[0].(mcp.TextResourceContents).Text), into); err != nil {
			t.Fatal(err)
		}
	}
	var s bulkStatus
	for s.State != "complete" {
		select {
		case got := <-announced:
			if got != uri {
				t.Fatalf("update of %s, want %s", got, uri)
			}
		case <-time.After(patience):
			t.Fatalf("no more updates of %+v", s)
		}
		read(uri, &s)
	}
	var m archive.Manifest
	read(uri+"/manifest", &m)
	if len(m.Files) != 24 || m.Coverage == nil || len(m.Coverage.Missing) != 0 {
		t.Errorf("the manifest has %d files and covers %+v", len(m.Files), m.Coverage)
	}
}

// TestVerifyCommand verifies a folder before and after a byte of it changes.
func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args ...string) (status int, stdout string) {
		var out, errs buffer
		err := Run(t.Context(), args, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
		return Status(err), out.String() + errs.String()
	}
	status, out := run("run", "--sandbox", "--sandbox-op-time", "50ms", "--dir", dir,
		"--segment", "everyone", "--from", "2026-09-01", "--chunk", "PT6H", "--name", "day", "--json")
	if status != 0 {
		t.Fatalf("run ended with %d:\n%s", status, out)
	}
	folder := filepath.Join(dir, "day")
	if status, out := run("verify", folder); status != 0 || !strings.Contains(out, "4 of 4 files agree") {
		t.Errorf("verify ended with %d:\n%s", status, out)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.gz"))
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	content, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(files[2], content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "other.ndjson.gz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status, out = run("verify", folder)
	if status != 1 || !strings.Contains(out, filepath.Base(files[2])) ||
		!strings.Contains(out, "other.ndjson.gz is not in the manifest") || !strings.Contains(out, "3 of 4") {
		t.Errorf("a changed byte: verify ended with %d:\n%s", status, out)
	}
	if status, out := run("verify", dir); status != 1 || !strings.Contains(out, "no manifest.json") {
		t.Errorf("a folder without manifest: %d, %s", status, out)
	}
}
