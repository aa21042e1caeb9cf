package exports

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// SyncResult is a sync after a request.
type SyncResult struct {
	Summary  string             `json:"summary"`
	Reused   bool               `json:"reused,omitempty" jsonschema_description:"It was there before."`
	Sync     *SyncStatus        `json:"sync,omitempty" schema:"brief"`
	Warnings []preflight.Notice `json:"warnings" schema:"brief"`
	Confirm  string             `json:"confirm,omitempty"`
	Next     string             `json:"next,omitempty"`
}

// Sync carries out a request about a sync. zone is the zone of a new one if the request
// names none. It fails with a *plan.Error about an argument, with an explained error, or
// with one of the ledger or of Fullstory.
func (a *Account) Sync(ctx context.Context, in SyncRequest, zone string) (SyncResult, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return SyncResult{}, err
	}
	if strings.TrimSpace(in.Name) == "" {
		return SyncResult{}, wrong("name", "give the sync a name, such as visits.")
	}
	in.Name = syncName(in.Name)
	old, err := engine.o.Ledger.Sync(ctx, engine.o.Account, in.Name)
	known := err == nil
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return SyncResult{}, err
	}
	if in.Action == SyncCreate {
		if known {
			return a.syncAgain(ctx, engine, in, old)
		}
		return a.addSync(ctx, engine, in, zone)
	}
	if !known {
		return SyncResult{}, unknownSync(in.Name, ledger.ErrNotFound)
	}
	switch in.Action {
	case SyncChange:
		return a.changeSync(ctx, engine, in, old)
	case SyncPause, SyncResume:
		return a.pauseSync(ctx, engine, old, in.Action == SyncPause)
	case SyncRemove:
		return a.removeSync(ctx, engine, old)
	}
	return SyncResult{}, wrong("action", "%q is not an action. Give create, change, pause, resume or remove.",
		client.Clean(string(in.Action), 50))
}

// syncAgain returns the sync that a request to create it describes, if that is the one of its
// name.
func (a *Account) syncAgain(ctx context.Context, engine *Exports, in SyncRequest, old ledger.Sync) (SyncResult, error) {
	p, err := a.planSync(ctx, in, "", &old)
	if err != nil {
		return SyncResult{}, err
	}
	if s := p.sync; !sameRequest(s, old) || s.Every != old.Every || s.At != old.At || s.Chunk != old.Chunk ||
		s.Lag != old.Lag || s.CatchUp != old.CatchUp || !s.Anchor.Equal(old.Anchor) || s.Parquet != old.Parquet ||
		s.Table != old.Table || s.Destination != old.Destination || s.DestinationTable != old.DestinationTable {
		return SyncResult{}, wrong("name", "the sync %s exists and differs. Use the action change to change it, "+
			"or give another name.", old.Name)
	}
	out, err := a.syncResult(ctx, engine, old.ID, "The sync "+old.Name+" exists already, with the same request.", p)
	out.Reused = true
	return out, err
}

// addSync adds a sync with its first bulk export, and wakes it.
func (a *Account) addSync(ctx context.Context, engine *Exports, in SyncRequest, zone string) (SyncResult, error) {
	if in.SegmentID == "" || in.Type == "" {
		missing := "segment_id"
		if in.SegmentID != "" {
			missing = "type"
		}
		return SyncResult{}, wrong(missing, "it is needed to create a sync.")
	}
	p, err := a.planSync(ctx, in, zone, nil)
	if err != nil {
		return SyncResult{}, err
	}
	p.sync.ID, p.sync.Account, p.sync.Name = ledger.NewID("sync"), engine.o.Account, in.Name
	p.sync.Generation, p.sync.CreatedAt = 1, engine.o.Now()
	p.sync.NextAt = p.at // it wakes at once
	if in.DryRun {
		return p.dryRun(ctx, a, nil)
	}
	if p.sync.Consent, err = a.mayAdd(ctx, p, nil); err != nil {
		return SyncResult{}, err
	}
	b, left, err := a.bulkLeft(ctx, engine, p)
	if err != nil {
		return SyncResult{}, err
	}
	p.sync.Bulk = b.ID
	err = engine.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		place := t.AddBulk
		if left {
			place = func(b ledger.Bulk) error { return t.JoinSync(b.ID, p.sync) }
		}
		if err := place(b); err != nil {
			return err
		}
		return errors.Join(t.AddSync(p.sync), p.saveDestination(t), t.Wake(b.Account))
	})
	if errors.Is(err, ledger.ErrConflict) {
		err = wrong("name", "an export is called %s already. Give another name.", in.Name)
	}
	if err != nil {
		return SyncResult{}, err
	}
	a.wakeNow(ctx, engine, p.sync.ID)
	return a.syncResult(ctx, engine, p.sync.ID, sentences("The sync "+in.Name+" is set up.", p.later), p)
}

