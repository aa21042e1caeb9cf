package tools

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

type planIn struct {
	TimeRange   client.TimeRange `json:"time_range" jsonschema_description:"The range to cut, such as {\"start\":\"2026-10\"} or {\"start\":\"2026-09-01\",\"end\":\"now\"}."`
	Chunk       string           `json:"chunk,omitempty" jsonschema:"maxLength=64" jsonschema_description:"hour, day, week, month, quarter, or elapsed time such as PT6H. Default: day."`
	Timezone    string           `json:"timezone,omitempty" jsonschema:"maxLength=64" jsonschema_description:"IANA zone such as Europe/Berlin. Default: the server's."`
	WeekStart   string           `json:"week_start,omitempty" jsonschema:"enum=monday,enum=sunday,default=monday" jsonschema_description:"First day of weeks."`
	Align       *bool            `json:"align,omitempty" jsonschema:"default=true" jsonschema_description:"false: count from the start of the range."`
	TargetRows  int              `json:"target_rows,omitempty" jsonschema:"minimum=1" jsonschema_description:"Instead of chunk: about so many rows a file, such as 500000, by what stored exports of segment_id show."`
	TargetMB    float64          `json:"target_megabytes,omitempty" jsonschema:"minimum=0.001" jsonschema_description:"Likewise MB of the gzip file."`
	SegmentID   string           `json:"segment_id,omitempty" jsonschema:"maxLength=500" jsonschema_description:"Such as everyone: for warnings and sizes."`
	Type        client.Type      `json:"type,omitempty" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_SESSIONS,enum=TYPE_INDIVIDUAL" jsonschema_description:"What will be exported."`
	Scope       client.Scope     `json:"scope,omitempty" jsonschema:"enum=SCOPE_EVENTS,enum=SCOPE_PAGES,enum=SCOPE_SESSIONS,enum=SCOPE_INDIVIDUALS" jsonschema_description:"With TYPE_EVENT, such as SCOPE_SESSIONS."`
	MissingFrom string           `json:"missing_from,omitempty" jsonschema:"maxLength=500" jsonschema_description:"Plan only what these stored files lack or hold unsettled: a folder such as september, an operation_id, or * for all of the same rows."`
	Offset      int              `json:"offset,omitempty" jsonschema:"minimum=0,default=0" jsonschema_description:"First chunk to list."`
	Limit       int              `json:"limit,omitempty" jsonschema:"minimum=1,maximum=500,default=50" jsonschema_description:"Most chunks to list."`
}

type planOut struct {
	Summary  string              `json:"summary"`
	Chunks   []planChunk         `json:"chunks"`
	Count    int                 `json:"count"`
	Range    planRange           `json:"range"`
	Uneven   []planNote          `json:"uneven" schema:"brief" jsonschema_description:"Days of other than 24 hours, clipped ends."`
	Estimate *planEstimate       `json:"estimate,omitempty" schema:"brief" jsonschema_description:"rows of all chunks (9 of 10 times between low and high), megabytes, seconds (one export after another), basis."`
	Warnings []preflight.Warning `json:"warnings"`
	HasMore  bool                `json:"has_more"`
	Next     string              `json:"next,omitempty"`
}

type planChunk struct {
	Index int     `json:"index"`
	Start string  `json:"start"`
	End   string  `json:"end"`
	Hours float64 `json:"hours"`
	Rows  int64   `json:"rows,omitempty"`
	Why   string  `json:"why,omitempty"`
}

type planRange struct {
	Start    string `json:"start"`
	End      string `json:"end"`
	StartUTC string `json:"start_utc"`
	EndUTC   string `json:"end_utc"`
	Timezone string `json:"timezone"`
	Chunk    string `json:"chunk,omitempty"`
}

type planNote struct {
	Index  int     `json:"index"`
	Date   string  `json:"date,omitempty"`
	Hours  float64 `json:"hours"`
	Reason string  `json:"reason"`
}

type planEstimate struct {
	Rows      int64   `json:"rows"`
	Low       int64   `json:"low"`
	High      int64   `json:"high"`
	Megabytes float64 `json:"megabytes"`
	Seconds   int64   `json:"seconds,omitempty"`
	Basis     string  `json:"basis"`
}

func planTimeChunks(account func(context.Context) (*Account, error), s Settings) Tool[planIn, planOut] {
	return Tool[planIn, planOut]{
		Name:        "plan_time_chunks",
		Title:       "Plan time chunks",
		Description: "Cuts a range into half-open chunks that tile it exactly, on the calendar of a time zone (days of 23 and 25 hours included), by elapsed time, or by the size that files should have. Starts nothing; start_bulk_export cuts by itself. Chunks of a day or less keep files of manageable size.",
		Effect:      Read,
		Call: func(ctx context.Context, in planIn) (planOut, error) {
			p := planning{in: in, now: s.Now()}
			if err := p.read(s.zone()); err != nil {
				return planOut{}, err
			}
			if in.SegmentID != "" || in.MissingFrom != "" {
				if err := p.lookUp(ctx, account); err != nil {
					return planOut{}, err
				}
			}
			if err := p.cut(); err != nil {
				return planOut{}, err
			}
			return p.result(), nil
		},
	}
}

