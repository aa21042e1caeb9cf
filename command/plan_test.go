package command

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// suggestion is a call that the next step of a plan suggests.
var suggestion = regexp.MustCompile("`([a-z_]+)` with (\\{)")

// suggested returns the calls that a next step suggests: tools and arguments.
func suggested(t *testing.T, next string) (tools []string, args []map[string]any) {
	t.Helper()
	for _, m := range suggestion.FindAllStringSubmatchIndex(next, -1) {
		var given map[string]any
		d := json.NewDecoder(strings.NewReader(next[m[4]:]))
		if err := d.Decode(&given); err != nil {
			t.Fatalf("%v in %s", err, next)
		}
		tools, args = append(tools, next[m[2]:m[3]]), append(args, given)
	}
	return tools, args
}

// TestPlanLeadsToExport follows the next step of plans: to a sample without sizes, then to
// the export of the same chunks.
func TestPlanLeadsToExport(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t, "--sandbox-density", "60")...)
	args := map[string]any{
		"segment_id": "Everyone", "type": "TYPE_EVENT", "time_range": "2026-09", "timezone": "Europe/Berlin",
		"target_rows": 700,
	}
	var p sized
	c.call("plan_time_chunks", args, &p)
	tools, calls := suggested(t, p.Next)
	if p.Count != 30 || len(p.Chunks) != 0 || p.HasMore || p.Estimate != nil || len(calls) != 2 {
		t.Fatalf("without sizes: %d of %d chunks: %s %s", len(p.Chunks), p.Count, p.Summary, p.Next)
	}
	part := calls[0]["time_range"].(map[string]any)
	if tools[0] != "start_bulk_export" || part["start"] != "2026-09-24T00:00:00+02:00" ||
		part["end"] != "2026-10-01T00:00:00+02:00" {
		t.Errorf("the sample of September: %s", p.Next)
	}
	c.awaitBulk(c.startBulk(calls[0]))

	c.call("plan_time_chunks", args, &p)
	if len(p.Chunks) == 0 || p.Estimate == nil || p.Estimate.Seconds == 0 {
		t.Fatalf("with sizes: %+v", p)
	}
	for _, says := range []string{"90 % interval", "wall time with 8 exports at once", "7 stored files"} {
		if !strings.Contains(p.Estimate.Basis, says) {
			t.Errorf("the basis lacks %q: %s", says, p.Estimate.Basis)
		}
	}
	if tools, calls = suggested(t, p.Next); len(tools) != 1 || tools[0] != "start_bulk_export" ||
		strings.Contains(p.Next, "create_segment_export") {
		t.Fatalf("the next step is %s", p.Next)
	}
	if dry := c.startBulk(calls[0], "dry_run", true); dry.Chunks != p.Count {
		t.Errorf("%d chunks planned, %d would be started", p.Count, dry.Chunks)
	}
	c.call("plan_time_chunks", map[string]any{"segment_id": "everyone", "time_range": "2026-09-05"}, &p)
	if tools, _ = suggested(t, p.Next); len(tools) != 1 || tools[0] != "create_segment_export" ||
		!strings.Contains(p.Next, "} and `type`.") {
		t.Errorf("one chunk: %s", p.Next)
	}
}

