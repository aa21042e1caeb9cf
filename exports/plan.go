package exports

import (
	"context"
	"errors"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

// PlanRequest is a range and how to cut it into chunks.
type PlanRequest struct {
	TimeRange   client.TimeRange `json:"time_range" jsonschema_description:"The range, such as {\"start\":\"2026-10\"}; end may be now."`
	Chunk       string           `json:"chunk,omitempty" jsonschema:"maxLength=64" jsonschema_description:"hour, day, week, month, quarter, or elapsed time such as PT6H. Default: day."`
	Timezone    string           `json:"timezone,omitempty" jsonschema:"maxLength=64" jsonschema_description:"IANA zone such as Europe/Berlin. Default: the server's."`
	WeekStart   string           `json:"week_start,omitempty" jsonschema:"enum=monday,enum=sunday,default=monday" jsonschema_description:"First day of weeks."`
	Align       *bool            `json:"align,omitempty" jsonschema:"default=true" jsonschema_description:"false: count from the start of the range."`
	TargetRows  int              `json:"target_rows,omitempty" jsonschema:"minimum=1" jsonschema_description:"Instead of chunk: rows a file, about, by stored exports of segment_id."`
	TargetMB    float64          `json:"target_megabytes,omitempty" jsonschema:"minimum=0.001" jsonschema_description:"Likewise MB of the gzip file."`
	SegmentID   string           `json:"segment_id,omitempty" jsonschema:"maxLength=500" jsonschema_description:"Such as everyone: for warnings and sizes."`
	Type        client.Type      `json:"type,omitempty" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_SESSIONS,enum=TYPE_INDIVIDUAL" jsonschema_description:"What will be exported."`
	Scope       client.Scope     `json:"scope,omitempty" jsonschema:"enum=SCOPE_EVENTS,enum=SCOPE_PAGES,enum=SCOPE_SESSIONS,enum=SCOPE_INDIVIDUALS" jsonschema_description:"With TYPE_EVENT, such as SCOPE_SESSIONS."`
	MissingFrom string           `json:"missing_from,omitempty" jsonschema:"maxLength=2400" jsonschema_description:"Plan only what these stored files lack or hold unsettled: a folder such as september, an operation_id, or * for all of the same rows."`
	Offset      int              `json:"offset,omitempty" jsonschema:"minimum=0,default=0" jsonschema_description:"First chunk to list."`
	Limit       int              `json:"limit,omitempty" jsonschema:"minimum=1,maximum=500,default=50" jsonschema_description:"Most chunks to list."`
}

// Planned is a plan: the chunks of one page, and a description of all chunks.
type Planned struct {
	Summary  string             `json:"summary"`
	Chunks   []PlannedChunk     `json:"chunks"`
	Count    int                `json:"count"`
	Range    PlannedRange       `json:"range"`
	Today    string             `json:"today,omitempty"`
	Uneven   []UnevenChunk      `json:"uneven" schema:"brief" jsonschema_description:"Days of other than 24 hours, clipped ends."`
	Estimate *Estimate          `json:"estimate,omitempty" schema:"brief" jsonschema_description:"rows of all chunks (low to high: 90 % interval), megabytes, seconds (wall time), basis."`
	Warnings []preflight.Notice `json:"warnings" schema:"brief" jsonschema_description:"code, level (blocker, warning, note), message, fix."`
	HasMore  bool               `json:"has_more"`
	Next     string             `json:"next,omitempty"`
}

// PlannedChunk is a chunk of a plan. Its times are in the zone of the plan.
type PlannedChunk struct {
	Index int     `json:"index"`
	Start string  `json:"start"`
	End   string  `json:"end"`
	Hours float64 `json:"hours"`
	Rows  int64   `json:"rows,omitempty"`
	Why   string  `json:"why,omitempty"`
}

// PlannedRange is the range of a plan as resolved, in its zone and in UTC. Chunk is
// empty for a plan by size.
type PlannedRange struct {
	Start    string `json:"start"`
	End      string `json:"end"`
	StartUTC string `json:"start_utc"`
	EndUTC   string `json:"end_utc"`
	Timezone string `json:"timezone"`
	Chunk    string `json:"chunk,omitempty"`
}

// UnevenChunk is a chunk of another length than the others, and the reason.
type UnevenChunk struct {
	Index  int     `json:"index"`
	Date   string  `json:"date,omitempty"`
	Hours  float64 `json:"hours"`
	Reason string  `json:"reason"`
}

// PlanChunks cuts a range into chunks. zone is the zone of dates if the request names
// none. account is called only for a plan that needs an account: one about a segment or
// stored files. now is the time of a plan without an account; with one it is the time by
// Fullstory's clock.
func PlanChunks(
	ctx context.Context, account func(context.Context) (*Account, error), in PlanRequest, zone string, now time.Time,
) (Planned, error) {
	p := planning{in: in, now: now}
	a, err := p.connect(ctx, account)
	if err != nil {
		return Planned{}, err
	}
	p.now = p.now.Truncate(time.Second) // an end of now is read by people
	if err := p.read(zone); err != nil {
		return Planned{}, err
	}
	if a != nil {
		if err := p.lookUp(ctx, a); err != nil {
			return Planned{}, err
		}
	}
	if err := p.cut(); err != nil {
		return Planned{}, err
	}
	return p.result(), nil
}

// planning is a plan being made.
type planning struct {
	in       PlanRequest
	now      time.Time     // by Fullstory's clock, if an account is used
	skew     time.Duration // this machine's clock minus Fullstory's
	budget   *preflight.Budget
	unheard  bool   // Fullstory did not answer, so now is by this machine's clock
	today    string // date in the zone, if the range was given relative to it; else ""
	calendar plan.Calendar
	by       cut
	chunk    plan.Granularity // of a plan that is not by size
	whole    plan.Range       // the range of the request
	measured

	request     client.ExportRequest // of the exports, as far as it is known
	given       client.ExportRequest // of the export that missing_from names; empty: none
	givenBulk   bool                 // that export is a bulk export
	role        client.Role
	windows     plan.Windows // to cut into chunks
	provisional plan.Windows // the part of windows that is stored, but not settled
	gone        int          // files that missing_from selects and that are not there any more
	goneOfBulk  bool         // they are of a bulk export

	plan *plan.Plan
}

// connect returns the account if the plan needs one, and sets the role of its key and
// the time by Fullstory's clock. On a server without a key it returns nil, and the plan
// is made without sizes; only missing_from needs an account.
func (p *planning) connect(ctx context.Context, account func(context.Context) (*Account, error)) (*Account, error) {
	if p.in.SegmentID == "" && p.in.MissingFrom == "" {
		p.hear(ctx, account)
		return nil, nil
	}
	a, err := account(ctx)
	if err != nil && Explain(err).Kind == Setup && p.in.MissingFrom == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if p.role, err = a.role(ctx); err != nil {
		return nil, err
	}
	p.now, p.skew = a.clock()
	p.budget = a.Budget
	return a, nil
}

// hearLimit bounds how long a plan that needs no account waits for Fullstory's clock.
const hearLimit = 5 * time.Second

// hear sets the time by Fullstory's clock for a plan that needs no account, if there is one.
// It asks Fullstory only if the range is relative and the clock is not known. If there is no
// answer, the time stays that of this machine.
func (p *planning) hear(ctx context.Context, account func(context.Context) (*Account, error)) {
	a, err := account(ctx)
	if err != nil {
		return
	}
	if preflight.Relative(&p.in.TimeRange) && !a.heard() {
		ctx, cancel := context.WithTimeout(ctx, hearLimit)
		defer cancel()
		if _, err := a.askMe(ctx); err != nil {
			p.unheard = true
			return
		}
	}
	p.now, p.skew = a.clock()
	p.budget = a.Budget
}

// todayText states the date on which the meaning of the range depends; "" if it does not.
func (p *planning) todayText() string {
	if p.today == "" || !p.unheard {
		return preflight.TodayText(p.today, p.calendar.Zone.String())
	}
	return preflight.TodayText(p.today, p.calendar.Zone.String()+" by this machine's clock, because Fullstory did not "+
		"answer")
}

// read resolves the arguments that need no account.
func (p *planning) read(zone string) error {
	in := &p.in
	by, err := readCut(in.Chunk, in.TargetRows, in.TargetMB, in.Type)
	switch p.by = by; {
	case err != nil:
		return err
	case by.sized() && in.SegmentID == "" && in.MissingFrom == "":
		return wrong("segment_id",
			"a target size needs it, because sizes are measured from stored exports of the segment.")
	case in.MissingFrom == everything && in.SegmentID == "":
		return wrong("segment_id", "`missing_from` * means all stored exports of a segment, so name the segment.")
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
	p.today = preflight.Today(p.now, location, &in.TimeRange)
	p.whole, rangeErr = preflight.ResolveRange("time_range", in.TimeRange, p.calendar, p.now)
	if p.chunk, chunkErr = by.granularity(); !by.sized() {
		p.by.chunk = p.chunk.String()
	}
	p.windows = plan.Windows{p.whole}
	return errors.Join(rangeErr, chunkErr)
}

// lookUp finds the segment, leaves out stored windows, and measures stored exports of the
// same rows.
func (p *planning) lookUp(ctx context.Context, a *Account) error {
	if p.in.SegmentID != "" {
		segment, err := preflight.FindSegment(ctx, a.segments(), p.in.SegmentID)
		if err != nil {
			return err
		}
		p.request.SegmentID = segment.ID
	}
	if err := p.lookAtFiles(ctx, a); err != nil {
		return err
	}
	var err error
	p.limit, err = a.concurrencyLimit(ctx)
	return err
}

// lookAtFiles leaves out the windows of stored files, and measures these.
func (p *planning) lookAtFiles(ctx context.Context, a *Account) error {
	release, err := a.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	files, err := a.stored(ctx)
	if err != nil {
		return err
	}
	if p.in.MissingFrom != "" {
		if err := p.leaveOut(ctx, a, files); err != nil {
			return err
		}
	}
	p.measured = measure(files, p.request, p.calendar.Zone, p.now)
	return nil
}

// leaveOut removes what is stored and settled from the windows to be cut.
func (p *planning) leaveOut(ctx context.Context, a *Account, files []storedFile) error {
	found, err := a.selectStored(ctx, files, p.in.MissingFrom, p.request)
	if err != nil {
		return err
	}
	if !found.known && p.in.MissingFrom != everything {
		return wrong("missing_from", "nothing stored here is named %q. Give the name of a folder of the export directory, "+
			"an `operation_id` whose file was downloaded, or * with `segment_id`.", client.Clean(p.in.MissingFrom, 100))
	}
	if found.known && p.in.MissingFrom != everything {
		p.given, p.givenBulk = found.request, found.bulk
	}
	if from := found.request; p.request.SegmentID == "" && found.known {
		p.request = client.ExportRequest{SegmentID: from.SegmentID, Type: from.Type, Scope: from.Scope}
	}
	if p.whole.Start.IsZero() || p.whole.End.IsZero() {
		return nil // rejected when it is cut
	}
	for _, f := range found.gone {
		if f.window.Start.Before(p.whole.End) && p.whole.Start.Before(f.window.End) {
			p.gone++
		}
	}
	p.goneOfBulk = found.bulk
	settled, provisional := coverage(found.there)
	p.windows = plan.NewWindows(p.whole).Without(settled)
	p.provisional = provisional
	return nil
}

// cut cuts the windows into chunks.
func (p *planning) cut() (err error) {
	p.plan, err = p.windows.Each(func(r plan.Range) (*plan.Plan, error) {
		fallback := plan.Cut{Granularity: p.chunk, Calendar: p.calendar, FromStart: !*p.in.Align}
		return p.by.split(r, p.profile, fallback)
	})
	return preflight.In("time_range", err)
}

// sizesUnknown reports whether a target size was given, but no sizes are known.
func (p *planning) sizesUnknown() bool { return p.by.sizing(p.profile) == preflight.Unmeasured }
