package exports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// SyncStatus is the state of a sync. Its times are in the zone of its request.
type SyncStatus struct {
	Summary  string         `json:"summary"`
	SyncID   string         `json:"sync_id"`
	Name     string         `json:"name"`
	State    SyncState      `json:"state" jsonschema_description:"current, behind, failing, paused."`
	Every    string         `json:"every"`
	At       string         `json:"at,omitempty"`
	Chunk    string         `json:"chunk"`
	From     string         `json:"from"`
	Lag      string         `json:"lag"`
	CatchUp  ledger.CatchUp `json:"catch_up"`
	Windows  SyncWindows    `json:"windows"`
	Complete string         `json:"complete_until,omitempty" jsonschema_description:"Every window before it is stored and its rows have settled."`
	LastRun  string         `json:"last_run,omitempty"`
	NextRun  string         `json:"next_run,omitempty"`
	BulkID   string         `json:"bulk_id"`
	Folder   string         `json:"folder"`
	Parquet  *BulkParquet   `json:"parquet,omitempty" schema:"brief"`
	Into     string         `json:"into,omitempty"` // table that the rows are loaded into, and its database
	Export   *Description   `json:"export,omitempty" schema:"brief"`
	Problems []BulkProblem  `json:"problems"`
	Next     string         `json:"next,omitempty"`
}

// SyncState says whether a sync is up to date.
type SyncState string

// The states.
const (
	// every window that is over is stored, except for those it leaves out, and so are the Parquet
	// files and rows in a database that follow from them
	CurrentSync SyncState = "current"
	BehindSync  SyncState = "behind"  // these are being made, or will be
	FailingSync SyncState = "failing" // some failed, or cannot be made for a reason that lasts
	PausedSync  SyncState = "paused"
)

// SyncStatus returns the state of a sync, given by its id or name.
func (a *Account) SyncStatus(ctx context.Context, idOrName string) (SyncStatus, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return SyncStatus{}, err
	}
	a.learnClock(ctx)
	s, err := engine.syncOf(ctx, idOrName)
	if err != nil {
		return SyncStatus{}, err
	}
	return a.syncStatus(ctx, engine, s)
}

// learnClock asks Fullstory for the time if that is not known, for at most laterTime: which
// windows of a sync are over is by its clock.
func (a *Account) learnClock(ctx context.Context) {
	if a.Sandbox || a.heard() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, laterTime)
	defer cancel()
	_, _ = a.askMe(ctx) // without an answer this machine's clock has to do
}

// Syncs returns the states of all syncs of the account, by their names.
func (a *Account) Syncs(ctx context.Context) ([]SyncStatus, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	a.learnClock(ctx)
	syncs, err := engine.o.Ledger.Syncs(ctx, engine.o.Account)
	list := make([]SyncStatus, 0, len(syncs))
	for _, s := range syncs {
		status, failed := a.syncStatus(ctx, engine, s)
		if failed != nil {
			return nil, failed
		}
		list = append(list, status)
	}
	return list, err
}

// SyncNames returns the names of all syncs of the account. It is faster than Syncs.
func (a *Account) SyncNames(ctx context.Context) (names []string, err error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	syncs, err := engine.o.Ledger.Syncs(ctx, engine.o.Account)
	for _, s := range syncs {
		names = append(names, s.Name)
	}
	return names, err
}

// syncStatus returns the state of a sync.
func (a *Account) syncStatus(ctx context.Context, engine *Exports, s ledger.Sync) (SyncStatus, error) {
	b, err := engine.o.Ledger.Bulk(ctx, s.Account, s.Bulk)
	if err != nil {
		return SyncStatus{}, err
	}
	status, err := engine.StatusOf(ctx, b)
	if err != nil {
		return SyncStatus{}, err
	}
	now := a.Clock()
	progress, err := syncProgress(ctx, engine.o.Ledger, s, now, status.files.damaged)
	if err != nil {
		return SyncStatus{}, err
	}
	summary := summarize(engine, status)
	request, _ := requestOf(b)
	out := SyncStatus{
		SyncID: s.ID, Name: s.Name, Every: s.Every, At: s.At, Chunk: s.Chunk, From: StampIn(s.Anchor, zoneOf(request)),
		Lag: shortDuration(s.Lag), CatchUp: s.CatchUp, LastRun: StampIn(s.WokeAt, zoneOf(request)), BulkID: b.ID,
		Folder: summary.Folder, Parquet: summary.Parquet, Export: summary.Export, Problems: summary.Problems,
		Windows: progress.Windows, Complete: StampIn(progress.CompleteUntil, zoneOf(request)),
	}
	if !s.Paused {
		out.NextRun = StampIn(s.NextAt, zoneOf(request))
	}
	if s.Destination != "" {
		out.Into = destinationTable(s) + " of " + s.Destination
	}
	out.setState(s, status)
	out.inWords(s, request, now)
	return out, nil
}

