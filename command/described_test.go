package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/sandbox"
)

// described is the part of a result that says what an export is.
type described struct {
	SegmentID        string          `json:"segment_id"`
	SegmentName      string          `json:"segment_name"`
	Rows             string          `json:"rows"`
	Type             string          `json:"type"`
	Scope            string          `json:"scope"`
	Fields           json.RawMessage `json:"fields"` // a list, or its length
	Format           string          `json:"format"`
	TimeRange        window          `json:"time_range"`
	SegmentTimeRange window          `json:"segment_time_range"`
	Timezone         string          `json:"timezone"`
}

// brief returns d as lists have it.
func (d described) brief(columns int) described {
	d.Fields = json.RawMessage(fmt.Sprint(columns))
	return d
}

// about is what the results of all tools about exports have in common.
type about struct {
	Summary, Next, State string
	OperationID          string `json:"operation_id"`
	BulkID               string `json:"bulk_id"`
	Reused, Cancelled    bool
	Known                bool
	Export               *described
}

// is fails the test unless a tool described an export as want.
func (a about) is(t *testing.T, tool string, want described) {
	t.Helper()
	if a.Export == nil {
		t.Errorf("%s does not say what the export is: %+v", tool, a)
	} else if diff := cmp.Diff(want, *a.Export); diff != "" {
		t.Errorf("%s describes another export (-want +got):\n%s", tool, diff)
	}
}

// about calls a tool.
func (c *conversation) about(tool string, args map[string]any) (a about) {
	c.t.Helper()
	c.call(tool, args, &a)
	return a
}

// checkoutSessions is a request with everything that can be guessed wrong, and what it
// is as an export.
func checkoutSessions() (map[string]any, described) {
	day := window{"2026-10-29T23:00:00Z", "2026-10-30T23:00:00Z"}
	return map[string]any{
			"segment_id": "Checkout visitors", "type": "TYPE_EVENT", "scope": "SCOPE_SESSIONS", "timezone": "Europe/Berlin",
			"time_range": "2026-10-30", "segment_time_range": "range", "fields": []string{"EventStart", "UserId", "PageUrl"},
		}, described{
			SegmentID: "tz81RtIU1Rw8", SegmentName: "Checkout visitors", Rows: "events", Type: "TYPE_EVENT",
			Scope: "SCOPE_SESSIONS", Fields: json.RawMessage(`["EventStart","UserId","PageUrl"]`), Format: "FORMAT_NDJSON",
			TimeRange: day, SegmentTimeRange: day, Timezone: "Europe/Berlin",
		}
}

// TestExportsAreDescribed names exports in every tool that can.
func TestExportsAreDescribed(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request, want := checkoutSessions()
	c.about("create_segment_export", with(request, map[string]any{"dry_run": true})).is(t, "dry run", want)
	made := c.about("create_segment_export", request)
	made.is(t, "create_segment_export", want)
	op := map[string]any{"operation_id": made.OperationID, "wait_seconds": 10}
	c.about("get_export_operation", op).is(t, "get_export_operation", want)
	c.about("download_export", op).is(t, "download_export", want)
	delete(op, "wait_seconds")
	c.about("cancel_export_operation", op).is(t, "cancel_export_operation", want)
	var listed struct{ Operations []about }
	c.call("list_export_operations", nil, &listed)
	listed.Operations[0].is(t, "list_export_operations", want.brief(3))

	request["name"] = "checkout"
	c.about("start_bulk_export", with(request, map[string]any{"dry_run": true})).is(t, "dry run of a bulk", want)
	started := c.about("start_bulk_export", request)
	started.is(t, "start_bulk_export", want)
	bulk := map[string]any{"bulk_id": started.BulkID}
	c.about("get_bulk_export", with(bulk, map[string]any{"wait_seconds": 10})).is(t, "get_bulk_export", want)
	c.about("control_bulk_export", with(bulk, map[string]any{"action": "retry_failed"})).is(t, "control_bulk_export", want)
	var bulks struct{ Bulks []about }
	c.call("list_bulk_exports", nil, &bulks)
	bulks.Bulks[0].is(t, "list_bulk_exports", want.brief(3))
}

