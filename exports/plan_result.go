package exports

import (
	"fmt"
	"math"
	"strings"
	"time"

	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

const (
	// unevenLimit is the most uneven chunks that a result lists. Clocks change twice a
	// year, so that ten years fit.
	unevenLimit = 20
	// fullPage is the most chunks of a page on which chunks have rows or a why, so that
	// it is not larger than a page of 500 chunks without them.
	fullPage = 400
)

// result describes the plan, with the chunks of one page.
func (p *planning) result() Planned {
	local := func(t time.Time) string { return plan.Stamp(t.In(p.calendar.Zone)) }
	out := Planned{
		Chunks: []PlannedChunk{}, Count: p.plan.Count(), Uneven: []UnevenChunk{},
		Range: PlannedRange{
			Start: local(p.whole.Start), End: local(p.whole.End),
			StartUTC: p.whole.Start.UTC().Format(time.RFC3339Nano), EndUTC: p.whole.End.UTC().Format(time.RFC3339Nano),
			Timezone: p.calendar.Zone.String(),
		},
	}
	if p.targetRows() == 0 {
		out.Range.Chunk = p.chunk.String()
	}
	limit := p.in.Limit
	if p.profile != nil || p.in.MissingFrom != "" {
		limit = min(limit, fullPage)
	}
	for _, chunk := range p.plan.Page(p.in.Offset, limit) {
		c := PlannedChunk{Index: chunk.Index, Start: local(chunk.Start), End: local(chunk.End), Hours: hours(chunk.Hours())}
		if p.profile != nil {
			c.Rows = rounded(p.profile.Rows(plan.Range{Start: chunk.Start, End: chunk.End}).Rows)
		}
		if len(plan.NewWindows(plan.Range{Start: chunk.Start, End: chunk.End}).Without(p.provisional)) == 0 {
			c.Why = "provisional"
		}
		out.Chunks = append(out.Chunks, c)
	}
	notes := p.plan.Uneven()
	for _, n := range notes[:min(len(notes), unevenLimit)] {
		out.Uneven = append(out.Uneven, UnevenChunk{n.Index, n.Date, hours(n.Hours), n.Reason})
	}
	out.HasMore = p.in.Offset+len(out.Chunks) < p.plan.Count()
	out.Estimate = p.estimate()
	subject := preflight.Subject{
		Request: p.request, Range: p.whole, Files: p.plan.Count(), Longest: p.plan.Longest(),
		Role: p.role, Now: p.now, Skew: p.skew,
	}
	if out.Estimate != nil {
		subject.Size = out.Estimate.Megabytes
	}
	out.Warnings = preflight.Lint(subject)
	out.Summary = p.summary(out, notes)
	out.Next = p.next(out)
	return out
}

// estimate returns the expected size of all chunks, by measured stored files; nil if
// there are none.
func (p *planning) estimate() *Estimate {
	if p.profile == nil {
		return nil
	}
	var sum plan.Estimate
	for _, w := range p.windows {
		e := p.profile.Rows(w)
		sum.Rows, sum.Low, sum.High = sum.Rows+e.Rows, sum.Low+e.Low, sum.High+e.High
	}
	zone := p.calendar.Zone
	e := &Estimate{
		Rows: rounded(sum.Rows), Low: rounded(sum.Low), High: rounded(sum.High),
		Megabytes: math.Round(sum.Rows*p.profile.RowSize/1e4) / 100,
		Basis: fmt.Sprintf("%s measured in %s between %s and %s",
			Counted(p.profile.Hours, "hour"), Counted(p.profile.Files, "stored file"),
			p.profile.From.In(zone).Format(time.DateOnly), p.profile.To.In(zone).Format(time.DateOnly)),
	}
	if p.pace.Known() {
		e.Seconds = rounded(p.pace.Of(p.plan.Count(), sum.Rows).Seconds())
	}
	return e
}

// summary describes the plan in a sentence, such as "92 chunks of one day from 2026-10-01
// to 2027-01-01 Europe/Berlin; 2026-10-25 has 25 hours."
func (p *planning) summary(out Planned, notes []plan.Note) string {
	hoursOf := func(w plan.Windows) string { return fmt.Sprintf("%v hours", hours(w.Length().Hours())) }
	whole := plan.NewWindows(p.whole)
	if out.Count == 0 {
		return fmt.Sprintf("Nothing is missing: all %s of the range are stored and settled.", hoursOf(whole))
	}
	what := chunksOf(out.Count, out.Range.Chunk)
	if out.Range.Chunk == "" {
		what = fmt.Sprintf("%s of about %d rows", Counted(out.Count, "chunk"), rounded(p.targetRows()))
	}
	text := fmt.Sprintf("%s from %s to %s %s",
		what, dateOrTime(out.Range.Start), dateOrTime(out.Range.End), out.Range.Timezone)
	if p.in.MissingFrom != "" {
		unsettled := p.windows.Without(p.windows.Without(p.provisional))
		text += fmt.Sprintf(", for the %v of its %s that are not stored and settled",
			hours(p.windows.Length().Hours()), hoursOf(whole))
		if len(unsettled) > 0 {
			text += fmt.Sprintf("; %s were exported under 24 hours after their end", hoursOf(unsettled))
		}
		text += p.goneText()
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
		text += "; by the day, because there is no stored export of these rows to measure"
	}
	return text + "."
}

// goneText says that files are not where they were stored; "" if all are.
func (p *planning) goneText() string {
	switch {
	case p.gone == 0:
		return ""
	case p.goneOfBulk:
		return "; " + damagedText(p.gone) + " (`control_bulk_export` with " + againText(p.gone) + ")"
	}
	return "; " + damagedText(p.gone)
}

// chunksOf writes a number of chunks of a granularity, such as "31 chunks of one day" or
// "4 chunks of PT6H".
func chunksOf(n int, length string) string {
	if !strings.HasPrefix(strings.ToUpper(length), "P") {
		length = "one " + length
	}
	return Counted(n, "chunk") + " of " + length
}

// sizesUnknown reports whether a target size was given, but no sizes are known.
func (p *planning) sizesUnknown() bool {
	return (p.in.TargetRows > 0 || p.in.TargetMB > 0) && p.targetRows() == 0
}

// next returns the next step after the plan.
func (p *planning) next(out Planned) string {
	switch end := p.in.Offset + len(out.Chunks); {
	case out.Count == 0:
		return ""
	case p.sizesUnknown():
		week, err := plan.Resolve("now-8d/d", "now-1d/d", p.calendar, p.now)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("To learn sizes, export a week of the same segment and type (`create_segment_export` with "+
			"`time_range` %s to %s, then `download_export`) and plan again; even a day helps.",
			plan.Stamp(week.Start), plan.Stamp(week.End))
	case len(out.Chunks) == 0:
		return fmt.Sprintf("`offset` is beyond the last chunk, which has the index %d.", out.Count-1)
	case out.HasMore:
		return fmt.Sprintf("Call again with `offset` %d and the same other arguments for more chunks; give range.start and "+
			"range.end as `time_range`.", end)
	}
	return "Export each chunk with `create_segment_export`, its start and end as `time_range`."
}

// dateOrTime returns the date of a stamp at midnight, and any other stamp unchanged.
func dateOrTime(stamp string) string {
	date, clock, _ := strings.Cut(stamp, "T")
	if strings.HasPrefix(clock, "00:00:00") && !strings.HasPrefix(clock, "00:00:00.") {
		return date
	}
	return stamp
}

// hours rounds to a third of a second, so that a result shows no errors of arithmetic.
func hours(h float64) float64 { return math.Round(h*1e4) / 1e4 }

func rounded(x float64) int64 { return int64(math.Round(x)) }