// setState sets the state, and adds the reason of the sync to the problems. A pause on request
// is a state, and not a problem.
func (o *SyncStatus) setState(s ledger.Sync, status Status) {
	o.Problems = slices.DeleteFunc(o.Problems, func(p BulkProblem) bool { return p.Problem == PausedOnRequest })
	if s.Reason != "" && s.Reason != PausedOnRequest {
		reason := client.Clean(s.Reason, problemLimit)
		o.Problems = append([]BulkProblem{{Problem: reason}}, o.Problems...)
	}
	switch {
	case s.Paused || status.Bulk.State == ledger.BulkPaused && status.Bulk.Reason == PausedOnRequest:
		o.State = PausedSync
	case status.Bulk.State == ledger.BulkPaused, o.Windows.Failed > 0, s.Tries > 0, o.landed(ParquetFailed):
		o.State = FailingSync
	case o.Windows.Missing > 0, status.Bulk.ManifestDue, o.landed(ParquetPending):
		o.State = BehindSync // also while the manifest lacks windows that are stored
	default:
		o.State = CurrentSync
	}
}

// landed reports whether the sync has stored windows, and the Parquet files of them are in a state.
func (o *SyncStatus) landed(state ParquetState) bool {
	return o.Parquet != nil && o.Parquet.State == state && o.Windows.Stored > 0
}

// inWords sets the summary and the next step.
func (o *SyncStatus) inWords(s ledger.Sync, request client.ExportRequest, now time.Time) {
	stored := fmt.Sprintf("%d of %s stored", o.Windows.Stored, Counted(o.Windows.Over, "window"))
	if o.Windows.LeftOut > 0 {
		stored += fmt.Sprintf(", %d left out (`catch_up` latest)", o.Windows.LeftOut)
	}
	switch o.State {
	case PausedSync:
		o.Summary = fmt.Sprintf("%s is paused: %s.", o.Name, stored)
		o.Next = "`sync_export` with the action resume continues it."
	case FailingSync:
		o.Summary = fmt.Sprintf("%s has problems: %s.", o.Name, stored)
		o.Next = "Once the cause is fixed, which may need the user, `sync_export` with the action resume continues at once."
	case BehindSync:
		switch {
		case o.Windows.Missing > 0:
		case o.landed(ParquetPending) && o.Into != "":
			stored += ", and not all of their rows are loaded yet"
		case o.landed(ParquetPending):
			stored += ", and their Parquet files are not all made yet"
		default:
			stored += ", and its manifest is being written"
		}
		o.Summary = fmt.Sprintf("%s is catching up: %s.", o.Name, stored)
		o.Next = "`get_bulk_export` of its `bulk_id` shows the progress."
	default:
		o.Summary = fmt.Sprintf("%s is up to date: %s.", o.Name, stored)
		if o.Windows.Over == 0 {
			o.Summary = o.Name + " waits for its first window to be over."
		}
	}
	terms := plannedSync{sync: s, export: preflight.Export{Request: request}}.inWords()
	o.Summary = sentences(o.Summary, strings.ToUpper(terms[:1])+terms[1:]+".")
	if o.Into != "" {
		o.Summary += " Its rows are loaded into " + o.Into + "."
	}
	if !s.Paused && s.NextAt.After(now) {
		o.Summary += " It looks next at " + At(s.NextAt, request) + "."
	}
}

// inWords says what is exported when, such as "every day at 06:00 (Europe/Berlin) it adds the
// windows of a day, once they have been over for 24 h".
func (p plannedSync) inWords() string {
	s := p.sync
	at := ""
	if s.At != "" {
		at = " at " + s.At
	}
	zone := cmp.Or(p.export.Request.Timezone, "UTC")
	ended := "once they are over"
	if s.Lag > 0 {
		ended = "once they have been over for " + lasted(s.Lag)
	}
	text := fmt.Sprintf("every %s%s (%s) it adds the windows of %s, %s", s.Every, at, zone, oneChunk(s.Chunk), ended)
	if s.Lag < bulk.Settled {
		text += ", and exports them again once their rows have settled"
	}
	return text
}

// oneChunk writes a granularity, such as "an hour", "a day" or "PT6H".
func oneChunk(chunk string) string {
	switch chunk {
	case "hour":
		return "an hour"
	case "day", "week", "month", "quarter":
		return "a " + chunk
	}
	return chunk
}

// shortDuration writes a duration such as 24h or 1h30m.
func shortDuration(d time.Duration) string {
	text := d.String()
	text = strings.TrimSuffix(text, "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return cmp.Or(text, "0")
}
