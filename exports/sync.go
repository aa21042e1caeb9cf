package exports

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

// SyncAction is what a SyncRequest asks for.
type SyncAction string

// The actions.
const (
	SyncCreate SyncAction = "create" // the same request once more changes nothing
	SyncChange SyncAction = "change" // what is not given stays
	SyncPause  SyncAction = "pause"
	SyncResume SyncAction = "resume" // also wakes it
	SyncRemove SyncAction = "remove" // its files stay
)

// SyncRequest is a caller's request to keep an export up to date, or to change how. It has
// fields of client.ExportRequest, which create_segment_export describes.
type SyncRequest struct {
	Action           SyncAction         `json:"action" jsonschema:"enum=create,enum=change,enum=pause,enum=resume,enum=remove" jsonschema_description:"change: what is given."`
	Name             string             `json:"name" jsonschema:"minLength=1,maxLength=200" jsonschema_description:"Of the folder too."`
	SegmentID        string             `json:"segment_id,omitempty" jsonschema:"maxLength=500" jsonschema_description:"To create."`
	Type             client.Type        `json:"type,omitempty" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_SESSIONS,enum=TYPE_INDIVIDUAL" jsonschema_description:"Likewise."`
	Format           client.Format      `json:"format,omitempty" jsonschema:"enum=FORMAT_NDJSON,enum=FORMAT_JSON,enum=FORMAT_CSV" jsonschema_description:"Shape of rows."`
	SegmentTimeRange *client.TimeRange  `json:"segment_time_range,omitempty" schema:"Likewise." jsonschema_description:"range: each window."`
	Timezone         string             `json:"timezone,omitempty" jsonschema:"maxLength=64" jsonschema_description:"IANA zone of at and windows."`
	Fields           []string           `json:"fields,omitempty" jsonschema:"maxItems=500" jsonschema_description:"Columns."`
	Scope            client.Scope       `json:"scope,omitempty" jsonschema:"enum=SCOPE_EVENTS,enum=SCOPE_PAGES,enum=SCOPE_SESSIONS,enum=SCOPE_INDIVIDUALS" jsonschema_description:"With TYPE_EVENT."`
	Every            string             `json:"every,omitempty" jsonschema:"maxLength=64" jsonschema_description:"hour, day, week, month. Default: day."`
	At               string             `json:"at,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Such as 06:00. Default: once rows have settled."`
	From             string             `json:"from,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Where windows begin, such as 2026-09-01. Default: this period."`
	Chunk            string             `json:"chunk,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Window. Default: every."`
	Lag              string             `json:"lag,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Time from the end of a window to its export. Default: 24h."`
	CatchUp          ledger.CatchUp     `json:"catch_up,omitempty" jsonschema:"enum=all,enum=latest" jsonschema_description:"Windows of the past."`
	Parquet          *bool              `json:"parquet,omitempty" jsonschema_description:"Also make Parquet files."`
	Table            ledger.TableFormat `json:"table,omitempty" jsonschema:"enum=delta" jsonschema_description:"Make them a Delta Lake table."`
	Confirm          string             `json:"confirm,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Token, likewise."`
	DryRun           bool               `json:"dry_run,omitempty" jsonschema_description:"Check only."`

	Confirmed bool         `json:"-"` // no token is needed: the user of a terminal has agreed
	Consent   Consent      `json:"-"`
	Into      *Destination `json:"-"` // nil: as before; its address has a password, so no model gives it
}

const (
	usualLag = bulk.Settled
	// longestLag bounds the lag of a sync.
	longestLag = 31 * 24 * time.Hour
)

// plannedSync is a sync as a request describes it.
type plannedSync struct {
	in       SyncRequest
	sync     ledger.Sync // without Bulk, Generation and what only the ledger knows
	export   preflight.Export
	warnings []preflight.Notice
	at       time.Time // the instant at which the request was resolved
	later    string    // why it starts later, in sentences; "" if Fullstory answers
}

// planSync resolves a request to add a sync or, with old, to change that one: what the
// request leaves out stays. zone is the zone of a new one if the request names none.
func (a *Account) planSync(
	ctx context.Context, in SyncRequest, zone string, old *ledger.Sync,
) (p plannedSync, err error) {
	check, away, err := a.checkLater(ctx, zone)
	if err != nil {
		return p, err
	}
	p = plannedSync{in: in, at: check.Now.UTC().Truncate(time.Millisecond)}
	if at, ok := confirmedAt(in.Consent.token(in.Confirm), check.Now); ok {
		p.at = at
	}
	p.sync = ledger.Sync{
		Every: "day", Lag: usualLag, CatchUp: ledger.CatchUpAll,
	}
	var request client.ExportRequest
	if old != nil {
		p.sync = *old
		p.sync.CoveredTo = time.Time{} // the next wake finds it again
		if request, err = askedBefore(*old); err != nil {
			return p, err
		}
	}
	if err := p.terms(); err != nil {
		return p, err
	}
	in.setRequest(&request)
	request.Format = cmp.Or(request.Format, client.FormatNDJSON)
	request.TimeRange, request.Now = periodOf(p.sync.Every), p.at.Format(time.RFC3339Nano)
	if p.export, err = check.Resolve(ctx, request); err != nil {
		return p, err
	}
	p.later = away.text()
	if err := p.anchor(old); err != nil {
		return p, err
	}
	if err := p.into(ctx, a); err != nil {
		return p, err
	}
	p.warnings = forSync(p.export.Chunked(2, 0, preflight.ByTime))
	p.sync.SegmentName = p.export.Segment.Name
	p.sync.Request, err = p.template()
	return p, err
}