// bulkLeft returns the bulk export that an earlier sync of the same name and request has left,
// to go on with; left is then true. Otherwise it returns a new one, for a folder that is free.
func (a *Account) bulkLeft(ctx context.Context, engine *Exports, p plannedSync) (b ledger.Bulk, left bool, err error) {
	b, err = engine.o.Ledger.Bulk(ctx, engine.o.Account, p.sync.Name)
	if errors.Is(err, ledger.ErrNotFound) {
		return p.newBulk(engine, p.sync.Name), false, a.folderFree(ctx, p.sync.Name)
	}
	if err != nil || b.Sync == "" || b.State == ledger.BulkCancelled {
		return p.newBulk(engine, p.sync.Name), false, err
	}
	_, used := engine.o.Ledger.Sync(ctx, engine.o.Account, b.Sync)
	same := sameRequest(p.sync, ledger.Sync{Request: b.Request})
	if errors.Is(used, ledger.ErrNotFound) && same {
		return b, true, nil
	}
	return p.newBulk(engine, p.sync.Name), false, nil // its name is taken
}

// newBulk returns a bulk export, without windows, for the sync.
func (p plannedSync) newBulk(engine *Exports, name string) ledger.Bulk {
	now := engine.o.Now()
	return ledger.Bulk{
		ID: ledger.NewID("bulk"), Account: engine.o.Account, Name: name, Request: p.sync.Request,
		Fingerprint: "sync " + p.sync.ID, Granularity: p.sync.Chunk, Settle: true, State: ledger.BulkComplete,
		CreatedAt: now, FinishedAt: now, Fetch: true, Key: engine.o.Client.KeyHash(), SegmentName: p.sync.SegmentName,
		Sync: p.sync.ID,
	}
}

// windows returns how many windows the sync adds at the instant of its request.
func (p plannedSync) windows(recorded []ledger.SyncWindow) (int, error) {
	terms, err := bulk.TermsOf(p.sync)
	if err != nil {
		return 0, err
	}
	missing, _ := terms.Missing(recorded, p.at, bulk.MostMissing)
	return len(missing), nil
}

// wakeNow wakes a sync at once. What goes wrong is recorded with it; the engine tries again.
func (a *Account) wakeNow(ctx context.Context, engine *Exports, id string) {
	if !a.Sandbox && !a.heard() {
		return // the engine does, once Fullstory's clock is known
	}
	if _, err := engine.engine.TryWake(ctx, id, a.Clock()); err != nil && a.Log != nil {
		a.Log.Debug("a sync could not be woken", "sync", id, "error", err)
	}
}

// changeSync changes a sync. If the request changes, what is stored stays as it is, and all
// windows are exported anew to another folder: rows of two requests are never mixed.
func (a *Account) changeSync(
	ctx context.Context, engine *Exports, in SyncRequest, old ledger.Sync,
) (SyncResult, error) {
	p, err := a.planSync(ctx, in, "", &old)
	if err != nil {
		return SyncResult{}, err
	}
	anew := !sameRequest(p.sync, old)
	var recorded []ledger.SyncWindow
	if !anew {
		if recorded, err = engine.o.Ledger.SyncWindows(ctx, old.Bulk); err != nil {
			return SyncResult{}, err
		}
	}
	if in.DryRun {
		out, err := p.dryRun(ctx, a, recorded)
		out.Summary = sentences(out.Summary, p.changesInWords(old, anew))
		return out, err
	}
	if p.sync.Consent, err = a.mayAdd(ctx, p, recorded); err != nil {
		return SyncResult{}, err
	}
	summary := "The sync " + old.Name + " is changed; its stored windows stay."
	var b ledger.Bulk
	if anew {
		if b, err = a.nextGeneration(ctx, engine, &p); err != nil {
			return SyncResult{}, err
		}
		summary = fmt.Sprintf("The sync %s has another request now. The windows stored so far stay in their folder, as "+
			"they are; all windows from %s on are exported anew, to the folder %s.", old.Name,
			At(p.sync.Anchor, p.export.Request), b.Name)
	}
	p.sync.NextAt, p.sync.Tries, p.sync.Reason = p.at, 0, old.Reason
	err = engine.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return p.save(t, b, anew) })
	if err != nil {
		return SyncResult{}, unknownSync(old.Name, err)
	}
	a.wakeNow(ctx, engine, old.ID)
	return a.syncResult(ctx, engine, old.ID, sentences(summary, p.later), p)
}

