package tools

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"fullstory-export-mcp/schema"
)

// planned calls plan_time_chunks at noon of 5 November 2026.
func planned(t *testing.T, args string) (out planOut, text string) {
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
	published, err := schema.Output[planOut]()
	if err != nil {
		t.Fatal(err)
	}
	if err := published.Validate(json.RawMessage(text)); err != nil {
		t.Errorf("%s: the result is not what was published: %v", args, err)
	}
	return out, text
}

func TestPlanTimeChunks(t *testing.T) {
	for _, test := range []struct {
		args, summary, first, last, uneven, warnings string
	}{
		{`{"time_range":{"start":"2026-10-01","end":"2027-01-01"},"limit":500}`, "92 day chunks from 2026-10-01 to 2027-01-01 Europe/Berlin; 2026-10-25 has 25 hours.", "2026-10-01T00:00:00+02:00", "2027-01-01T00:00:00+01:00", "24", "window_future"},
		{`{"time_range":{"start":"last_month"},"chunk":"week"}`, "5 week chunks from 2026-10-01 to 2026-11-01 Europe/Berlin; 2026-10-25 has 25 hours.", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00", "0 3 4", ""},
		{`{"time_range":{"start":"2026-10"},"chunk":"week","week_start":"sunday"}`, "5 week chunks from 2026-10-01 to 2026-11-01 Europe/Berlin; 2026-10-25 has 25 hours.", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00", "0 4", ""},
		{`{"time_range":{"start":"2026-10-01","end":"2026-10-15"},"chunk":"week","align":false}`, "2 week chunks from 2026-10-01 to 2026-10-15 Europe/Berlin.", "2026-10-01T00:00:00+02:00", "2026-10-15T00:00:00+02:00", "", ""},
		{`{"time_range":{"start":"2026-10-25"},"chunk":"PT10H"}`, "3 chunks of PT10H from 2026-10-25 to 2026-10-26 Europe/Berlin; 2026-10-25 has 25 hours.", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", "0 2", ""},
		{`{"time_range":{"start":"now-1d/h","end":"now"},"chunk":"hour","timezone":"utc","type":"TYPE_INDIVIDUAL"}`, "24 hour chunks from 2026-11-04T12:00:00Z to 2026-11-05T12:00:00Z UTC.", "2026-11-04T12:00:00Z", "2026-11-05T12:00:00Z", "", "window_unsettled individuals_chunked"},
		{`{"time_range":{"start":"2011-12-29","end":"2012-01-01"},"timezone":"Pacific/Apia"}`, "2 day chunks from 2011-12-29 to 2012-01-01 Pacific/Apia.", "2011-12-29T00:00:00-10:00", "2012-01-01T00:00:00+14:00", "1", ""},
	} {
		out, _ := planned(t, test.args)
		var indices, codes []string
		for _, n := range out.Uneven {
			indices = append(indices, string(rune('0' + n.Index/10))[:min(1, n.Index/10)]+string(rune('0'+n.Index%10)))
		}
		for _, w := range out.Warnings {
			codes = append(codes, w.Code)
		}
		if out.Summary != test.summary || strings.Join(indices, " ") != test.uneven || strings.Join(codes, " ") != test.warnings {
			t.Errorf("%s\ngot  %s uneven %q warnings %q\nwant %s uneven %q warnings %q", test.args, out.Summary, indices, codes, test.summary, test.uneven, test.warnings)
		}
		if out.Count != len(out.Chunks) || out.Chunks[0].Start != test.first || out.Chunks[out.Count-1].End != test.last || out.HasMore {
			t.Errorf("%s: %d of %d chunks from %s to %s", test.args, len(out.Chunks), out.Count, out.Chunks[0].Start, out.Chunks[len(out.Chunks)-1].End)
		}
	}
}

// TestPlanIsCompact bounds a day by the hour, and pages through a year.
func TestPlanIsCompact(t *testing.T) {
	if _, text := planned(t, `{"time_range":{"start":"2026-10-20"},"chunk":"hour"}`); len(text) > 3200 {
		t.Errorf("a day by the hour takes %d bytes, want at most 3200", len(text))
	}
	if _, text := planned(t, `{"time_range":{"start":"2020-01-01","end":"2026-01-01"},"limit":500}`); len(text) > 60_000 {
		t.Errorf("the largest page takes %d bytes, want at most 60000", len(text))
	}
	// The echoed range and chunk give the same chunks again.
	first, _ := planned(t, `{"time_range":{"start":"now-400d/d","end":"now/d"}}`)
	var starts []string
	for offset := 0; ; {
		args, err := json.Marshal(map[string]any{"time_range": map[string]string{"start": first.Range.Start, "end": first.Range.End}, "chunk": first.Range.Chunk, "timezone": first.Range.Timezone, "offset": offset})
		if err != nil {
			t.Fatal(err)
		}
		page, _ := planned(t, string(args))
		for _, c := range page.Chunks {
			if c.Index != len(starts) {
				t.Fatalf("chunk %d comes as number %d", c.Index, len(starts))
			}
			starts = append(starts, c.Start)
		}
		if offset += len(page.Chunks); !page.HasMore {
			break
		}
	}
	if len(starts) != 400 || first.Count != 400 || starts[0] != first.Chunks[0].Start || !slices.IsSorted(starts[:100]) {
		t.Errorf("%d chunks paged of %d", len(starts), first.Count)
	}
}