// terms sets how the sync wakes, from the request.
func (p *plannedSync) terms() error {
	in, s := p.in, &p.sync
	if in.Every != "" {
		every, err := plan.ParseEvery(in.Every)
		if err != nil {
			return err
		}
		if s.Chunk == s.Every { // the default
			s.Chunk = ""
		}
		s.Every = every.String()
	}
	if in.At != "" {
		at, err := plan.ParseAt(in.At)
		if err != nil {
			return err
		}
		s.At = fmt.Sprintf("%02d:%02d", at/time.Hour, at%time.Hour/time.Minute)
	}
	chunk, err := plan.ParseGranularity(cmp.Or(in.Chunk, s.Chunk, s.Every))
	if err != nil {
		return err
	}
	s.Chunk = chunk.String()
	if in.Lag != "" {
		if s.Lag, err = parseLag(in.Lag); err != nil {
			return err
		}
	}
	s.CatchUp = cmp.Or(in.CatchUp, s.CatchUp)
	if in.Parquet != nil {
		s.Parquet = *in.Parquet
	}
	if in.Table != ledger.NoTable {
		s.Table, s.Parquet = in.Table, true
	}
	return nil
}

// parseLag reads a duration such as 24h, PT24H or 0.
func parseLag(text string) (time.Duration, error) {
	d, err := plan.ParseElapsed(text)
	if err == nil && (d < 0 || d > longestLag) {
		err = wrong("lag", "give a duration from 0 to 31 days, such as 24h.")
	}
	return d, err
}

// periodOf returns the present period of every as a caller gives it.
func periodOf(every string) client.TimeRange {
	unit := map[string]string{"hour": "h", "day": "d", "week": "w", "month": "M"}[every]
	return client.TimeRange{Start: "now/" + unit, End: "now+1" + unit + "/" + unit}
}

// anchor sets the start of the first window: that of the request, of the sync that is changed,
// or that of the present period.
func (p *plannedSync) anchor(old *ledger.Sync) error {
	if p.in.From == "" {
		if old == nil {
			p.sync.Anchor = p.export.Range.Start.UTC()
		}
		return nil
	}
	zone, err := plan.Zone(p.export.Request.Timezone)
	if err != nil {
		return err
	}
	from, err := plan.Resolve(p.in.From, "", plan.Calendar{Zone: zone, Week: time.Monday}, p.at)
	if failed, ok := errors.AsType[*plan.Error](err); ok {
		return wrong("from", "%s", failed.Text())
	}
	if err == nil && from.Start.IsZero() {
		err = wrong("from", "give the start of the first window, such as 2026-09-01.")
	}
	p.sync.Anchor = from.Start.UTC()
	return err
}

// template returns the request of all windows. Its range is open, and so is the window of the
// segment that follows each window.
func (p *plannedSync) template() (json.RawMessage, error) {
	r := p.export.Request
	follows := r.SegmentTimeRange != nil && *r.SegmentTimeRange == r.TimeRange
	r.Now, r.TimeRange = "", client.TimeRange{Start: p.sync.Anchor.Format(time.RFC3339Nano)}
	if follows {
		same := r.TimeRange
		r.SegmentTimeRange = &same
	}
	return json.Marshal(r)
}

// askedBefore returns the request of a sync as a caller would give it.
func askedBefore(s ledger.Sync) (r client.ExportRequest, err error) {
	if err := json.Unmarshal(s.Request, &r); err != nil {
		return r, err
	}
	switch {
	case r.SegmentTimeRange == nil:
		r.SegmentTimeRange = preflight.OwnWindow()
	case *r.SegmentTimeRange == r.TimeRange:
		r.SegmentTimeRange = preflight.RangeWindow()
	default:
		window := preflight.WindowOf(r)
		r.SegmentTimeRange = &window
	}
	return r, nil
}

// setRequest sets the fields of r that in has.
func (in SyncRequest) setRequest(r *client.ExportRequest) {
	r.SegmentID, r.Type = cmp.Or(in.SegmentID, r.SegmentID), cmp.Or(in.Type, r.Type)
	r.Format, r.Timezone = cmp.Or(in.Format, r.Format), cmp.Or(in.Timezone, r.Timezone)
	if r.Scope = cmp.Or(in.Scope, r.Scope); in.Type != "" && in.Scope == "" {
		r.Scope = "" // that of another type may contradict
	}
	if in.SegmentTimeRange != nil {
		r.SegmentTimeRange = in.SegmentTimeRange
	}
	if len(in.Fields) > 0 {
		r.Fields = in.Fields
	}
}

// forSync returns the notices that concern a sync. Whether a window is settled, over, or too
// long for one file does not: the sync takes care of it.
func forSync(notices []preflight.Notice) []preflight.Notice {
	kept := []preflight.Notice{}
	for _, n := range notices {
		switch n.Code {
		case "window_future", "window_unsettled", "range_future", "large_window", "everyone_window_set", "many_chunks":
		default:
			kept = append(kept, n)
		}
	}
	return kept
}

// sameRequest reports whether windows of both syncs have the same rows.
func sameRequest(a, b ledger.Sync) bool {
	normal := func(s ledger.Sync) string {
		r, err := askedBefore(s)
		if err != nil {
			return string(s.Request)
		}
		r.TimeRange = client.TimeRange{}
		raw, _ := json.Marshal(r)
		return string(raw)
	}
	return normal(a) == normal(b)
}
