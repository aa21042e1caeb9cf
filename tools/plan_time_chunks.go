package tools

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

type planIn struct {
	TimeRange client.TimeRange `json:"time_range" jsonschema_description:"The range to cut. Both ends are needed, except after a period as start."`
	Chunk     string           `json:"chunk,omitempty" jsonschema:"maxLength=64,default=day" jsonschema_description:"hour, day, week (ISO, from Monday), month, quarter: by the calendar of timezone. Or an ISO 8601 duration of elapsed time such as PT6H."`
	Timezone  string           `json:"timezone,omitempty" jsonschema:"maxLength=64" jsonschema_description:"IANA zone of dates and calendar chunks. Default: the server's, UTC unless set."`
	WeekStart string           `json:"week_start,omitempty" jsonschema:"enum=monday,enum=sunday,default=monday" jsonschema_description:"Day on which weeks begin."`
	Align     *bool            `json:"align,omitempty" jsonschema:"default=true" jsonschema_description:"true: cut where the calendar's days, weeks, months begin, so the first and last chunk may be clipped. false: count them from the start of the range."`
	Type      client.Type      `json:"type,omitempty" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_SESSIONS,enum=TYPE_INDIVIDUAL" jsonschema_description:"What will be exported, for its warnings."`
	Offset    int              `json:"offset,omitempty" jsonschema:"minimum=0,default=0" jsonschema_description:"Index of the first chunk to list."`
	Limit     int              `json:"limit,omitempty" jsonschema:"minimum=1,maximum=500,default=50" jsonschema_description:"Most chunks to list."`
}

type planOut struct {
	Summary  string              `json:"summary"`
	Chunks   []planChunk         `json:"chunks"`
	Count    int                 `json:"count" jsonschema_description:"Chunks in all."`
	Range    planRange           `json:"range"`
	Uneven   []planNote          `json:"uneven" jsonschema_description:"Days of other than 24 hours, and a first or last chunk that is clipped."`
	Warnings []preflight.Warning `json:"warnings"`
	HasMore  bool                `json:"has_more"`
	Next     string              `json:"next,omitempty"`
}

type planChunk struct {
	Index int     `json:"index"`
	Start string  `json:"start"`
	End   string  `json:"end" jsonschema_description:"Excluded; the start of the next chunk."`
	Hours float64 `json:"hours"`
}

type planRange struct {
	Start    string `json:"start"`
	End      string `json:"end"`
	StartUTC string `json:"start_utc"`
	EndUTC   string `json:"end_utc"`
	Timezone string `json:"timezone"`
	Chunk    string `json:"chunk"`
}

type planNote struct {
	Index  int     `json:"index"`
	Date   string  `json:"date,omitempty"`
	Hours  float64 `json:"hours"`
	Reason string  `json:"reason"`
}

// unevenLimit is the most notes of a result: a clock changes twice a year.
const unevenLimit = 20

func planTimeChunks(s Settings) Tool[planIn, planOut] {
	return Tool[planIn, planOut]{
		Name:        "plan_time_chunks",
		Title:       "Plan time chunks",
		Description: "Cuts a range into half-open chunks that tile it exactly, on the calendar of a time zone (days of 23 and 25 hours included) or by elapsed time. Each chunk's start and end fit create_segment_export as time_range. Starts nothing, asks Fullstory nothing and needs no key. Chunks of a day or less keep files of manageable size; smaller ones help when an export fails or is very large.",
		Effect:      Read,
		Call: func(_ context.Context, in planIn) (planOut, error) {
			if in.Timezone == "" {
				in.Timezone = s.zone()
			}
			zone, err := plan.Zone(in.Timezone)
			if err != nil {
				return planOut{}, err
			}
			now := s.Now()
			calendar := plan.Calendar{Zone: zone, Week: time.Monday}
			if in.WeekStart == "sunday" {
				calendar.Week = time.Sunday
			}
			r, rangeErr := preflight.ResolveRange("time_range", in.TimeRange, calendar, now)
			chunk, chunkErr := plan.ParseChunk(in.Chunk)
			if err := errors.Join(rangeErr, chunkErr); err != nil {
				return planOut{}, err
			}
			p, err := plan.Split(r, plan.Cut{Chunk: chunk, Calendar: calendar, FromStart: !*in.Align})
			if err != nil {
				return planOut{}, preflight.In("time_range", err)
			}
			out := planResult(p, chunk, r, zone, in)
			out.Warnings = append(out.Warnings, preflight.Window(r, now)...)
			if p.Count() > 1 {
				out.Warnings = append(out.Warnings, preflight.Chunked(in.Type)...)
			}
			return out, nil
		},
	}
}

func planResult(p *plan.Plan, chunk plan.Chunk, r plan.Range, zone *time.Location, in planIn) planOut {
	local := func(t time.Time) string { return t.In(zone).Format(time.RFC3339Nano) }
	out := planOut{
		Chunks: []planChunk{}, Count: p.Count(), Uneven: []planNote{}, Warnings: []preflight.Warning{},
		Range: planRange{
			Start: local(r.Start), End: local(r.End),
			StartUTC: r.Start.UTC().Format(time.RFC3339Nano), EndUTC: r.End.UTC().Format(time.RFC3339Nano),
			Timezone: zone.String(), Chunk: chunk.String(),
		},
	}
	for _, piece := range p.Page(in.Offset, in.Limit) {
		out.Chunks = append(out.Chunks, planChunk{piece.Index, local(piece.Start), local(piece.End), hours(piece.Hours())})
	}
	notes := p.Uneven()
	for _, n := range notes[:min(len(notes), unevenLimit)] {
		out.Uneven = append(out.Uneven, planNote{n.Index, n.Date, hours(n.Hours), n.Reason})
	}
	end := in.Offset + len(out.Chunks)
	out.HasMore = end < p.Count()
	out.Summary = planSummary(p.Count(), out.Range, notes)
	switch {
	case len(out.Chunks) == 0:
		out.Next = fmt.Sprintf("offset is beyond the last chunk, which has the index %d.", p.Count()-1)
	case out.HasMore:
		out.Next = fmt.Sprintf("Call again with offset %d and the same time_range, chunk and timezone for more chunks.", end)
	default:
		out.Next = "Export each chunk with create_segment_export, its start and end as time_range."
	}
	return out
}

// planSummary says a plan in a sentence, such as "92 day chunks from 2026-10-01
// to 2027-01-01 Europe/Berlin; 2026-10-25 has 25 hours."
func planSummary(count int, r planRange, notes []plan.Note) string {
	what := counted(count, r.Chunk+" chunk")
	if strings.HasPrefix(r.Chunk, "P") {
		what = counted(count, "chunk") + " of " + r.Chunk
	}
	text := fmt.Sprintf("%s from %s to %s %s", what, dateOrTime(r.Start), dateOrTime(r.End), r.Timezone)
	var days []string
	for _, n := range notes {
		if n.Date != "" && n.Hours != 24 && len(days) < 4 {
			days = append(days, fmt.Sprintf("%s has %v hours", n.Date, hours(n.Hours)))
		}
	}
	if len(days) > 0 {
		text += "; " + strings.Join(days, ", ")
	}
	return text + "."
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