// planning is one plan in the making.
type planning struct {
	in       planIn
	now      time.Time
	calendar plan.Calendar
	chunk    plan.Chunk
	whole    plan.Range // that was asked for

	request     client.ExportRequest // what is known of the exports
	role        client.Role
	rhythm      *plan.Rhythm // nil: sizes are not known
	pace        plan.Pace
	windows     plan.Windows // to be cut
	provisional plan.Windows // the part of them that is stored, but not settled

	plan *plan.Plan
}

// read takes in the arguments that need no account.
func (p *planning) read(zone string) error {
	in := &p.in
	sized := in.TargetRows > 0 || in.TargetMB > 0
	switch {
	case in.TargetRows > 0 && in.TargetMB > 0:
		return &preflight.Refusal{Field: "target_megabytes", Message: "target_rows is given as well; a plan has one target."}
	case sized && in.Chunk != "":
		return &preflight.Refusal{Field: "chunk", Message: "a target size is given as well. Leave chunk out to cut by size, or the target to cut by " + in.Chunk + "."}
	case sized && in.SegmentID == "" && in.MissingFrom == "":
		return &preflight.Refusal{Field: "segment_id", Message: "a target size needs it: sizes are known by segment, from exports of it that are stored here."}
	case sized && in.Type == client.TypeIndividual:
		return &preflight.Refusal{Field: "type", Message: "rows of individuals do not add up over time (one row a person, whatever the window), so they cannot be cut by size. Leave the target out and export the whole range at once."}
	case in.MissingFrom == everything && in.SegmentID == "":
		return &preflight.Refusal{Field: "segment_id", Message: "missing_from * means all stored exports of a segment, so it needs one."}
	}
	p.request = client.ExportRequest{SegmentID: in.SegmentID, Type: in.Type, Scope: in.Scope}
	if err := preflight.Contradictions(p.request); err != nil {
		return err
	}
	if in.Timezone == "" {
		in.Timezone = zone
	}
	location, err := plan.Zone(in.Timezone)
	if err != nil {
		return err
	}
	p.calendar = plan.Calendar{Zone: location, Week: time.Monday}
	if in.WeekStart == "sunday" {
		p.calendar.Week = time.Sunday
	}
	var rangeErr, chunkErr error
	p.whole, rangeErr = preflight.ResolveRange("time_range", in.TimeRange, p.calendar, p.now)
	if in.Chunk == "" {
		in.Chunk = "day"
	}
	p.chunk, chunkErr = plan.ParseChunk(in.Chunk)
	p.windows = plan.Windows{p.whole}
	return errors.Join(rangeErr, chunkErr)
}

// lookUp finds the segment, and what stored exports tell of it. A server
// without an account plans without both.
func (p *planning) lookUp(ctx context.Context, account func(context.Context) (*Account, error)) error {
	a, err := account(ctx)
	var setup *SetupError
	if errors.As(err, &setup) && p.in.MissingFrom == "" {
		return nil
	}
	if err != nil {
		return err
	}
	files, err := a.stored(ctx)
	if err != nil {
		return err
	}
	me, err := a.Me(ctx)
	if err != nil {
		return err
	}
	p.role = me.Role
	if p.in.SegmentID != "" {
		segment, err := preflight.FindSegment(ctx, a.Client, p.in.SegmentID)
		if err != nil {
			return err
		}
		p.request.SegmentID = segment.ID
	}
	if p.in.MissingFrom != "" {
		if err := p.leaveOut(files); err != nil {
			return err
		}
	}
	known := samples(files, p.request)
	if p.request.Type != client.TypeIndividual {
		p.rhythm = plan.Measure(known, p.calendar.Zone)
	}
	p.pace = plan.MeasurePace(known)
	return nil
}

// leaveOut takes what is stored and settled off the windows to be cut.
func (p *planning) leaveOut(files []storedFile) error {
	found := named(files, p.in.MissingFrom, p.request)
	if len(found) == 0 && p.in.MissingFrom != everything {
		return &preflight.Refusal{Field: "missing_from", Message: fmt.Sprintf("nothing stored here is named %q. Give the name of a folder of the export directory, an operation_id whose file was downloaded, or * with segment_id.", clean(p.in.MissingFrom, 100))}
	}
	if p.request.SegmentID == "" && len(found) > 0 {
		from := found[0].request
		p.request = client.ExportRequest{SegmentID: from.SegmentID, Type: from.Type, Scope: from.Scope}
	}
	if p.whole.Start.IsZero() || p.whole.End.IsZero() {
		return nil // refused when it is cut
	}
	settled, provisional := coverage(found)
	p.windows = plan.NewWindows(p.whole).Without(settled)
	p.provisional = provisional
	return nil
}

// cut makes the plan.
func (p *planning) cut() (err error) {
	p.plan, err = p.windows.Each(func(r plan.Range) (*plan.Plan, error) {
		if rows := p.targetRows(); rows > 0 {
			return plan.SplitBySize(r, p.rhythm, rows)
		}
		return plan.Split(r, plan.Cut{Chunk: p.chunk, Calendar: p.calendar, FromStart: !*p.in.Align})
	})
	return preflight.In("time_range", err)
}

// targetRows returns how many rows a chunk should have, or 0 when it is cut by
// the calendar.
func (p *planning) targetRows() float64 {
	switch {
	case p.rhythm == nil || p.rhythm.RowSize == 0:
		return 0
	case p.in.TargetMB > 0:
		return p.in.TargetMB * 1e6 / p.rhythm.RowSize
	}
	return float64(p.in.TargetRows)
}
