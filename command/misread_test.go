package command

import (
	"slices"
	"strings"
	"testing"
)

// step is a result, as far as a literal reader takes the next call from it.
type step struct {
	Summary, Next string
	BulkID        string `json:"bulk_id"`
	State         string
	Reused        bool
	Bulks         []struct{ Next string }
	Range         window
	Warnings      []struct{ Code, Message, Fix string }
}

func (c *conversation) step(tool string, args map[string]any) (s step) {
	c.t.Helper()
	c.call(tool, args, &s)
	return s
}

// says reports whether text has every part, and none that begins with an exclamation mark.
func says(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		not, absent := strings.CutPrefix(part, "!")
		if strings.Contains(text, not) == absent {
			t.Errorf("%s says %q, want %q", what, text, part)
		}
	}
}

// TestEveryProblemAtOnce has a zone, a range and a segment that are all wrong.
func TestEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	wrong := map[string]any{
		"segment_id": "Chekout visitor", "type": "TYPE_EVENT", "timezone": "Madrid", "time_range": window{Start: "la semana"},
	}
	for _, tool := range []string{"create_segment_export", "start_bulk_export"} {
		c.rejected(tool, wrong, "did you mean Europe/Madrid", `time_range.start: got "la semana"`,
			`segment_id: no segment has the id or name "Chekout visitor". Near ones: "Checkout visitors"`)
		c.rejected(tool, with(wrong, map[string]any{"timezone": "UTC"}), `time_range.start: got "la semana"`, "segment_id: ")
	}
	c.rejected("plan_time_chunks", map[string]any{"time_range": window{Start: "2026"}}, "write 2026-01-01 as the start")
	c.rejected("plan_time_chunks", map[string]any{"time_range": window{Start: "since spring"}}, "and now as the end")
	c.rejected("create_segment_export", with(octoberFirst, map[string]any{
		"segment_id": "https://app.fullstory.com/ui/OTHER/segments/zz81RtIU1Rw8/people",
	}), "no segment has the id or name", "The link is of the organisation OTHER, and the API key is of SANDBOX")
}

// TestNearSegments looks for a name with a typing error.
func TestNearSegments(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	near := c.step("list_segments", map[string]any{"query": "Chekout"})
	says(t, "list_segments", near.Summary, "No segment matches", `"Checkout visitors" (tz81RtIU1Rw8)`)
	says(t, "list_segments", c.step("list_segments", map[string]any{"query": "all users"}).Summary, "!Near")
}

// TestFieldsInOtherWords names columns as a person does.
func TestFieldsInOtherWords(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	dry := c.step("create_segment_export", with(octoberFirst, map[string]any{
		"dry_run": true, "fields": []string{"time", "e-mail", "PageUrl"},
	}))
	says(t, "a dry run with unknown columns", dry.Next, "Correct `fields`")
	var fixes []string
	for _, w := range dry.Warnings {
		if w.Code == "unknown_field" {
			fixes = append(fixes, w.Fix)
		}
	}
	if !slices.Equal(fixes, []string{"Did you mean EventStart?", "Did you mean UserEmail?"}) {
		t.Errorf("the remedies are %q", fixes)
	}
}
