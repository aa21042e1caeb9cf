//go:build unix

package command

import (
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/sandbox"
)

// TestNextOfBulkExports takes each next step literally: it names the tool to call, and works.
func TestNextOfBulkExports(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t, "--sandbox-op-time", "1h")...)
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-10", "name": "october",
	}
	c.step("start_bulk_export", request)
	named := map[string]any{"bulk_id": "october"}
	waits := []string{"`get_bulk_export` with `wait_seconds`", "!Call again"}
	says(t, "get_bulk_export", c.step("get_bulk_export", named).Next, waits...)
	says(t, "list_bulk_exports", c.step("list_bulk_exports", nil).Bulks[0].Next, waits...)
	c.step("control_bulk_export", with(named, map[string]any{"action": "pause"}))
	resumed := c.step("control_bulk_export", with(named, map[string]any{"action": "resume"}))
	says(t, "control_bulk_export", resumed.Next, waits...)
	c.consented("control_bulk_export", with(named, map[string]any{"action": "cancel"}), &step{})
	for _, dry := range []bool{true, false} {
		again := c.step("start_bulk_export", map[string]any{"like_bulk_id": "october", "dry_run": dry})
		says(t, "a start of what was cancelled", again.Next, "another `name`", "!get_bulk_export")
	}
	more := c.step("start_bulk_export", map[string]any{"like_bulk_id": "october", "name": "october-2"})
	if more.BulkID == "" || more.Reused {
		t.Errorf("another name starts %+v", more)
	}
}

// TestNextOfSettlement has chunks that are exported again tomorrow: nobody waits for that.
func TestNextOfSettlement(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	started := c.step("start_bulk_export", with(octoberFirst, map[string]any{
		"time_range": window{"2026-11-05", "2026-11-05T06:00:00Z"}, "settle": true, "chunk": "PT6H",
	}))
	called := time.Now()
	seen := c.step("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 20})
	if waited := time.Since(called); waited > 19*time.Second {
		t.Errorf("the call waited %v, though all was stored", waited)
	}
	says(t, "a bulk export that settles", seen.Summary, "1 of 1 chunk stored",
		"to be exported again 24 hours after the end")
	says(t, "a bulk export that settles", seen.Next, "can be used", "nothing to wait for now", "!wait_seconds")
}

// TestPeopleInChunks counts rows, which are more than people.
func TestPeopleInChunks(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	started := c.step("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_INDIVIDUAL", "time_range": "2026-10-01/P2D",
	})
	ended := c.step("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 20})
	says(t, "a bulk export of individuals", ended.Summary, "is complete", "may be fewer people than rows")
}

// TestPlanInWords has a plan that ends now and has nothing to measure, and one of what a day
// lacks.
func TestPlanInWords(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-11-01", "now"},
	}
	plan := c.step("plan_time_chunks", request)
	says(t, "a plan", plan.Summary, "How large it is and how long it takes is not known", "!To export")
	if at, err := time.Parse(time.RFC3339, plan.Range.End); err != nil || at.Nanosecond() != 0 {
		t.Errorf("now is %s, want a whole second", plan.Range.End)
	}
	c.store(with(octoberFirst, map[string]any{"time_range": "2026-11-01"}))
	plan = c.step("plan_time_chunks", with(request, map[string]any{"missing_from": "*", "time_range": "2026-10-31/P3D"}))
	says(t, "a plan of what is missing", plan.Summary,
		"To export: 2026-10-31 to 2026-11-01, 2026-11-02 to 2026-11-03.", "!not known")
}

// TestPauseByFullstorysClock throttles a bulk export when Fullstory's clock is days ahead: its
// end of the pause is by that clock. So is the day that has not begun, in the zone of the request.
func TestPauseByFullstorysClock(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC().Add(9 * 24 * time.Hour).Truncate(time.Second)
	api := fullstory(t, sandbox.Config{Now: at})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	tokyo := time.FixedZone("", 9*3600)
	dry := c.step("create_segment_export", with(octoberFirst, map[string]any{
		"dry_run": true, "timezone": "Asia/Tokyo", "time_range": at.In(tokyo).AddDate(0, 0, 2).Format(time.DateOnly),
	}))
	says(t, "a day in the future", dry.Summary, "This would be rejected",
		at.In(tokyo).AddDate(0, 0, 2).Format(time.DateOnly)+"T00:00:00+09:00")
	for _, pause := range []struct{ after, says string }{
		{"45s", "requests continue at "},
		{"150s", "The next export is created at "}, // longer than requests pause
	} {
		withFaults(t, api.URL, `{"script":[{"on":"create","do":"429","after":"`+pause.after+`"}]}`)
		env["FULLSTORY_EXPORT_DIR"] = t.TempDir()
		c := converse(t, env)
		started := c.step("start_bulk_export", octoberFirst)
		var seen step
		for end := time.Now().Add(patience); !strings.Contains(seen.Summary, "429") && time.Now().Before(end); {
			seen = c.step("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 1})
		}
		_, until, _ := strings.Cut(seen.Summary, pause.says)
		until, _, _ = strings.Cut(until, ". ")
		when, err := time.Parse(time.RFC3339, until)
		if err != nil || when.Before(at) || when.After(at.Add(4*time.Minute)) {
			t.Errorf("at %s a pause of %s lasts until %s: %s", at, pause.after, until, seen.Summary)
		}
	}
}
