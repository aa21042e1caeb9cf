package command

import (
	"encoding/json"
	"math"
	"sort"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
)

// sized is a plan as plan_time_chunks tells it.
type sized struct {
	Summary, Next string
	Count         int
	HasMore       bool `json:"has_more"`
	Chunks        []struct {
		window
		Hours float64
		Rows  int64
		Why   string
	}
	Estimate *struct {
		Rows, Low, High int64
		Megabytes       float64
		Seconds         int64
		Basis           string
	}
	Warnings []struct{ Code string }
}

// plan calls plan_time_chunks page by page.
func (c *conversation) plan(args map[string]any) (all sized) {
	c.t.Helper()
	args["limit"] = 500
	if text, _ := c.try("plan_time_chunks", args); len(text) > 60_000 {
		c.t.Errorf("a full page takes %d bytes", len(text))
	}
	delete(args, "limit")
	for {
		args["offset"] = len(all.Chunks)
		var page sized
		c.call("plan_time_chunks", args, &page)
		page.Chunks = append(all.Chunks, page.Chunks...)
		if all = page; !page.HasMore {
			return all
		}
	}
}

// TestTargetRows plans thirty days by size after a week of history, and counts
// what the chunks hold.
func TestTargetRows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		zone, density, segment string
		week, month            window
		targets                []int // of 3 and of 1.5 busy hours, and of a day
	}{
		{"UTC", "600", "everyone", window{"2026-09-28", "2026-10-05"}, window{"2026-10-05", "2026-11-04"}, []int{3000, 1500, 14000}},
		{"America/New_York", "600", "everyone", window{"2026-10-12", "2026-10-19"}, window{"2026-08-01", "2026-08-31"}, []int{3000, 1500, 14000}},
		{"Asia/Kolkata", "2000", "Signed-in customers", window{"2026-10-12", "2026-10-19"}, window{"2026-09-01", "2026-10-01"}, []int{4500, 2300, 21000}},
	} {
		c := converse(t, nil, simulated(t, "--sandbox-density", test.density)...)
		request := map[string]any{"segment_id": test.segment, "type": "TYPE_EVENT", "timezone": test.zone, "time_range": test.week, "segment_time_range": test.week}
		args := map[string]any{"segment_id": test.segment, "type": "TYPE_EVENT", "timezone": test.zone, "time_range": test.month, "target_rows": 5000}
		if before := c.plan(args); before.Count != 30 || before.Estimate != nil {
			t.Errorf("without history: %d chunks, estimate %v: %s %s", before.Count, before.Estimate, before.Summary, before.Next)
		}
		c.export(request)
		var plans []sized
		for _, target := range test.targets {
			args["target_rows"] = target
			plans = append(plans, c.plan(args))
		}
		request["time_range"], request["segment_time_range"] = test.month, test.month
		request["fields"] = []string{"EventStart"}
		rows, month := c.export(request)
		at := make([]time.Time, 0, len(rows))
		for _, row := range rows {
			var r struct{ EventStart time.Time }
			if err := json.Unmarshal([]byte(row), &r); err != nil {
				t.Fatal(err)
			}
			at = append(at, r.EventStart)
		}
		sort.Slice(at, func(i, j int) bool { return at[i].Before(at[j]) })
		for n, target := range test.targets {
			p := plans[n]
			good, held := 0, 0
			for i, chunk := range p.Chunks {
				from, to := instantOf(t, chunk.Start), instantOf(t, chunk.End)
				if i > 0 && chunk.Start != p.Chunks[i-1].End || to.Sub(from) < 15*time.Minute {
					t.Errorf("chunk %d is from %s to %s", i, chunk.Start, chunk.End)
				}
				count := sort.Search(len(at), func(i int) bool { return !at[i].Before(to) }) - sort.Search(len(at), func(i int) bool { return !at[i].Before(from) })
				held += count
				if math.Abs(math.Log(float64(count)/float64(target))) <= math.Log(1.5) {
					good++
				}
			}
			t.Logf("%s, %s: %d rows, %d of %d chunks within 1.5 of %v: %s (%+v)", test.zone, test.segment, len(at), good, p.Count, target, p.Summary, *p.Estimate)
			if good*10 < p.Count*9 || held != int(month.Rows) {
				t.Errorf("%d of %d chunks are within 1.5 of %v rows; they hold %d of %d", good, p.Count, target, held, month.Rows)
			}
			if int64(held) < p.Estimate.Low || int64(held) > p.Estimate.High {
				t.Errorf("%d rows are outside the estimate %+v", held, *p.Estimate)
			}
		}
	}
}

func instantOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestMissingFrom exports some days, one of them too early, and plans the rest.
func TestMissingFrom(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	export := func(from, to string) string {
		var made created
		c.call("create_segment_export", map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{from, to}}, &made)
		var d downloaded
		for d.State != "stored" {
			c.call("download_export", map[string]any{"operation_id": made.OperationID, "wait_seconds": 10}, &d)
		}
		return made.OperationID
	}
	first := export("2026-11-01", "2026-11-02")
	export("2026-11-03", "2026-11-04")
	export("2026-11-04", "2026-11-05") // twelve hours ago
	days := window{"2026-11-01", "2026-11-05"}
	for _, test := range []struct{ from, want, says string }{
		{"*", "2026-11-02 2026-11-04 provisional", "2 day chunks from 2026-11-01 to 2026-11-05 UTC, for the 48 of its 96 hours that are not stored and settled; 24 hours were exported under 24 hours after their end."},
		{first, "2026-11-02 2026-11-03 2026-11-04", "3 day chunks from 2026-11-01 to 2026-11-05 UTC, for the 72 of its 96 hours that are not stored and settled."},
		{archive.OperationFolder(first), "2026-11-02 2026-11-03 2026-11-04", "3 day chunks"},
	} {
		args := map[string]any{"segment_id": "everyone", "time_range": days, "missing_from": test.from} // the type is TYPE_EVENT
		p := c.plan(args)
		var got []string
		for _, chunk := range p.Chunks {
			got = append(got, strings.TrimSpace(chunk.Start[:10]+" "+chunk.Why))
		}
		if strings.Join(got, " ") != test.want || !strings.HasPrefix(p.Summary, test.says) {
			t.Errorf("missing from %s: got %q, %s\nwant %s, %s", test.from, got, p.Summary, test.want, test.says)
		}
	}
	if p := c.plan(map[string]any{"time_range": window{"2026-11-01", "2026-11-02"}, "missing_from": first}); p.Count != 0 || p.Summary != "Nothing is missing: all 24 hours of the range are stored and settled." {
		t.Errorf("of what is stored %d chunks are missing: %s", p.Count, p.Summary)
	}
	if p := c.plan(map[string]any{"time_range": days, "segment_id": "everyone", "type": "TYPE_SESSIONS", "missing_from": "*"}); p.Count != 4 {
		t.Errorf("of other rows %d days are missing, want 4", p.Count)
	}
	c.refused("plan_time_chunks", map[string]any{"time_range": days, "missing_from": "september"}, "missing_from: nothing stored here is named \"september\"")
	c.refused("plan_time_chunks", map[string]any{"time_range": days, "missing_from": "*"}, "segment_id: ")
	c.refused("plan_time_chunks", map[string]any{"time_range": days, "target_rows": 5}, "segment_id: a target size needs it")
	c.refused("plan_time_chunks", map[string]any{"time_range": days, "target_rows": 5, "chunk": "day", "segment_id": "everyone"}, "chunk: a target size is given as well")
	c.refused("plan_time_chunks", map[string]any{"time_range": days, "target_rows": 5, "target_megabytes": 1, "segment_id": "everyone"}, "target_megabytes: target_rows is given as well")
	c.refused("plan_time_chunks", map[string]any{"time_range": days, "target_rows": 5, "type": "TYPE_INDIVIDUAL", "segment_id": "everyone"}, "type: rows of individuals do not add up")
	c.refused("plan_time_chunks", map[string]any{"time_range": days, "segment_id": "Chekout visitors"}, "Checkout visitors")
}