// TestNextOfPlans checks the sample that is suggested for several ranges, and the next
// step of plans that start_bulk_export cannot cut or must not start.
func TestNextOfPlans(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	for _, test := range []struct{ of, says string }{
		// The clock shows noon of 5 November.
		{`{"segment_id":"everyone","time_range":"2026-10-01/2026-11-05","target_rows":5}`,
			`"time_range":{"start":"2026-10-28T00:00:00Z","end":"2026-11-04T00:00:00Z"}`},
		{`{"segment_id":"everyone","time_range":"2026-06-01/P9D","target_megabytes":5}`,
			`"time_range":{"start":"2026-06-09T00:00:00Z","end":"2026-06-10T00:00:00Z"}`},
		{`{"segment_id":"everyone","time_range":{"start":"2026-06-01","end":"2026-06-03T06:00:00Z"},"target_rows":5}`,
			`"time_range":{"start":"2026-06-02T00:00:00Z","end":"2026-06-03T00:00:00Z"}`},
		{`{"segment_id":"everyone","time_range":"2026-11-04/now","target_rows":5}`,
			`"time_range":{"start":"2026-11-04T00:00:00Z","end":"2026-11-05T00:00:00Z"}`},
		{`{"segment_id":"everyone","time_range":"2026-06-01","target_rows":5}`, `"chunk":"hour"`},
		{`{"segment_id":"everyone","time_range":"2027-06","target_rows":5}`, "Nothing of this can be exported yet."},
		{`{"time_range":"2026-06"}`, "} and `segment_id`, `type`."},
		{`{"time_range":"2026-06","segment_id":"Big baskets","type":"TYPE_PAGES"}`, "} and `segment_time_range`."},
		{`{"time_range":"2026-06","chunk":"week","week_start":"sunday"}`, "weeks from Monday: 5 chunks of one week."},
		{`{"time_range":"2026-06-03T06:00:00Z/P2D","align":false}`, ": 3 chunks of one day."},
		{`{"time_range":"2026-06-03/P2D","align":false}`, `"chunk":"day"} and ` + "`segment_id`, `type`."},
		{`{"time_range":"2026","chunk":"hour"}`, ""},
		{`{"time_range":"2026-06","chunk":"hour"}`, "call again with `offset` 50"},
	} {
		var args map[string]any
		if err := json.Unmarshal([]byte(test.of), &args); err != nil {
			t.Fatal(err)
		}
		if test.says == "" {
			c.rejected("plan_time_chunks", args, "time_range.start")
			continue
		}
		var p sized
		c.call("plan_time_chunks", args, &p)
		if !strings.Contains(p.Next, test.says) {
			t.Errorf("%s: %s\nwant %s", test.of, p.Next, test.says)
		}
	}
}

// TestPlanOfMissingParts plans what a bulk export lacks: days on both sides of it, and a
// file that was deleted.
func TestPlanOfMissingParts(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	m := c.awaitBulk(c.startBulk(map[string]any{
		"segment_id": "Big baskets", "type": "TYPE_EVENT", "time_range": "2026-10-20/P4D", "name": "parts",
		"fields": []string{"UserId", "EventStart"},
	}))
	args := map[string]any{"time_range": "2026-10-18/P8D", "missing_from": "parts"}
	var p sized
	c.call("plan_time_chunks", args, &p)
	tools, calls := suggested(t, p.Next)
	if p.Count != 4 || len(tools) != 1 || tools[0] != "start_bulk_export" ||
		fmt.Sprint(calls[0]["time_range"]) != "map[end:2026-10-20T00:00:00Z start:2026-10-18T00:00:00Z]" ||
		fmt.Sprint(calls[0]["segment_time_range"]) != "map[start:own]" ||
		!strings.Contains(p.Next, "the same `fields` and `format`") ||
		!strings.Contains(p.Next, "1 part more: 2026-10-24T00:00:00Z to 2026-10-26T00:00:00Z.") {
		t.Errorf("%d days: %s", p.Count, p.Next)
	}
	var s bulkStatus
	c.call("get_bulk_export", map[string]any{"bulk_id": "parts"}, &s)
	if err := os.Remove(filepath.Join(s.Folder, m.Files[1].Name)); err != nil {
		t.Fatal(err)
	}
	args["time_range"] = "2026-10-20/P4D"
	c.call("plan_time_chunks", args, &p)
	if p.Count != 1 || !strings.HasPrefix(p.Next, "Chunks of this bulk export") ||
		!strings.Contains(p.Next, "`create_segment_export`") {
		t.Errorf("a deleted file: %d, %s", p.Count, p.Next)
	}
}
