package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

// BulkRequest is a bulk export as a caller asks for it. It has the fields of
// client.ExportRequest, which create_segment_export describes at length.
type BulkRequest struct {
	SegmentID        string            `json:"segment_id" jsonschema:"minLength=1,maxLength=500" jsonschema_description:"Id, exact name or URL of a segment, such as everyone."`
	Type             client.Type       `json:"type" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_SESSIONS,enum=TYPE_INDIVIDUAL" jsonschema_description:"Kind of rows."`
	Format           client.Format     `json:"format,omitempty" jsonschema:"enum=FORMAT_NDJSON,enum=FORMAT_JSON,enum=FORMAT_CSV,default=FORMAT_NDJSON" jsonschema_description:"Shape of rows."`
	TimeRange        client.TimeRange  `json:"time_range" schema:"As in create_segment_export." jsonschema_description:"Both ends known, such as {\"start\":\"2026-09\"}."`
	SegmentTimeRange *client.TimeRange `json:"segment_time_range,omitempty" schema:"As in create_segment_export." jsonschema_description:"Of the segment's filters; for everyone each chunk's own."`
	Timezone         string            `json:"timezone,omitempty" jsonschema:"maxLength=64" jsonschema_description:"IANA zone of dates and chunks."`
	Now              string            `json:"now,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Pinned for all chunks. Default: this call."`
	Fields           []string          `json:"fields,omitempty" jsonschema:"maxItems=500" jsonschema_description:"Columns."`
	Scope            client.Scope      `json:"scope,omitempty" jsonschema:"enum=SCOPE_EVENTS,enum=SCOPE_PAGES,enum=SCOPE_SESSIONS,enum=SCOPE_INDIVIDUALS" jsonschema_description:"With TYPE_EVENT."`
	Chunk            string            `json:"chunk,omitempty" jsonschema:"maxLength=64,default=day" jsonschema_description:"hour, day, week, month, quarter, or such as PT6H."`
	Name             string            `json:"name,omitempty" jsonschema:"maxLength=200" jsonschema_description:"Of the folder, such as september. The same name and request go on."`
	MaxInFlight      int               `json:"max_in_flight,omitempty" jsonschema:"minimum=1,maximum=64" jsonschema_description:"Exports at Fullstory at once. Default: found out."`
	Settle           bool              `json:"settle,omitempty" jsonschema:"default=false" jsonschema_description:"Export chunks again that were exported under 24 hours after their end, and compare."`
	DryRun           bool              `json:"dry_run,omitempty" jsonschema:"default=false" jsonschema_description:"Resolve, cut and check only; start nothing."`
}

// BulkStarted is what was started, or would be.
type BulkStarted struct {
	Summary  string              `json:"summary"`
	BulkID   string              `json:"bulk_id,omitempty"`
	Name     string              `json:"name"`
	Reused   bool                `json:"reused" jsonschema_description:"It was there already and goes on."`
	Chunks   int                 `json:"chunks"`
	Rows     preflight.Rows      `json:"rows" jsonschema_description:"What a row is."`
	Range    client.TimeRange    `json:"range" schema:"brief"`
	Folder   string              `json:"folder"`
	Estimate *planEstimate       `json:"estimate,omitempty" schema:"brief"`
	Warnings []preflight.Warning `json:"warnings" schema:"brief"`
	Next     string              `json:"next,omitempty"`
}

func startBulkExport(account func(context.Context) (*Account, error), s Settings) Tool[BulkRequest, BulkStarted] {
	return Tool[BulkRequest, BulkStarted]{
		Name:        "start_bulk_export",
		Title:       "Start a bulk export",
		Description: "Exports a long range in chunks, each created at Fullstory, fetched, verified and stored in one folder with a manifest. Returns at once; the work goes on by itself, also after a restart, and get_bulk_export tells how it stands. No window is lost or doubled. Arguments as in create_segment_export.",
		Effect:      Write,
		Call: func(ctx context.Context, in BulkRequest) (BulkStarted, error) {
			a, err := account(ctx)
			if err != nil {
				return BulkStarted{}, err
			}
			return a.StartBulk(ctx, in, s.zone())
		},
	}
}

