package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
)

const (
	// manifestEvery is the least time between two manifests of a running bulk export.
	manifestEvery = time.Minute
	// finishEach is how often open bulk exports are checked without a signal: the rows of
	// one may have settled.
	finishEach = 10 * time.Second
)

// finish ends bulk exports that have no unfinished chunks, exports once more the chunks
// whose rows have settled since, and writes manifests.
func (w *worker) finish(ctx context.Context) {
	written := map[string]time.Time{} // when the manifest was last written, by bulk export
	kept := w.limit.Saved()
	for {
		began := time.Now()
		if now := w.limit.Saved(); now != kept && w.o.Ledger.SaveConcurrencyLimit(ctx, w.o.Account, now) == nil {
			kept = now
		}
		open, err := w.finishAll(ctx, written)
		if err != nil && ctx.Err() == nil {
			w.handle(ctx, err, began)
		}
		wait := idle
		if open > 0 || err != nil {
			wait = finishEach
		}
		// A pass costs a few queries for each open bulk export. The pause lets many stored
		// chunks share one.
		if !await(ctx, nil, 100*time.Millisecond) || !await(ctx, w.ends, wait) {
			return
		}
	}
}

// finishAll calls finishOne for every open bulk export and returns how many there are. It
// tells the client for how many callers they run.
// An error of one does not stop the others; it returns the last.
func (w *worker) finishAll(ctx context.Context, written map[string]time.Time) (open int, err error) {
	bulks, err := w.o.Ledger.Open(ctx, w.o.Account)
	callers := map[string]bool{}
	for _, b := range bulks {
		if b.State == ledger.BulkRunning && b.AskedBy != ledger.Local {
			callers[b.AskedBy] = true
		}
	}
	w.client.BulkFor(len(callers))
	for _, b := range bulks {
		if failed := w.finishOne(ctx, b, written); failed != nil {
			err = failed
		}
	}
	return len(bulks), err
}

// finishOne ends a bulk export if it has no unfinished chunks, and writes its manifest if
// that is due. It writes the manifest before the end, so an ended one has it.
func (w *worker) finishOne(ctx context.Context, b ledger.Bulk, written map[string]time.Time) error {
	n, err := w.o.Ledger.Count(ctx, b.ID)
	if err != nil {
		return err
	}
	if n.Left() == 0 {
		w.Wake(w.converts)
	}
	over := b.State == ledger.BulkRunning && n.Left() == 0
	if over && b.Settle && n.Provisional > 0 {
		if over, err = w.settle(ctx, b); err != nil {
			return err
		}
	}
	if over {
		b.State, b.FinishedAt = outcome(n), w.o.Now()
	}
	// While windows are stored one manifest has to do for many of them. Once all are, those
	// who wait for them find it up to date.
	soon := b.State == ledger.BulkRunning && !(b.ManifestDue && n.Left() == 0)
	if soon && time.Since(written[b.ID]) < manifestEvery {
		return nil
	}
	if err := w.o.Ledger.WritingManifest(ctx, b.ID); err != nil {
		return err
	}
	if err := w.writeManifest(ctx, b, n); err != nil {
		return err
	}
	written[b.ID] = time.Now()
	if over {
		end := func(t *ledger.Tx) error {
			if err := t.NothingLeft(b.ID); err != nil {
				return err
			}
			return t.EndBulk(b.ID, b.State, b.FinishedAt)
		}
		return ignoreConflict(w.o.Ledger.Write(ctx, end))
	}
	return w.o.Ledger.ManifestWritten(ctx, b.ID)
}

// outcome returns the state in which a bulk export ends, from its chunks.
func outcome(n ledger.Counts) ledger.BulkState {
	switch {
	case n.By[failed] == 0:
		return ledger.BulkComplete
	case n.By[stored] == 0:
		return ledger.BulkFailed
	}
	return ledger.BulkPartial
}

// settle plans the chunks once more that were exported before their rows had settled
// and whose rows have settled since. over is true if no chunk is left to settle.
func (w *worker) settle(ctx context.Context, b ledger.Bulk) (over bool, err error) {
	first, err := w.o.Ledger.FirstUnsettled(ctx, b.ID)
	settled := w.apiNow(ctx).Add(-Settled)
	if err != nil || first.IsZero() || first.After(settled) {
		return err == nil && first.IsZero(), err
	}
	early, err := w.o.Ledger.Unsettled(ctx, b.ID, settled, mostWatched)
	if err != nil {
		return false, err
	}
	for _, a := range early {
		if _, _, err := w.apply(ctx, b, a, Event{Kind: Settle}); err != nil {
			return false, err
		}
	}
	return false, nil
}

// writeManifest writes the manifest of a bulk export, unless it has no files, and copies
// it to the mirror. An error that needs an administrator pauses the bulk exports that
// it concerns.
func (w *worker) writeManifest(ctx context.Context, b ledger.Bulk, n ledger.Counts) error {
	began := time.Now()
	m, err := w.Manifest(ctx, b)
	if err != nil || len(m.Files) == 0 && n.By[stored] == 0 && b.State != ledger.BulkComplete {
		return err
	}
	if err = w.o.Archive.WriteManifest(ctx, b.Name, m); err == nil {
		err = w.o.Mirror.CopyManifest(ctx, w.o.Archive, b.Name)
	}
	disk, full := errors.AsType[*archive.DiskError](err)
	copying, failed := errors.AsType[*mirror.Error](err)
	if full || failed && !copying.Temporary {
		w.pause(ctx, err, began, func(other ledger.Bulk) bool { return concerns(disk, nil, b, other) })
	}
	return err
}

// Manifest returns the manifest of a bulk export by the ledger. The one in its folder
// may be manifestEvery older.
func (e *Engine) Manifest(ctx context.Context, b ledger.Bulk) (archive.Manifest, error) {
	m := archive.Manifest{
		Account: b.Account, Name: b.Name, BulkID: b.ID, State: string(b.State), Request: b.Request, Chunk: b.Granularity,
		CreatedAt: b.CreatedAt, WrittenAt: e.o.Now().UTC(), Program: e.o.Program, Files: []archive.File{}, Notices: b.Notices,
		SegmentName: b.SegmentName,
	}
	var r client.ExportRequest
	if err := json.Unmarshal(b.Request, &r); err != nil {
		m.Request = nil // a manifest without the request is better than none
	}
	m.Now = client.Instant(r.Now)
	err := e.o.Ledger.Files(ctx, b.ID, func(f ledger.File) error {
		var file archive.File
		if err := json.Unmarshal(f.Detail, &file); err != nil {
			return err
		}
		m.Files = append(m.Files, file)
		return nil
	})
	whole := plan.Range{Start: client.Instant(r.TimeRange.Start), End: client.Instant(r.TimeRange.End)}
	m.Coverage = archive.CoverageOf(whole, m.Files)
	return m, err
}
