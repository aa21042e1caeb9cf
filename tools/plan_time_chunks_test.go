package tools

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/schema"
)

// planned calls plan_time_chunks at noon of 5 November 2026, by a clock in Berlin.
func planned(t *testing.T, args string) (out exports.Planned, text string) {
	t.Helper()
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	all := listed(t, Settings{Now: func() time.Time { return now }, Zone: "Europe/Berlin"})
	i := slices.IndexFunc(all, func(d Declaration) bool { return d.Served.Tool.Name == "plan_time_chunks" })
	text, failed := callRaw(t, all[i], args)
	if failed {
		t.Fatalf("%s: %s", args, text)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	published, err := schema.Output[exports.Planned]()
	if err != nil {
		t.Fatal(err)
	}
	if err := published.Validate(json.RawMessage(text)); err != nil {
		t.Errorf("%s: the result does not fit the published schema: %v", args, err)
	}
	return out, text
}

func TestPlanTimeChunks(t *testing.T) {
	for _, test := range []planTest{
		{
			args:    `{"time_range":{"start":"2026-10-01","end":"2027-01-01"},"limit":500}`,
			summary: "92 chunks of one day from 2026-10-01 to 2027-01-01 Europe/Berlin; 2026-10-25 has 25 hours.",
			first:   "2026-10-01T00:00:00+02:00", last: "2027-01-01T00:00:00+01:00",
			uneven: "24", warnings: "window_future",
		},
		{
			args: `{"time_range":{"start":"last_month"},"chunk":"week"}`,
			summary: "5 chunks of one week from 2026-10-01 to 2026-11-01 Europe/Berlin; 2026-10-25 has 25 hours. " +
				"Today is 2026-11-05 in Europe/Berlin.",
			first: "2026-10-01T00:00:00+02:00", last: "2026-11-01T00:00:00+01:00",
			uneven: "0 3 4",
		},
		{
			args:    `{"time_range":{"start":"2026-10"},"chunk":"week","week_start":"sunday"}`,
			summary: "5 chunks of one week from 2026-10-01 to 2026-11-01 Europe/Berlin; 2026-10-25 has 25 hours.",
			first:   "2026-10-01T00:00:00+02:00", last: "2026-11-01T00:00:00+01:00",
			uneven: "0 4",
		},
		{
			args:    `{"time_range":{"start":"2026-10-01","end":"2026-10-15"},"chunk":"week","align":false}`,
			summary: "2 chunks of one week from 2026-10-01 to 2026-10-15 Europe/Berlin.",
			first:   "2026-10-01T00:00:00+02:00", last: "2026-10-15T00:00:00+02:00",
		},
		{
			args:    `{"time_range":{"start":"2026-10-25"},"chunk":"PT10H"}`,
			summary: "3 chunks of PT10H from 2026-10-25 to 2026-10-26 Europe/Berlin; 2026-10-25 has 25 hours.",
			first:   "2026-10-25T00:00:00+02:00", last: "2026-10-26T00:00:00+01:00",
			uneven: "0 2",
		},
		{
			args:    `{"time_range":{"start":"now-1d/h","end":"now"},"chunk":"hour","timezone":"utc","type":"TYPE_INDIVIDUAL"}`,
			summary: "24 chunks of one hour from 2026-11-04T12:00:00Z to 2026-11-05T12:00:00Z UTC. Today is 2026-11-05 in UTC.",
			first:   "2026-11-04T12:00:00Z", last: "2026-11-05T12:00:00Z",
			warnings: "window_unsettled individuals_chunked",
		},
		{
			args:    `{"time_range":{"start":"2011-12-29","end":"2012-01-01"},"timezone":"Pacific/Apia"}`,
			summary: "2 chunks of one day from 2011-12-29 to 2012-01-01 Pacific/Apia.",
			first:   "2011-12-29T00:00:00-10:00", last: "2012-01-01T00:00:00+14:00",
			uneven: "1",
		},
	} {
		test.check(t)
	}
}

// planTest is a call of plan_time_chunks and what its result contains.
type planTest struct {
	args, summary string
	first, last   string // the bounds of all chunks
	uneven        string // indices
	warnings      string // codes
}

func (test planTest) check(t *testing.T) {
	t.Helper()
	out, _ := planned(t, test.args)
	var indices, codes []string
	for _, n := range out.Uneven {
		indices = append(indices, strconv.Itoa(n.Index))
	}
	for _, w := range out.Warnings {
		codes = append(codes, w.Code)
	}
	uneven, warnings := strings.Join(indices, " "), strings.Join(codes, " ")
	if out.Summary != test.summary || uneven != test.uneven || warnings != test.warnings {
		t.Errorf("%s\ngot  %s uneven %q warnings %q\nwant %s uneven %q warnings %q", test.args,
			out.Summary, uneven, warnings, test.summary, test.uneven, test.warnings)
	}
	first, last := out.Chunks[0].Start, out.Chunks[len(out.Chunks)-1].End
	if out.Count != len(out.Chunks) || first != test.first || last != test.last || out.HasMore {
		t.Errorf("%s: %d of %d chunks from %s to %s", test.args, len(out.Chunks), out.Count, first, last)
	}
}

// TestPlanIsCompact bounds the size of results, and pages through more than a year.
func TestPlanIsCompact(t *testing.T) {
	if _, text := planned(t, `{"time_range":{"start":"2026-10-20"},"chunk":"hour"}`); len(text) > 3200 {
		t.Errorf("a day by the hour takes %d bytes, want at most 3200", len(text))
	}
	if _, text := planned(t, `{"time_range":{"start":"2020-01-01","end":"2026-01-01"},"limit":500}`); len(text) > 60_000 {
		t.Errorf("the largest page takes %d bytes, want at most 60000", len(text))
	}
	// The range and chunk of the result give the same chunks.
	first, _ := planned(t, `{"time_range":{"start":"now-400d/d","end":"now/d"}}`)
	var starts []string
	for offset := 0; ; {
		args, err := json.Marshal(map[string]any{
			"time_range": map[string]string{"start": first.Range.Start, "end": first.Range.End},
			"chunk":      first.Range.Chunk, "timezone": first.Range.Timezone, "offset": offset,
		})
		if err != nil {
			t.Fatal(err)
		}
		page, _ := planned(t, string(args))
		for _, c := range page.Chunks {
			if c.Index != len(starts) {
				t.Fatalf("got chunk %d, want %d", c.Index, len(starts))
			}
			starts = append(starts, c.Start)
		}
		if offset += len(page.Chunks); !page.HasMore {
			break
		}
	}
	if len(starts) != 400 || first.Count != 400 || starts[0] != first.Chunks[0].Start || !slices.IsSorted(starts[:100]) {
		t.Errorf("got %d chunks on all pages of %d", len(starts), first.Count)
	}
}