// StartBulk starts a bulk export, or lets one of the same name go on.
func (a *Account) StartBulk(ctx context.Context, in BulkRequest, zone string) (BulkStarted, error) {
	check, err := a.check(ctx, zone)
	if err != nil {
		return BulkStarted{}, err
	}
	request := client.ExportRequest{
		SegmentID: in.SegmentID, Type: in.Type, Format: in.Format, TimeRange: in.TimeRange, SegmentTimeRange: in.SegmentTimeRange,
		Timezone: in.Timezone, Now: in.Now, Fields: in.Fields, Scope: in.Scope,
	}
	export, err := check.Resolve(ctx, request)
	if err != nil {
		return BulkStarted{}, err
	}
	p, err := cutBulk(export, in.Chunk)
	if err != nil {
		return BulkStarted{}, err
	}
	out := BulkStarted{
		Name: folderName(in.Name, export, in.Chunk), Chunks: p.Count(), Rows: export.Rows, Range: export.Request.TimeRange,
		Warnings: preflight.Lint(preflight.Subject{Request: lintedRequest(export, in.SegmentTimeRange != nil), Range: export.Range, Files: p.Count(), Longest: p.Longest(), Role: check.Role, Now: check.Now}),
	}
	out.Folder = a.Archive.Path(out.Name, "")
	out.Estimate, err = a.estimateBulk(ctx, export, p)
	if err != nil {
		return BulkStarted{}, err
	}
	what := fmt.Sprintf("%s of %s of segment %s, %s", chunksOf(out.Chunks, in.Chunk), export.Rows, export.Request.SegmentID, windowText(export.Range))
	if in.DryRun {
		out.Summary, out.Next = "Nothing was started. This would export "+what+".", "Call again without dry_run to start it."
		return out, nil
	}
	if err := a.Archive.Writable(); err != nil {
		return BulkStarted{}, err
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return BulkStarted{}, err
	}
	if err := a.folderFree(ctx, engine, out.Name); err != nil {
		return BulkStarted{}, err
	}
	b, again, err := engine.Start(ctx, bulk.Order{
		Name: out.Name, Request: export.Request, NowGiven: in.Now != "", Chunk: in.Chunk, Windows: p.Page(0, p.Count()),
		MaxInFlight: in.MaxInFlight, Settle: in.Settle,
	})
	if err != nil {
		return BulkStarted{}, err
	}
	out.BulkID, out.Reused = b.ID, again
	out.Summary = "Started the export of " + what + ", as " + out.Name + "."
	out.Next = "Ask get_bulk_export with wait_seconds how it stands; there is no need to wait for it."
	if again {
		out.Summary = fmt.Sprintf("The bulk export %s was started before with the same request and is %s.", b.Name, b.State)
		out.Next = "Ask get_bulk_export how it stands." + map[bool]string{true: " control_bulk_export with resume lets it go on."}[b.State == ledger.BulkPaused]
	}
	if in.Name != "" && in.Name != out.Name {
		out.Summary += fmt.Sprintf(" Characters of the name that a folder cannot have were replaced: it is %s.", out.Name)
	}
	return out, nil
}

// folderFree refuses a folder that holds what the ledger does not know: another
// account's exports, or those of a ledger that is gone.
func (a *Account) folderFree(ctx context.Context, engine *bulk.Engine, name string) error {
	if _, err := engine.Status(ctx, name); !errors.Is(err, ledger.ErrUnknown) {
		return err
	}
	m, err := a.Archive.Manifest(name)
	at := a.Archive.Path(name, "")
	if (err != nil || len(m.Files) == 0) && a.Mirror != nil {
		m, err = a.Mirror.Manifest(ctx, name)
		at = a.Mirror.Address(name)
		if err != nil && !errors.Is(err, mirror.ErrMissing) {
			return err
		}
	}
	if err != nil || len(m.Files) == 0 {
		return nil
	}
	return &preflight.Refusal{Field: "name", Message: fmt.Sprintf("the folder %s holds other exports already, which the ledger does not know. Give another name.", at)}
}

// ResumeBulk lets a bulk export go on that is paused, or has ended with
// something missing.
func (a *Account) ResumeBulk(ctx context.Context, id string) error {
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	var state *bulk.StateError
	for _, action := range []bulk.Action{bulk.Resume, bulk.RetryFailed} {
		if _, err = engine.Control(ctx, id, action); err != nil && !errors.As(err, &state) {
			return err
		}
	}
	return nil
}

// cutBulk cuts the range of an export, both ends of which have to be known.
func cutBulk(e preflight.Export, chunk string) (*plan.Plan, error) {
	length, err := plan.ParseChunk(chunk)
	if err != nil {
		return nil, err
	}
	zone, err := plan.Zone(e.Request.Timezone)
	if err != nil {
		return nil, err
	}
	p, err := plan.Split(e.Range, plan.Cut{Chunk: length, Calendar: plan.Calendar{Zone: zone, Week: time.Monday}})
	return p, preflight.In("time_range", err)
}

// lintedRequest is the request as the lint wants it: without a window of the
// segment that the caller did not give.
func lintedRequest(e preflight.Export, given bool) client.ExportRequest {
	r := e.Request
	if !given {
		r.SegmentTimeRange = nil
	}
	return r
}

// estimateBulk tells what a bulk export will hold, by what was measured; nil
// when nothing was.
func (a *Account) estimateBulk(ctx context.Context, e preflight.Export, p *plan.Plan) (*planEstimate, error) {
	files, err := a.stored(ctx)
	if err != nil {
		return nil, err
	}
	zone, err := plan.Zone(e.Request.Timezone)
	if err != nil {
		return nil, err
	}
	measured := samples(files, e.Request)
	known := planning{calendar: plan.Calendar{Zone: zone, Week: time.Monday}, plan: p, windows: plan.NewWindows(e.Range), pace: plan.MeasurePace(measured)}
	if e.Rows == preflight.Events {
		known.rhythm = plan.Measure(measured, zone)
	}
	return known.estimate(), nil
}

// nameLimit is the most characters of a folder's name.
const nameLimit = 64

// folderName makes a folder's name of the one that was given, or of the
// request.
func folderName(given string, e preflight.Export, chunk string) string {
	name := strings.TrimSpace(given)
	if name == "" {
		day := func(t time.Time) string { return t.UTC().Format("20060102t1504") }
		kind := strings.TrimPrefix(string(e.Request.Type), "TYPE_")
		name = fmt.Sprintf("%s-%s-%s-%s-%s", e.Request.SegmentID, kind, day(e.Range.Start), day(e.Range.End), chunk)
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, name)
	name = name[:min(len(name), nameLimit)]
	if strings.Trim(name, ".-_") == "" || strings.HasPrefix(name, ".") {
		name = "export" + name[:min(len(name), nameLimit-6)]
	}
	return name
}
