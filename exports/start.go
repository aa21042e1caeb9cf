package exports

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

// BulkRequest is a caller's request for a bulk export. It has the fields of
// client.ExportRequest, which create_segment_export describes.
type BulkRequest struct {
	SegmentID        string            `json:"segment_id" unless:"like_bulk_id" jsonschema:"minLength=1,maxLength=500" jsonschema_description:"Id, exact name or URL of a segment, such as everyone."`
	Type             client.Type       `json:"type" unless:"like_bulk_id" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_SESSIONS,enum=TYPE_INDIVIDUAL" jsonschema_description:"Kind of rows."`
	Format           client.Format     `json:"format,omitempty" jsonschema:"enum=FORMAT_NDJSON,enum=FORMAT_JSON,enum=FORMAT_CSV" jsonschema_description:"Shape of rows."`
	TimeRange        client.TimeRange  `json:"time_range" unless:"like_bulk_id" schema:"Likewise." jsonschema_description:"Both ends known, such as {\"start\":\"2026-09\"}."`
	SegmentTimeRange *client.TimeRange `json:"segment_time_range,omitempty" schema:"Likewise." jsonschema_description:"range: all of it, for each chunk."`
	Timezone         string            `json:"timezone,omitempty" jsonschema:"maxLength=64" jsonschema_description:"IANA zone of dates and chunks."`
	Now              string            `json:"now,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Pinned for all chunks. Default: this call."`
	Fields           []string          `json:"fields,omitempty" jsonschema:"maxItems=500" jsonschema_description:"Columns."`
	Scope            client.Scope      `json:"scope,omitempty" jsonschema:"enum=SCOPE_EVENTS,enum=SCOPE_PAGES,enum=SCOPE_SESSIONS,enum=SCOPE_INDIVIDUALS" jsonschema_description:"With TYPE_EVENT."`
	Chunk            string            `json:"chunk,omitempty" jsonschema:"maxLength=64" jsonschema_description:"hour, day, week, month, quarter, or PT6H. Default: day."`
	TargetRows       int               `json:"target_rows,omitempty" jsonschema:"minimum=1" jsonschema_description:"Instead of chunk: rows a file, about."`
	TargetMB         float64           `json:"target_megabytes,omitempty" jsonschema:"minimum=0.001" jsonschema_description:"Likewise MB."`
	Name             string            `json:"name,omitempty" jsonschema:"maxLength=200" jsonschema_description:"Of the folder, such as september. The same name and request resume."`
	MaxInFlight      int               `json:"max_in_flight,omitempty" jsonschema:"minimum=1,maximum=64" jsonschema_description:"Exports at once. Default: adapts."`
	Settle           *bool             `json:"settle,omitempty" jsonschema_description:"Export again, and compare, chunks exported under 24 hours after their end."`
	Parquet          *bool             `json:"parquet,omitempty" jsonschema_description:"Also make Parquet files, in parquet/ of the folder."`
	Confirm          string            `json:"confirm,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Token, once the user agreed."`
	LikeBulkID       string            `json:"like_bulk_id,omitempty" jsonschema:"minLength=1,maxLength=2400" jsonschema_description:"Id or name of an earlier export: its request, with the arguments given here on top."`
	DryRun           bool              `json:"dry_run,omitempty" jsonschema_description:"Check only; start nothing."`

	Table     ledger.TableFormat `json:"-"` // of the Parquet files, which it implies; a terminal's --table
	Confirmed bool               `json:"-"` // no token is needed: the user of a terminal has agreed
	Consent   Consent            `json:"-"`
}

// export returns the fields of in that every export has.
func (in BulkRequest) export() client.ExportRequest {
	return client.ExportRequest{
		SegmentID: in.SegmentID, Type: in.Type, Format: in.Format,
		TimeRange: in.TimeRange, SegmentTimeRange: in.SegmentTimeRange, Timezone: in.Timezone, Now: in.Now,
		Fields: in.Fields, Scope: in.Scope,
	}
}

// setExport sets the fields that export returns.
func (in *BulkRequest) setExport(r client.ExportRequest) {
	in.SegmentID, in.Type, in.Format, in.Timezone, in.Now = r.SegmentID, r.Type, r.Format, r.Timezone, r.Now
	in.TimeRange, in.SegmentTimeRange, in.Fields, in.Scope = r.TimeRange, r.SegmentTimeRange, r.Fields, r.Scope
}

