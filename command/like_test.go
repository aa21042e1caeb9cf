package command

import (
	"encoding/json"
	"strings"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// TestLikeOperation exports again like an earlier export, with less said each time than
// the request had.
func TestLikeOperation(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request, want := checkoutSessions()
	made := c.about("create_segment_export", request)
	like := map[string]any{"like_operation_id": made.OperationID}

	if got := c.about("create_segment_export", like); !got.Reused || got.OperationID != made.OperationID {
		t.Errorf("nothing on top: %+v", got)
	}
	fewer := want
	fewer.Fields = json.RawMessage(`["UserId"]`)
	got := c.about("create_segment_export", with(like, map[string]any{"fields": []string{"UserId"}}))
	got.is(t, "like, with fewer columns", fewer)
	if got.Reused || got.OperationID == made.OperationID {
		t.Errorf("another request is reused: %+v", got)
	}
	next := want
	next.TimeRange = window{"2026-10-30T23:00:00Z", "2026-10-31T23:00:00Z"}
	next.SegmentTimeRange = next.TimeRange
	c.about("create_segment_export", with(like, map[string]any{"time_range": "2026-10-31", "dry_run": true})).
		is(t, "like, of another day", next)
	next.SegmentTimeRange = want.TimeRange
	c.about("create_segment_export", with(like, map[string]any{
		"time_range": "2026-10-31", "segment_time_range": want.TimeRange, "dry_run": true,
	})).is(t, "like, with the earlier window", next)

	c.rejected("create_segment_export", map[string]any{}, "segment_id: missing", "type: missing", "time_range: missing",
		"unless like_operation_id is given")
	c.rejected("create_segment_export", with(request, map[string]any{"like_operation_id": "none"}),
		`like_operation_id: the request of "none" is not known`)
	c.rejected("create_segment_export", with(like, map[string]any{"like": "x"}), "like: unknown field",
		`did you mean "like_operation_id"?`)
}

// TestLikeAnotherClient has no request to take.
func TestLikeAnotherClient(t *testing.T) {
	t.Parallel()
	url := fullstory(t, sandbox.Config{}).URL
	env, args := remoteKey(t, url, sandbox.KeyArchitect)
	made := converse(t, env, args...).about("create_segment_export", octoberFirst)
	env, args = remoteKey(t, url, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	c.about("get_export_operation", map[string]any{"operation_id": made.OperationID})
	c.rejected("create_segment_export", map[string]any{"like_operation_id": made.OperationID},
		"like_operation_id: the request of", "is not known", "another client", "give `segment_id`, `type` and `time_range`")
}

// TestLikeBulk starts bulk exports like an earlier one, which is found by its id or name.
func TestLikeBulk(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request, want := checkoutSessions()
	request["chunk"] = "PT12H"
	first := c.about("start_bulk_export", request)
	var again struct {
		about
		Name   string
		Chunks int
	}
	call := func(more map[string]any) {
		again.Export = nil
		c.call("start_bulk_export", more, &again)
	}
	call(map[string]any{"like_bulk_id": first.BulkID})
	if !again.Reused || again.BulkID != first.BulkID || again.Chunks != 2 {
		t.Errorf("nothing on top: %+v", again)
	}
	name := again.Name
	fewer := want
	fewer.Fields = json.RawMessage(`["UserId"]`)
	call(map[string]any{"like_bulk_id": name, "fields": []string{"UserId"}})
	again.is(t, "like, with fewer columns", fewer)
	if again.Reused || again.Name == name || !strings.HasPrefix(again.Name, name[:40]) || again.Chunks != 2 {
		t.Errorf("fewer columns: %+v, after %s", again, name)
	}
	second := again.BulkID
	call(map[string]any{"like_bulk_id": name, "fields": []string{"UserId"}})
	if !again.Reused || again.BulkID != second {
		t.Errorf("fewer columns once more: %+v", again)
	}
	call(map[string]any{"like_bulk_id": name, "name": "week", "chunk": "day", "time_range": "2026-W42"})
	week := want
	week.TimeRange = window{"2026-10-11T22:00:00Z", "2026-10-18T22:00:00Z"}
	week.SegmentTimeRange = week.TimeRange
	again.is(t, "like, of a week", week)
	if again.Chunks != 7 || again.Name != "week" {
		t.Errorf("a week: %+v", again)
	}

	call(map[string]any{"like_bulk_id": "week"})
	if !again.Reused || again.Name != "week" {
		t.Errorf("the week once more, without its name: %+v", again)
	}

	// The other way round: one file like a bulk export, a bulk export like one file.
	one := c.about("create_segment_export", map[string]any{"like_operation_id": "week"})
	one.is(t, "one file like a bulk export", week)
	call(map[string]any{"like_bulk_id": one.OperationID, "name": "parts", "dry_run": true})
	again.is(t, "a bulk export like one file", week)
	none := map[string]any{"like_bulk_id": "none"}
	c.rejected("start_bulk_export", none, `like_bulk_id: the request of "none" is not known`)
	c.rejected("start_bulk_export", map[string]any{"name": "x"}, "segment_id: missing", "unless like_bulk_id is given")
}

// TestDryRunOfReuse asks for exports that exist.
func TestDryRunOfReuse(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	dry := with(octoberFirst, map[string]any{"dry_run": true})
	if got := c.about("create_segment_export", dry); got.Reused || !strings.Contains(got.Summary, "would export") {
		t.Errorf("nothing to reuse: %+v", got)
	}
	made := c.about("create_segment_export", octoberFirst)
	got := c.about("create_segment_export", dry)
	if !got.Reused || !strings.Contains(got.Summary, "would be reused") || !strings.Contains(got.Next, made.OperationID) {
		t.Errorf("the same export: %+v", got)
	}
	if got := c.about("create_segment_export", octoberFirst); !got.Reused || got.OperationID != made.OperationID {
		t.Errorf("the dry run was wrong: %+v", got)
	}
	for what, more := range map[string]map[string]any{
		"by force":     {"force_new": true},
		"other fields": {"fields": []string{"EventStart"}},
		"unsettled":    {"time_range": window{"2026-11-05T00:00:00Z", "2026-11-05T10:00:00Z"}},
	} {
		c.about("create_segment_export", with(octoberFirst, more))
		if what == "other fields" {
			continue // it exists now
		}
		if got := c.about("create_segment_export", with(dry, more)); got.Reused || strings.Contains(got.Summary, "reused") {
			t.Errorf("%s: %+v", what, got)
		}
	}

	bulk := with(octoberFirst, map[string]any{"name": "first"})
	started := c.about("start_bulk_export", bulk)
	got = c.about("start_bulk_export", with(bulk, map[string]any{"dry_run": true}))
	if !got.Reused || got.BulkID != started.BulkID || !strings.Contains(got.Summary, "before with the same request") {
		t.Errorf("the same bulk export: %+v", got)
	}
	got = c.about("start_bulk_export", with(bulk, map[string]any{"dry_run": true, "chunk": "hour"}))
	if got.Reused || !strings.Contains(got.Summary, "would be rejected") || !strings.Contains(got.Next, "`name`") {
		t.Errorf("another bulk export of the name: %+v", got)
	}
	c.rejected("start_bulk_export", with(bulk, map[string]any{"chunk": "hour"}), "started before with another request")
}
