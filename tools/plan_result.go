package tools

import (
	"fmt"
	"math"
	"strings"
	"time"

	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

const (
	// unevenLimit is the most notes of a result: a clock changes twice a year.
	unevenLimit = 20
	// fullPage is the most chunks of a page that tells more than their times.
	fullPage = 400
)

// result tells of the plan. It writes the chunks of one page and no others.
func (p *planning) result() planOut {
	local := func(t time.Time) string { return plan.Stamp(t.In(p.calendar.Zone)) }
	out := planOut{
		Chunks: []planChunk{}, Count: p.plan.Count(), Uneven: []planNote{},
		Range: planRange{
			Start: local(p.whole.Start), End: local(p.whole.End),
			StartUTC: p.whole.Start.UTC().Format(time.RFC3339Nano), EndUTC: p.whole.End.UTC().Format(time.RFC3339Nano),
			Timezone: p.calendar.Zone.String(),
		},
	}
	if p.targetRows() == 0 {
		out.Range.Chunk = p.chunk.String()
	}
	limit := p.in.Limit
	if p.rhythm != nil || p.in.MissingFrom != "" {
		limit = min(limit, fullPage)
	}
	for _, piece := range p.plan.Page(p.in.Offset, limit) {
		c := planChunk{Index: piece.Index, Start: local(piece.Start), End: local(piece.End), Hours: hours(piece.Hours())}
		if p.rhythm != nil {
			c.Rows = rounded(p.rhythm.Rows(plan.Range{Start: piece.Start, End: piece.End}).Rows)
		}
		if len(plan.NewWindows(plan.Range{Start: piece.Start, End: piece.End}).Without(p.provisional)) == 0 {
			c.Why = "provisional"
		}
		out.Chunks = append(out.Chunks, c)
	}
	notes := p.plan.Uneven()
	for _, n := range notes[:min(len(notes), unevenLimit)] {
		out.Uneven = append(out.Uneven, planNote{n.Index, n.Date, hours(n.Hours), n.Reason})
	}
	out.HasMore = p.in.Offset+len(out.Chunks) < p.plan.Count()
	out.Estimate = p.estimate()
	out.Warnings = preflight.Lint(preflight.Subject{
		Request: p.request, Range: p.whole, Files: p.plan.Count(), Longest: p.plan.Longest(), Role: p.role, Now: p.now,
	})
	out.Summary = p.summary(out, notes)
	out.Next = p.next(out)
	return out
}

// estimate tells what the chunks hold, by what was measured.
func (p *planning) estimate() *planEstimate {
	if p.rhythm == nil {
		return nil
	}
	var sum plan.Estimate
	for _, w := range p.windows {
		e := p.rhythm.Rows(w)
		sum.Rows, sum.Low, sum.High = sum.Rows+e.Rows, sum.Low+e.Low, sum.High+e.High
	}
	zone := p.calendar.Zone
	e := &planEstimate{
		Rows: rounded(sum.Rows), Low: rounded(sum.Low), High: rounded(sum.High),
		Megabytes: math.Round(sum.Rows*p.rhythm.RowSize/1e4) / 100,
		Basis: fmt.Sprintf("%s measured in %s between %s and %s", counted(p.rhythm.Hours, "hour"), counted(p.rhythm.Files, "stored file"),
			p.rhythm.From.In(zone).Format(time.DateOnly), p.rhythm.To.In(zone).Format(time.DateOnly)),
	}
	if p.pace.Known() {
		e.Seconds = rounded(p.pace.Of(p.plan.Count(), sum.Rows).Seconds())
	}
	return e
}

// summary says a plan in a sentence, such as "92 day chunks from 2026-10-01 to
// 2027-01-01 Europe/Berlin; 2026-10-25 has 25 hours."
func (p *planning) summary(out planOut, notes []plan.Note) string {
	hoursOf := func(w plan.Windows) string { return fmt.Sprintf("%v hours", hours(w.Length().Hours())) }
	whole := plan.NewWindows(p.whole)
	if out.Count == 0 {
		return fmt.Sprintf("Nothing is missing: all %s of the range are stored and settled.", hoursOf(whole))
	}
	what := chunksOf(out.Count, out.Range.Chunk)
	if out.Range.Chunk == "" {
		what = fmt.Sprintf("%s of about %d rows", counted(out.Count, "chunk"), rounded(p.targetRows()))
	}
	text := fmt.Sprintf("%s from %s to %s %s", what, dateOrTime(out.Range.Start), dateOrTime(out.Range.End), out.Range.Timezone)
	if p.in.MissingFrom != "" {
		unsettled := p.windows.Without(p.windows.Without(p.provisional))
		text += fmt.Sprintf(", for the %v of its %s that are not stored and settled", hours(p.windows.Length().Hours()), hoursOf(whole))
		if len(unsettled) > 0 {
			text += fmt.Sprintf("; %s were exported under 24 hours after their end", hoursOf(unsettled))
		}
	}
	var days []string
	for _, n := range notes {
		if n.Date != "" && n.Hours != 24 && len(days) < 4 {
			days = append(days, fmt.Sprintf("%s has %v hours", n.Date, hours(n.Hours)))
		}
	}
	if len(days) > 0 {
		text += "; " + strings.Join(days, ", ")
	}
	if p.sizesUnknown() {
		text += "; by the day, because no stored export of these rows tells how many there are"
	}
	return text + "."
}

// chunksOf writes a number of chunks of a length, such as 31 day chunks, or 4
// chunks of PT6H.
func chunksOf(n int, length string) string {
	if strings.HasPrefix(strings.ToUpper(length), "P") {
		return counted(n, "chunk") + " of " + length
	}
	return counted(n, length+" chunk")
}

// sizesUnknown tells that a target was given in vain.
func (p *planning) sizesUnknown() bool {
	return (p.in.TargetRows > 0 || p.in.TargetMB > 0) && p.targetRows() == 0
}

func (p *planning) next(out planOut) string {
	switch end := p.in.Offset + len(out.Chunks); {
	case out.Count == 0:
		return ""
	case p.sizesUnknown():
		week, err := plan.Resolve("now-8d/d", "now-1d/d", p.calendar, p.now)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("To learn sizes, export a week of the same segment and type (create_segment_export with time_range %s to %s, then download_export) and plan again; even a day helps.",
			plan.Stamp(week.Start), plan.Stamp(week.End))
	case len(out.Chunks) == 0:
		return fmt.Sprintf("offset is beyond the last chunk, which has the index %d.", out.Count-1)
	case out.HasMore:
		return fmt.Sprintf("Call again with offset %d and the same other arguments for more chunks; give range.start and range.end as time_range.", end)
	}
	return "Export each chunk with create_segment_export, its start and end as time_range."
}

// dateOrTime leaves midnight out of a stamp.
func dateOrTime(stamp string) string {
	date, clock, _ := strings.Cut(stamp, "T")
	if strings.HasPrefix(clock, "00:00:00") && !strings.HasPrefix(clock, "00:00:00.") {
		return date
	}
	return stamp
}

func hours(h float64) float64 { return math.Round(h*1e4) / 1e4 }

func rounded(x float64) int64 { return int64(math.Round(x)) }