// BulkStarted is the bulk export that was started, or that a dry run describes.
type BulkStarted struct {
	Summary  string             `json:"summary"`
	BulkID   string             `json:"bulk_id,omitempty"`
	Name     string             `json:"name"`
	Reused   bool               `json:"reused" jsonschema_description:"It was started before."`
	Chunks   int                `json:"chunks"`
	Rows     preflight.Rows     `json:"rows"`
	Range    client.TimeRange   `json:"range" schema:"brief"`
	Export   Description        `json:"export" schema:"brief"`
	Today    string             `json:"today,omitempty"`
	Folder   string             `json:"folder"`
	Estimate *Estimate          `json:"estimate,omitempty" schema:"brief"`
	Warnings []preflight.Notice `json:"warnings" schema:"brief"`
	Confirm  string             `json:"confirm,omitempty"`
	Next     string             `json:"next,omitempty"`
}

// StartBulk starts a bulk export, or returns the existing one of the same name and
// request. zone is the zone of dates if the request names none. With in.DryRun it
// starts nothing.
func (a *Account) StartBulk(ctx context.Context, in BulkRequest, zone string) (BulkStarted, error) {
	b, err := a.planBulk(ctx, in, zone)
	if err != nil {
		return BulkStarted{}, err
	}
	if in.DryRun {
		return b.dryRun(ctx, a)
	}
	if err := a.Archive.Writable(); err != nil {
		return BulkStarted{}, err
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return BulkStarted{}, err
	}
	// The checks are for new bulk exports: an existing one passed them when it was started.
	how := ""
	if _, err = engine.Status(ctx, b.out.Name); errors.Is(err, ledger.ErrNotFound) {
		how, err = a.mayStart(ctx, b)
	}
	if err != nil {
		return BulkStarted{}, err
	}
	return b.start(ctx, a, engine, how)
}

// plannedBulk is a bulk export that is ready to be started.
type plannedBulk struct {
	in     BulkRequest
	by     cut
	export preflight.Export
	plan   *plan.Plan
	at     time.Time   // the instant that relative dates refer to
	out    BulkStarted // without the summary
	what   string      // the content of the export in words
	later  string      // why it starts later, in sentences; "" if Fullstory answers
}

// planBulk resolves a request and cuts its range. With a token for confirm, relative
// dates are resolved at the instant of its dry run, so that they mean the same again.
func (a *Account) planBulk(ctx context.Context, in BulkRequest, zone string) (b plannedBulk, err error) {
	check, away, err := a.checkLater(ctx, zone)
	if err != nil {
		return b, err
	}
	var like ledger.Bulk
	if in.LikeBulkID != "" {
		if in, like, err = a.likeBulk(ctx, in); err != nil {
			return b, err
		}
	}
	in.Format = cmp.Or(in.Format, client.FormatNDJSON)
	by, err := readCut(in.Chunk, in.TargetRows, in.TargetMB, in.Type)
	if err != nil {
		return b, err
	}
	request := in.export()
	b = plannedBulk{in: in, by: by, at: check.Now.UTC().Truncate(time.Millisecond)}
	if at, ok := confirmedAt(in.Consent.token(in.Confirm), check.Now); ok {
		b.at = at
	}
	if in.Now == "" {
		request.Now = b.at.Format(time.RFC3339Nano)
	}
	if err := away.mayResolve(request, in.Now != ""); err != nil {
		return b, err
	}
	if b.export, err = check.Resolve(ctx, request); err != nil {
		return b, err
	}
	b.later = away.text()
	sizes, err := a.measureBulk(ctx, b)
	if err != nil {
		return b, err
	}
	if b.plan, err = cutBulk(b.export, by, sizes.profile); err != nil {
		return b, err
	}
	b.describe(sizes)
	if in.LikeBulkID != "" && in.Name == "" {
		if b.out.Name, err = a.nameAlike(ctx, b, like); err != nil {
			return b, err
		}
	}
	b.out.Folder = a.Archive.Path(b.out.Name, "")
	return b, nil
}

