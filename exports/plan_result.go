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
		Chunks: []PlannedChunk{}, Count: p.plan.Count(), Uneven: []UnevenChunk{}, Today: p.today,
		Range: PlannedRange{
			Start: local(p.whole.Start), End: local(p.whole.End),
			StartUTC: p.whole.Start.UTC().Format(time.RFC3339Nano), EndUTC: p.whole.End.UTC().Format(time.RFC3339Nano),
			Timezone: p.calendar.Zone.String(),
		},
	}
	if p.by.target(p.profile) == 0 {
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
	sizing := p.by.sizing(p.profile)
	if p.sizesUnknown() { // the summary says so
		sizing = preflight.ByTime
		out.Chunks, out.Uneven, out.HasMore = []PlannedChunk{}, []UnevenChunk{}, false
	}
	out.Estimate = p.estimate(p.windows, p.plan.Count())
	subject := preflight.Subject{
		Request: p.request, Range: p.whole, Cut: true, Files: p.plan.Count(),
		Role: p.role, Now: p.now, Skew: p.skew, Sizing: sizing, Budget: p.budget,
	}
	if out.Estimate != nil {
		subject.Size = out.Estimate.Megabytes
	}
	out.Warnings = preflight.Lint(subject)
	out.Summary = sentences(p.summary(out, notes), p.todayText())
	out.Next = unlessBlocked(out.Warnings, p.next(out))
	return out
}

// summary describes the plan in a sentence, such as "92 chunks of one day from 2026-10-01
// to 2027-01-01 Europe/Berlin; 2026-10-25 has 25 hours."
func (p *planning) summary(out Planned, notes []plan.Note) string {
	hoursOf := func(w plan.Windows) string { return fmt.Sprintf("%v hours", shortHours(w.Length().Hours())) }
	whole := plan.NewWindows(p.whole)
	if out.Count == 0 {
		return fmt.Sprintf("Nothing is missing: all %s of the range are stored and settled.", hoursOf(whole))
	}
	text := fmt.Sprintf("%s from %s to %s %s", p.by.count(out.Count, p.profile),
		dateOrTime(out.Range.Start), dateOrTime(out.Range.End), out.Range.Timezone)
	if p.in.MissingFrom != "" {
		unsettled := p.windows.Without(p.windows.Without(p.provisional))
		text += fmt.Sprintf(", for the %v of its %s that are not stored and settled",
			shortHours(p.windows.Length().Hours()), hoursOf(whole))
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
		text += "; by the day, and not listed, because there is no stored export of these rows to measure sizes by"
	}
	text += "."
	if p.in.MissingFrom != "" {
		text += " To export: " + p.partsText() + "."
	}
	if out.Estimate == nil && p.limit > 0 && p.in.SegmentID != "" && !p.sizesUnknown() {
		text += " " + unmeasured
	}
	return text
}

// unmeasured is about exports without an estimate.
const unmeasured = "How large it is and how long it takes is not known: no such export is stored to measure."

// partsText lists the parts of the range that are to be exported.
func (p *planning) partsText() string {
	var parts []string
	for _, w := range p.windows[:min(len(p.windows), partLimit)] {
		parts = append(parts, dateOrTime(p.stamp(w.Start))+" to "+dateOrTime(p.stamp(w.End)))
	}
	text := strings.Join(parts, ", ")
	if rest := len(p.windows) - len(parts); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
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

// shortHours rounds for a sentence: to a tenth of an hour, or less if there are few.
func shortHours(h float64) float64 {
	if h < 10 {
		return hours(h)
	}
	return math.Round(h*10) / 10
}

func rounded(x float64) int64 { return int64(math.Round(x)) }