// TestDescribedInFull leaves out what has a default. The description must not.
func TestDescribedInFull(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	made := c.about("create_segment_export", map[string]any{
		"segment_id": "Checkout visitors", "type": "TYPE_EVENT", "time_range": "2026-10-30",
	})
	got := c.about("get_export_operation", map[string]any{"operation_id": made.OperationID})
	got.is(t, "get_export_operation", described{
		SegmentID: "tz81RtIU1Rw8", SegmentName: "Checkout visitors", Rows: "events", Type: "TYPE_EVENT",
		Scope: "SCOPE_EVENTS", Format: "FORMAT_NDJSON", TimeRange: window{"2026-10-30T00:00:00Z", "2026-10-31T00:00:00Z"},
		SegmentTimeRange: window{Start: "own"}, Timezone: "UTC",
	})
	const says = `It exports events of segment "Checkout visitors" (tz81RtIU1Rw8), from 2026-10-30T00:00:00Z to ` +
		"2026-10-31T00:00:00Z (excluded). Segment filters are evaluated over the segment's own window."
	if !strings.Contains(got.Summary, says) {
		t.Errorf("the summary does not say what is exported, and over what period the filters are evaluated: %s", got.Summary)
	}
}

// TestCancelComesTooLate has an export complete while the request to cancel it is on its
// way: the call succeeds, and says that there was nothing to cancel.
func TestCancelComesTooLate(t *testing.T) {
	t.Parallel()
	api, err := url.Parse(fullstory(t, sandbox.Config{}).URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(api)
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ok := strings.CutSuffix(r.URL.EscapedPath(), "/cancel"); ok {
			eventually(t, "the export is complete", func() bool {
				get, _ := http.NewRequest("GET", api.String()+path, nil)
				get.Header = r.Header.Clone()
				answer, err := http.DefaultClient.Do(get)
				if err != nil {
					return false
				}
				defer answer.Body.Close()
				raw, _ := io.ReadAll(answer.Body)
				return strings.Contains(string(raw), "COMPLETED")
			})
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(late.Close)
	env, args := remoteKey(t, late.URL, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	made := c.about("create_segment_export", octoberFirst)
	got := c.about("cancel_export_operation", map[string]any{"operation_id": made.OperationID})
	if got.State != "COMPLETED" || got.Cancelled || !strings.HasPrefix(got.Summary, "Nothing to cancel") {
		t.Errorf("cancelled too late: %+v", got)
	}
}

// TestOperationOfAnotherClient looks at an export that another client started.
func TestOperationOfAnotherClient(t *testing.T) {
	t.Parallel()
	url := fullstory(t, sandbox.Config{}).URL
	env, args := remoteKey(t, url, sandbox.KeyArchitect)
	made := converse(t, env, args...).about("create_segment_export", octoberFirst)
	env, args = remoteKey(t, url, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	op := map[string]any{"operation_id": made.OperationID}
	c.about("get_export_operation", with(op, map[string]any{"wait_seconds": 20}))
	const says = "started by another client; its segment is not told"
	for _, tool := range []string{"get_export_operation", "download_export", "cancel_export_operation"} {
		if got := c.about(tool, op); !strings.Contains(got.Summary, says) || got.Export != nil {
			t.Errorf("%s says %q of %+v", tool, got.Summary, got.Export)
		}
	}
	const events = "Its events are from 2026-10-01T"
	got := c.about("download_export", with(op, map[string]any{"wait_seconds": 20}))
	if !strings.Contains(got.Summary, events) || !strings.Contains(got.Summary, says) {
		t.Errorf("download_export says %q, want %q", got.Summary, events)
	}
	var listed struct {
		Summary    string
		Operations []about
	}
	c.call("list_export_operations", nil, &listed)
	if got := listed.Operations[0]; got.Known || got.Export != nil ||
		!strings.Contains(listed.Summary, "another client, and their segment is not told: 1") {
		t.Errorf("listed as %+v, %q", got, listed.Summary)
	}
}

// TestCancelledIsCalledCancelled cancels exports. Fullstory calls them FAILED.
func TestCancelledIsCalledCancelled(t *testing.T) {
	t.Parallel()
	var hour sandbox.OpTime
	if err := hour.UnmarshalText([]byte("1h")); err != nil {
		t.Fatal(err)
	}
	url := fullstory(t, sandbox.Config{OpTime: hour}).URL
	env, args := remoteKey(t, url, sandbox.KeyArchitect)
	mine := converse(t, env, args...)
	env, args = remoteKey(t, url, sandbox.KeyArchitect)
	other := converse(t, env, args...)
	made := mine.about("create_segment_export", octoberFirst)
	op := map[string]any{"operation_id": made.OperationID}
	if got := mine.about("cancel_export_operation", op); got.State != "FAILED" || !got.Cancelled ||
		!strings.HasPrefix(got.Summary, "The export is cancelled") || !strings.Contains(got.Next, "like_operation_id") {
		t.Errorf("cancelled: %+v", got)
	}
	for who, c := range map[string]*conversation{"the client that cancelled": mine, "another client": other} {
		again := c.about("cancel_export_operation", op)
		if !again.Cancelled || !strings.Contains(again.Summary, "was cancelled before") {
			t.Errorf("%s cancels again: %q", who, again.Summary)
		}
		got := c.about("get_export_operation", op)
		if got.State != "FAILED" || !got.Cancelled || !strings.HasPrefix(got.Summary, "The export was cancelled") {
			t.Errorf("get_export_operation of %s: %+v", who, got)
		}
		got = c.about("download_export", with(op, map[string]any{"wait_seconds": 10}))
		if got.State != "failed" || !strings.HasPrefix(got.Summary, "The export was cancelled") {
			t.Errorf("download_export of %s: %+v", who, got)
		}
		var listed struct{ Operations []about }
		c.call("list_export_operations", nil, &listed)
		if got := listed.Operations[0]; got.State != "FAILED" || !got.Cancelled {
			t.Errorf("listed for %s: %+v", who, got)
		}
	}
	again := mine.about("create_segment_export", with(octoberFirst, map[string]any{"dry_run": true}))
	if again.Reused || strings.Contains(again.Summary, "reused") {
		t.Errorf("a cancelled export would be reused: %q", again.Summary)
	}
}

// TestColumnsOnDemand downloads a file with and without the names of its columns.
func TestColumnsOnDemand(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	op := map[string]any{"operation_id": c.about("create_segment_export", octoberFirst).OperationID, "wait_seconds": 10}
	type file struct {
		ColumnCount int `json:"column_count"`
		Columns     []string
	}
	var short, long file
	c.call("download_export", op, &short)
	c.call("download_export", with(op, map[string]any{"columns": true}), &long)
	if short.ColumnCount < 20 || short.Columns != nil || len(long.Columns) != short.ColumnCount {
		t.Errorf("%d columns, %q; on demand %q", short.ColumnCount, short.Columns, long.Columns)
	}
}

// TestListsFit lists many exports without saying how many: each page is short, and the
// pages together have all of them.
func TestListsFit(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request, _ := checkoutSessions()
	for i := range 15 {
		c.about("start_bulk_export", with(request, map[string]any{"name": fmt.Sprint("number-", i)}))
		c.about("create_segment_export", with(request, map[string]any{"timezone": "UTC", "force_new": true}))
	}
	for i := range 15 {
		c.about("get_bulk_export", map[string]any{"bulk_id": fmt.Sprint("number-", i), "wait_seconds": 20})
	}
	for tool, want := range map[string]int{"list_bulk_exports": 15, "list_export_operations": 16} {
		seen, args := map[string]bool{}, map[string]any{}
		for pages := 0; pages == 0 || args["cursor"] != ""; pages++ {
			var page struct {
				Summary           string
				Bulks, Operations []about
				NextCursor        string `json:"next_cursor"`
			}
			c.call(tool, args, &page) // fails above 8,000 bytes
			for _, row := range append(page.Bulks, page.Operations...) {
				seen[row.BulkID+" "+row.OperationID] = true
			}
			if strings.Contains(page.Summary, "here are more.") != (page.NextCursor != "") {
				t.Errorf("%s, of which the next page is %q, says %s", tool, page.NextCursor, page.Summary)
			}
			args["cursor"] = page.NextCursor
			if pages > 10 {
				t.Fatalf("%s does not end", tool)
			}
		}
		if len(seen) < want {
			t.Errorf("%s lists %d exports on its pages, want %d", tool, len(seen), want)
		}
	}
}