// describe sets what and out, except for the folder.
func (b *plannedBulk) describe(sizes measured) {
	b.out = BulkStarted{
		Name: folderName(b.in.Name, b.export, b.by.String()), Chunks: b.plan.Count(), Rows: b.export.Rows,
		Range: b.export.Request.TimeRange, Today: b.export.Today,
		Estimate: sizes.estimate(plan.NewWindows(b.export.Range), b.plan.Count()),
		Export:   Describe(b.export.Request, b.export.Segment.Name),
	}
	size := 0.0
	if b.out.Estimate != nil {
		size = b.out.Estimate.Megabytes
	}
	b.out.Warnings = b.export.Chunked(b.plan.Count(), size, b.by.sizing(sizes.profile))
	b.what = b.by.count(b.out.Chunks, sizes.profile) + " of " + ContentText(b.export)
	if b.by.sizing(sizes.profile) == preflight.Unmeasured {
		b.what += ", by the day because sizes are not known"
	}
}

// confirmation returns what the user has to agree to before b is started.
func (b plannedBulk) confirmation() confirmation {
	c := confirmation{
		at: b.at, large: preflight.Large(b.out.Warnings), nothing: "Nothing was started.", dryRun: true,
		terminal: "Add `confirm` to start it, or take a longer `chunk` or a shorter range.",
		of: []any{"start", b.out.Name, b.export.Request, b.by.String(), b.out.Chunks, b.in.settle(), b.in.parquet(),
			b.in.Table},
		question: fmt.Sprintf("Start the bulk export %s? It exports %s.", b.out.Name, b.what),
	}
	if e := b.out.Estimate; e != nil && e.Megabytes > 0 {
		c.question += fmt.Sprintf(" About %.1f GB.", e.Megabytes/1000)
	}
	if raw, err := json.Marshal(b.export.Request); err == nil {
		c.about.Request = raw
	}
	return c
}

// settle reports whether chunks are exported again once their rows have settled.
func (in BulkRequest) settle() bool { return in.Settle != nil && *in.Settle }

// fingerprint returns what a bulk export of the same name must have to be b.
func (b plannedBulk) fingerprint() string {
	return client.Fingerprint(b.export.Request, b.in.Now != "", b.by.String())
}

// mayStart fails if the request has a blocker, if its folder has files already, or if it is
// large and the user has not agreed. It returns how the user agreed.
func (a *Account) mayStart(ctx context.Context, b plannedBulk) (how string, err error) {
	if err := blocked(b.out.Warnings); err != nil {
		return "", err
	}
	if err := a.folderFree(ctx, b.out.Name); err != nil {
		return "", err
	}
	if b.in.Confirmed {
		return a.agreed(ctx, b.confirmation(), byTerminal)
	}
	return a.consent(ctx, b.confirmation(), b.in.Confirm, b.in.Consent)
}

// start starts the bulk export. how is how the user agreed to it.
func (b plannedBulk) start(ctx context.Context, a *Account, engine *Exports, how string) (BulkStarted, error) {
	out, in := b.out, b.in
	notices, err := json.Marshal(out.Warnings)
	if err != nil {
		return BulkStarted{}, err
	}
	release, err := a.Hold(ctx) // for the chunks
	if err != nil {
		return BulkStarted{}, err
	}
	started, reused, err := engine.Start(ctx, Order{
		Name: out.Name, Request: b.export.Request, NowGiven: in.Now != "",
		Chunk: b.by.String(), Windows: b.plan.Page(0, b.plan.Count()),
		MaxInFlight: in.MaxInFlight, Settle: in.settle(), Notices: notices, Consent: how,
		SegmentName: b.export.Segment.Name, Parquet: in.parquet(), Table: in.Table,
	})
	release()
	if err != nil {
		return BulkStarted{}, err
	}
	out.BulkID, out.Reused = started.ID, reused
	out.Summary = sentences("Started the export of "+b.what+", as "+out.Name+".", in.parquetToCome(), b.later) + " "
	out.Next = "Follow it with `get_bulk_export` and `wait_seconds`; there is no need to wait for it."
	if reused {
		if err := out.startedBefore(ctx, engine, started); err != nil {
			return BulkStarted{}, err
		}
	}
	if reused && in.parquet() && started.State != ledger.BulkCancelled {
		out.Summary += "Parquet files are made of its stored files. "
	}
	request := b.export.Request
	out.Summary += sentences(preflight.FiltersOver(request), preflight.TodayText(out.Today, request.Timezone))
	if in.Name != "" && in.Name != out.Name {
		out.Summary += fmt.Sprintf(" Characters that a folder name cannot have were replaced: its name is %s.", out.Name)
	}
	return out, nil
}