// save records a changed sync, anew with the bulk export of its next generation. Parquet files are
// made of what is stored already, too.
func (p *plannedSync) save(t *ledger.Tx, b ledger.Bulk, anew bool) error {
	if anew {
		if err := t.AddBulk(b); err != nil {
			return err
		}
	}
	now, err := t.Sync(p.sync.ID)
	if err != nil {
		return err
	}
	p.sync.Paused, p.sync.WokeAt = now.Paused, now.WokeAt
	note := p.sync.About(ledger.SyncChanged)
	note.Request = p.sync.Request
	if !anew && p.sync.Parquet {
		if b, err = t.Bulk(p.sync.Bulk); err == nil {
			err = t.RequestConversion(b, p.sync.Table)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(t.SaveSync(p.sync), p.saveDestination(t), t.Note(note), t.Wake(p.sync.Account))
}

// nextGeneration returns the bulk export of the next generation of a sync, in a folder that
// is free.
func (a *Account) nextGeneration(ctx context.Context, engine *Exports, p *plannedSync) (ledger.Bulk, error) {
	for range 1000 {
		p.sync.Generation++
		suffix := fmt.Sprintf("-%d", p.sync.Generation)
		name := p.sync.Name[:min(len(p.sync.Name), nameLimit-len(suffix))] + suffix
		_, err := engine.o.Ledger.Bulk(ctx, engine.o.Account, name)
		if errors.Is(err, ledger.ErrNotFound) {
			err = a.folderFree(ctx, name)
			if err == nil {
				b := p.newBulk(engine, name)
				p.sync.Bulk = b.ID
				return b, nil
			}
		}
		if err != nil && Explain(err).Kind != Arguments {
			return ledger.Bulk{}, err
		}
	}
	return ledger.Bulk{}, wrong("name", "the names of further folders are taken. Add a sync of another name.")
}

// pauseSync pauses a sync and its bulk export, or resumes them.
func (a *Account) pauseSync(ctx context.Context, engine *Exports, s ledger.Sync, pause bool) (SyncResult, error) {
	event, action, did := ledger.SyncResumed, Resume, "resumed"
	if pause {
		event, action, did = ledger.SyncPaused, Pause, "paused; stored files stay"
	}
	changed := s.Paused != pause
	err := engine.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		now, err := t.Sync(s.ID)
		if err != nil {
			return err
		}
		if now.Paused, now.Reason = pause, ""; pause {
			now.Reason = PausedOnRequest
		}
		if now.Tries = 0; !pause {
			now.NextAt = a.Clock()
		}
		if changed {
			err = t.Note(now.About(event))
		}
		return errors.Join(err, t.SaveSync(now), t.Wake(s.Account))
	})
	if err != nil {
		return SyncResult{}, unknownSync(s.Name, err)
	}
	if _, err := engine.Control(ctx, s.Bulk, action); err != nil && !errors.Is(err, ErrWrongState) {
		return SyncResult{}, err
	}
	if !pause {
		if err := engine.hurryConversion(ctx, s); err != nil {
			return SyncResult{}, err
		}
		a.wakeNow(ctx, engine, s.ID)
	}
	return a.syncResult(ctx, engine, s.ID, fmt.Sprintf("The sync %s is %s.", s.Name, did), plannedSync{})
}

// removeSync removes a sync. Its bulk export ends with the windows it has.
func (a *Account) removeSync(ctx context.Context, engine *Exports, s ledger.Sync) (SyncResult, error) {
	if err := engine.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.RemoveSync(s) }); err != nil {
		return SyncResult{}, unknownSync(s.Name, err)
	}
	b, err := engine.o.Ledger.Bulk(ctx, s.Account, s.Bulk)
	if err != nil {
		return SyncResult{}, err
	}
	return SyncResult{
		Warnings: []preflight.Notice{},
		Summary: fmt.Sprintf("The sync %s is removed. Its files stay in %s, and windows that it had begun are "+
			"completed there.", s.Name, engine.Folder(b)),
		Next: "`control_bulk_export` of " + b.Name + " cancels what is under way.",
	}, nil
}

// syncResult returns the result of a request: summary, what p warns of, and the state of the
// sync.
func (a *Account) syncResult(
	ctx context.Context, engine *Exports, id, summary string, p plannedSync,
) (SyncResult, error) {
	s, err := engine.o.Ledger.Sync(ctx, engine.o.Account, id)
	if err != nil {
		return SyncResult{}, unknownSync(id, err)
	}
	status, err := a.syncStatus(ctx, engine, s)
	if err != nil {
		return SyncResult{}, err
	}
	out := SyncResult{Summary: sentences(summary, status.Summary), Sync: &status, Warnings: p.warnings, Next: status.Next}
	if out.Warnings == nil {
		out.Warnings = []preflight.Notice{}
	}
	return out, nil
}
