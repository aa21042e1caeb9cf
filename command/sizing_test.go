package command

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
)

// sized is the result of plan_time_chunks.
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

// plan calls plan_time_chunks and collects the chunks of all pages.
func (c *conversation) plan(args map[string]any) (all sized) {
	c.t.Helper()
	args["limit"] = 500
	if text, _ := c.try("plan_time_chunks", args); len(text) > 60_000 {
		c.t.Errorf("a full page has %d bytes, want at most 60000", len(text))
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

// sizing is a segment that is planned by size.
type sizing struct {
	zone, density, segment string
	week, month            window // of the history, and of the plan
	targets                []int  // rows of 3 and of 1.5 busy hours, and of a day
}

var sizings = []sizing{
	{
		"UTC", "400", "everyone",
		window{"2026-09-28", "2026-10-05"}, window{"2026-10-05", "2026-11-04"}, []int{2000, 1000, 9400},
	},
	{
		"America/New_York", "600", "everyone",
		window{"2026-10-12", "2026-10-19"}, window{"2026-08-01", "2026-08-31"}, []int{3000, 1500, 14000},
	},
	{
		"Asia/Kolkata", "2000", "Signed-in customers",
		window{"2026-10-12", "2026-10-19"}, window{"2026-09-01", "2026-10-01"}, []int{4500, 2300, 21000},
	},
}

// TestTargetRows plans thirty days by size after a week of history, and compares
// the chunks with the rows that the days have: in one zone, or in all with -slow.
func TestTargetRows(t *testing.T) {
	t.Parallel()
	tested := sizings
	if !*slow {
		tested = sizings[:1]
	}
	for _, s := range tested {
		c := converse(t, nil, simulated(t, "--sandbox-density", s.density)...)
		args := s.request(s.month)
		args["target_rows"] = 5000
		if before := c.plan(args); before.Count != 30 || before.Estimate != nil {
			t.Errorf("without history: %d chunks, estimate %v: %s %s",
				before.Count, before.Estimate, before.Summary, before.Next)
		}
		history := s.request(s.week)
		history["segment_time_range"] = s.week
		c.export(history)
		var plans []sized
		for _, target := range s.targets {
			args["target_rows"] = target
			plans = append(plans, c.plan(args))
		}
		events := c.eventsOf(s)
		for i, target := range s.targets {
			t.Logf("%s, %s:", s.zone, s.segment)
			plans[i].check(t, target, events)
		}
	}
}

// request returns the arguments that select the segment over a range.
func (s sizing) request(over window) map[string]any {
	return map[string]any{
		"segment_id": s.segment, "type": "TYPE_EVENT", "timezone": s.zone, "time_range": over,
	}
}

// eventsOf exports the month, and returns the times of its events in order.
func (c *conversation) eventsOf(s sizing) (at []time.Time) {
	c.t.Helper()
	request := s.request(s.month)
	request["segment_time_range"], request["fields"] = s.month, []string{"EventStart"}
	rows, month := c.export(request)
	if int64(len(rows)) != month.Rows {
		c.t.Errorf("%d rows of a month, want %d", len(rows), month.Rows)
	}
	for _, row := range rows {
		var r struct{ EventStart time.Time }
		if err := json.Unmarshal([]byte(row), &r); err != nil {
			c.t.Fatal(err)
		}
		at = append(at, r.EventStart)
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// check compares a plan with the times of all events of its range. The chunks must
// follow each other without gaps and hold all events; nine of ten must hold the
// target number of rows within a factor of 1.5.
func (p sized) check(t *testing.T, target int, events []time.Time) {
	t.Helper()
	index := func(at time.Time) int {
		i, _ := slices.BinarySearchFunc(events, at, time.Time.Compare)
		return i
	}
	good, held := 0, 0
	for i, chunk := range p.Chunks {
		from, to := instantOf(t, chunk.Start), instantOf(t, chunk.End)
		if i > 0 && chunk.Start != p.Chunks[i-1].End || to.Sub(from) < 15*time.Minute {
			t.Errorf("chunk %d is from %s to %s", i, chunk.Start, chunk.End)
		}
		count := index(to) - index(from)
		held += count
		if math.Abs(math.Log(float64(count)/float64(target))) <= math.Log(1.5) {
			good++
		}
	}
	t.Logf("%d rows, %d of %d chunks within 1.5 of %d: %s (%+v)",
		len(events), good, p.Count, target, p.Summary, *p.Estimate)
	if good*10 < p.Count*9 || held != len(events) {
		t.Errorf("%d of %d chunks are within 1.5 of %d rows; they hold %d of %d",
			good, p.Count, target, held, len(events))
	}
	if int64(held) < p.Estimate.Low || int64(held) > p.Estimate.High {
		t.Errorf("%d rows are outside the estimate %+v", held, *p.Estimate)
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

// TestMissingFrom exports some days, one of them before it is settled, and plans
// what is missing.
func TestMissingFrom(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	export := func(from, to string) string {
		var made created
		c.call("create_segment_export", map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{from, to},
		}, &made)
		if d := c.download(made.OperationID); d.State != "stored" {
			t.Fatalf("the file from %s to %s is %s: %s", from, to, d.State, d.Error)
		}
		return made.OperationID
	}
	first := export("2026-11-01", "2026-11-02")
	export("2026-11-03", "2026-11-04")
	export("2026-11-04", "2026-11-05") // twelve hours ago
	days := window{"2026-11-01", "2026-11-05"}
	for _, test := range []struct{ from, want, says string }{
		{
			"*", "2026-11-02 2026-11-04 provisional",
			"2 chunks of one day from 2026-11-01 to 2026-11-05 UTC, for the 48 of its 96 hours that are not stored and " +
				"settled; 24 hours were exported under 24 hours after their end.",
		},
		{
			first, "2026-11-02 2026-11-03 2026-11-04",
			"3 chunks of one day from 2026-11-01 to 2026-11-05 UTC, for the 72 of its 96 hours that are not stored and settled.",
		},
		{archive.OperationFolder(first), "2026-11-02 2026-11-03 2026-11-04", "3 chunks of one day"},
	} {
		// The type defaults to TYPE_EVENT.
		args := map[string]any{"segment_id": "everyone", "time_range": days, "missing_from": test.from}
		p := c.plan(args)
		var got []string
		for _, chunk := range p.Chunks {
			got = append(got, strings.TrimSpace(chunk.Start[:10]+" "+chunk.Why))
		}
		if strings.Join(got, " ") != test.want || !strings.HasPrefix(p.Summary, test.says) {
			t.Errorf("missing from %s: got %q, %s\nwant %s, %s", test.from, got, p.Summary, test.want, test.says)
		}
	}
	p := c.plan(map[string]any{"time_range": window{"2026-11-01", "2026-11-02"}, "missing_from": first})
	const want = "Nothing is missing: all 24 hours of the range are stored and settled. Simulated data."
	if p.Count != 0 || p.Summary != want {
		t.Errorf("%d chunks of a stored day are missing: %s", p.Count, p.Summary)
	}
	p = c.plan(map[string]any{
		"time_range": days, "segment_id": "everyone", "type": "TYPE_SESSIONS", "missing_from": "*",
	})
	if p.Count != 4 {
		t.Errorf("%d days of sessions are missing, want 4", p.Count)
	}
	c.rejected("plan_time_chunks", map[string]any{
		"time_range": days, "missing_from": "september",
	}, "missing_from: nothing stored here is named \"september\"")
	c.rejected("plan_time_chunks", map[string]any{"time_range": days, "missing_from": "*"}, "segment_id: ")
	c.rejected("plan_time_chunks", map[string]any{
		"time_range": days, "target_rows": 5,
	}, "segment_id: a target size needs it")
	c.rejected("plan_time_chunks", map[string]any{
		"time_range": days, "target_rows": 5, "chunk": "day", "segment_id": "everyone",
	}, "chunk: a target size is given as well")
	c.rejected("plan_time_chunks", map[string]any{
		"time_range": days, "target_rows": 5, "target_megabytes": 1, "segment_id": "everyone",
	}, "target_megabytes: `target_rows` is given as well")
	c.rejected("plan_time_chunks", map[string]any{
		"time_range": days, "target_rows": 5, "type": "TYPE_INDIVIDUAL", "segment_id": "everyone",
	}, "type: rows of individuals do not add up")
	c.rejected("plan_time_chunks", map[string]any{
		"time_range": days, "segment_id": "Chekout visitors",
	}, "Checkout visitors")
}
