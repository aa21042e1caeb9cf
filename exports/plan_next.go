package exports

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

// nextArguments are the arguments of a call that a plan suggests.
type nextArguments struct {
	SegmentID        string            `json:"segment_id,omitempty"`
	Type             client.Type       `json:"type,omitempty"`
	Scope            client.Scope      `json:"scope,omitempty"`
	TimeRange        client.TimeRange  `json:"time_range"`
	SegmentTimeRange *client.TimeRange `json:"segment_time_range,omitempty"`
	Timezone         string            `json:"timezone"`
	Chunk            string            `json:"chunk,omitempty"`
	TargetRows       int               `json:"target_rows,omitempty"`
	TargetMB         float64           `json:"target_megabytes,omitempty"`
}

// next returns the next step after the plan.
func (p *planning) next(out Planned) string {
	switch {
	case out.Count == 0:
		return ""
	case p.sizesUnknown():
		return p.nextSample(out)
	case len(out.Chunks) == 0:
		return fmt.Sprintf("`offset` is beyond the last chunk, which has the index %d.", out.Count-1)
	case out.Count == 1:
		return p.retryFirst() + "Export it: " + p.call("create_segment_export", p.windows[0], cut{}, out) + "."
	}
	text := p.retryFirst() + "Export it: " + p.call("start_bulk_export", p.windows[0], p.by, out)
	if preflight.Large(out.Warnings) != "" {
		text += ", first with `dry_run`, which returns the token for `confirm`"
	}
	text += "." + p.otherCut()
	if rest := p.windows[1:]; len(rest) > 0 {
		text += fmt.Sprintf(" Likewise %s more", Counted(len(rest), "part"))
		for i, w := range rest[:min(len(rest), partLimit)] {
			text += fmt.Sprintf("%s %s to %s", [...]string{":", ","}[min(i, 1)], p.stamp(w.Start), p.stamp(w.End))
		}
		text += "."
	}
	if out.HasMore {
		text += fmt.Sprintf(" To list more chunks, call again with `offset` %d, and range.start and range.end as "+
			"`time_range`.", p.in.Offset+len(out.Chunks))
	}
	return text
}

// partLimit is how many parts of a range, beside the first, the next step lists.
const partLimit = 4

// call describes a call of a tool that exports r, in chunks by by.
func (p *planning) call(tool string, r plan.Range, by cut, out Planned) string {
	given := nextArguments{
		SegmentID: p.request.SegmentID, Type: p.request.Type, Scope: p.request.Scope,
		TimeRange: client.TimeRange{Start: p.stamp(r.Start), End: p.stamp(r.End)}, Timezone: p.calendar.Zone.String(),
		Chunk: by.chunk, TargetRows: by.rows, TargetMB: by.megabytes,
	}
	if from := p.given; from.SegmentID != "" && from.SegmentID != preflight.Everyone {
		if given.SegmentTimeRange = from.SegmentTimeRange; given.SegmentTimeRange == nil {
			given.SegmentTimeRange = &client.TimeRange{Start: "own"}
		}
	}
	raw, err := json.Marshal(given)
	if err != nil {
		raw = nil // it contains only text and numbers
	}
	var missing []string
	add := func(name string, lacks bool) {
		if lacks {
			missing = append(missing, "`"+name+"`")
		}
	}
	add("segment_id", given.SegmentID == "")
	add("type", given.Type == "")
	add("segment_time_range", given.SegmentTimeRange == nil &&
		slices.ContainsFunc(out.Warnings, func(n preflight.Notice) bool { return n.Code == preflight.WindowRequired }))
	if !sameColumns(p.given, client.ExportRequest{}) {
		missing = append(missing, "the same `fields` and `format`")
	}
	text := fmt.Sprintf("`%s` with %s", tool, raw)
	if len(missing) > 0 {
		text += " and " + strings.Join(missing, ", ")
	}
	return text
}

// retryFirst names the action for chunks of a bulk export that failed or were deleted,
// if the plan is of what a bulk export lacks inside its own range; else "".
func (p *planning) retryFirst() string {
	own := plan.Range{Start: client.Instant(p.given.TimeRange.Start), End: client.Instant(p.given.TimeRange.End)}
	lacking := p.windows.Without(p.provisional)
	if !p.givenBulk || len(lacking) == 0 || lacking[0].Start.Before(own.Start) || !lacking[0].Start.Before(own.End) {
		return ""
	}
	return "Chunks of this bulk export that failed or whose files are missing: `control_bulk_export` with `retry_failed`. "
}

// otherCut says how start_bulk_export cuts the range, if the plan is cut in a way that
// it cannot; else "".
func (p *planning) otherCut() string {
	if p.by.sized() || *p.in.Align && p.calendar.Week == time.Monday {
		return ""
	}
	its := plan.Cut{Granularity: p.chunk, Calendar: plan.Calendar{Zone: p.calendar.Zone, Week: time.Monday}}
	other, err := p.windows.Each(func(r plan.Range) (*plan.Plan, error) { return plan.Split(r, its) })
	if err != nil || other.Equal(p.plan) {
		return ""
	}
	return fmt.Sprintf(" It cuts by the calendar, with weeks from Monday: %s.", p.by.count(other.Count(), nil))
}

// nextSample returns the next step of a plan by size without known sizes: an export of a
// part of the range, and then of all of it.
func (p *planning) nextSample(out Planned) string {
	sample, ok := p.sample()
	if !ok {
		hours := p.call("start_bulk_export", p.windows[0], cut{chunk: "hour"}, out)
		return "The range is too short to measure a part of it first. By the hour: " + hours + "."
	}
	return fmt.Sprintf("To learn sizes, export a part of the range: %s. Once that is complete, export all of it: %s. "+
		"Without sizes it would be cut by the day.",
		p.call("start_bulk_export", sample, cut{chunk: "day"}, out), p.call("start_bulk_export", p.whole, p.by, out))
}

const (
	sampleDays = 7  // every hour of the week
	manyDays   = 28 // the fewest days of a range of which sampleDays are a small part
)

// sample returns a part of the range whose export shows the sizes of the rest: the
// latest days that have settled, a week of a range of four weeks or more, else a day. ok
// is false if there is none. It is for plans by the day.
func (p *planning) sample() (r plan.Range, ok bool) {
	if p.plan.Count() < 2 {
		return r, false
	}
	settled := p.plan.Count()
	if c, ok := p.plan.After(p.now.Add(-preflight.Settled)); ok && c.Index > 0 {
		settled = c.Index
	}
	days := p.plan.Page(settled-sampleDays, min(settled, sampleDays))
	if p.plan.Count() >= manyDays && len(days) >= sampleDays {
		week := days[len(days)-sampleDays:]
		if r = (plan.Range{Start: week[0].Start, End: week[sampleDays-1].End}); connected(week) {
			return r, true
		}
	}
	last := days[len(days)-1]
	if len(days) > 1 && last.Hours() < days[len(days)-2].Hours() { // the clipped end of the range
		last = days[len(days)-2]
	}
	return plan.Range{Start: last.Start, End: last.End}, !last.Start.After(p.now)
}

// connected reports whether each chunk starts where the one before ends.
func connected(chunks []plan.Chunk) bool {
	for i := 1; i < len(chunks); i++ {
		if !chunks[i].Start.Equal(chunks[i-1].End) {
			return false
		}
	}
	return true
}

// stamp returns an instant in the zone of the plan.
func (p *planning) stamp(t time.Time) string { return plan.Stamp(t.In(p.calendar.Zone)) }