// startedBefore describes a bulk export that exists already.
func (o *BulkStarted) startedBefore(ctx context.Context, engine *Exports, b ledger.Bulk) error {
	s, err := engine.StatusOf(ctx, b)
	if err != nil {
		return err
	}
	o.Summary = fmt.Sprintf("The bulk export %s was started before with the same request and is %s", b.Name, s.Bulk.State)
	o.Chunks = s.Counts.All() // sizes may have become known since
	if s.Damaged > 0 {
		o.Summary += ": " + damagedText(s.Damaged) + " (" + s.lostText() + ")"
	}
	o.Summary += ". "
	o.Next = "`get_bulk_export` shows its state."
	switch s.Bulk.State {
	case ledger.BulkCancelled:
		o.Next = "To export the same rows after all, call again with another `name`; files stored so far stay in `folder`."
	case ledger.BulkPaused:
		o.Next += " `control_bulk_export` with resume continues it."
	case ledger.BulkPartial, ledger.BulkFailed:
		o.Next += " `control_bulk_export` with `retry_failed` exports again what failed or is missing on disk."
	}
	if kept := noticesOf(b); kept != nil {
		o.Warnings = kept
	}
	return nil
}

// folderFree fails if the folder has files that the ledger does not know: exports of
// another account, or of a ledger that was deleted.
func (a *Account) folderFree(ctx context.Context, name string) error {
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
	return wrong("name", "the folder %s already has exports that the ledger does not know. Give another name.", at)
}

// cutBulk cuts the range of an export into chunks. It fails if an end is open. profile
// may be nil.
func cutBulk(e preflight.Export, by cut, profile *plan.Profile) (*plan.Plan, error) {
	length, err := by.granularity()
	if err != nil {
		return nil, err
	}
	zone, err := plan.Zone(e.Request.Timezone)
	if err != nil {
		return nil, err
	}
	calendar := plan.Calendar{Zone: zone, Week: time.Monday}
	p, err := by.split(e.Range, profile, plan.Cut{Granularity: length, Calendar: calendar})
	return p, preflight.In("time_range", err)
}

// measureBulk measures stored exports of the same rows as b. With a token for confirm it
// leaves out what was exported since the dry run, so that the chunks are the same again.
func (a *Account) measureBulk(ctx context.Context, b plannedBulk) (measured, error) {
	zone, err := plan.Zone(b.export.Request.Timezone)
	if err != nil {
		return measured{}, err
	}
	release, err := a.Hold(ctx)
	if err != nil {
		return measured{}, err
	}
	defer release()
	files, err := a.stored(ctx)
	if err != nil {
		return measured{}, err
	}
	if b.in.Consent.token(b.in.Confirm) != "" {
		files = slices.DeleteFunc(files, func(f storedFile) bool { return f.file.ExportedAt.After(b.at) })
	}
	now, _ := a.clock()
	m := measure(files, b.export.Request, zone, now)
	if m.limit, err = a.concurrencyLimit(ctx); b.in.MaxInFlight > 0 {
		m.limit = min(m.limit, b.in.MaxInFlight)
	}
	return m, err
}

// nameLimit is the most characters of a folder's name.
const nameLimit = 64

// folderName returns the name of a folder: the given one in lower case, with other
// characters than letters, digits, - _ and . replaced, or one made from the request.
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
	name = strings.TrimRight(name[:min(len(name), nameLimit)], ".") // Windows ignores dots there
	device, _, _ := strings.Cut(name, ".")
	switch {
	case slices.Contains(devices, device):
		return "export-" + name[:min(len(name), nameLimit-7)]
	case strings.Trim(name, ".-_") == "" || strings.HasPrefix(name, "."):
		return "export" + name[:min(len(name), nameLimit-6)]
	}
	return name
}

// devices are names that Windows gives to devices, with or without an extension, so that no
// folder can have them. A folder may be copied there.
var devices = []string{
	"con", "prn", "aux", "nul", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
}
