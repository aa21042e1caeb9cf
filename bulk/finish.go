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

// manifestEvery is how often the manifest of a bulk export under way is
// written, if anything was stored.
const manifestEvery = time.Minute

// finish ends bulk exports of which nothing is left to do, and keeps their
// manifests.
func (w *worker) finish(ctx context.Context) {
	written := map[string]writtenManifest{}
	kept := w.window.saved()
	for {
		began := time.Now()
		if now := w.window.saved(); now != kept && w.o.Ledger.SaveWindow(ctx, w.o.Account, now) == nil {
			kept = now
		}
		for _, state := range []ledger.BulkState{ledger.BulkRunning, ledger.BulkPaused, ledger.BulkCancelled} {
			err := w.eachBulk(ctx, func(b ledger.Bulk) error { return w.end(ctx, b, written) }, state)
			if err != nil && ctx.Err() == nil {
				w.hindered(ctx, err, began)
			}
		}
		if !await(ctx, w.ends, lookAround) {
			return
		}
	}
}

// writtenManifest is what a manifest was written of, and when.
type writtenManifest struct {
	state  ledger.BulkState
	stored int
	at     time.Time
}

// end looks whether a bulk export has ended, and writes its manifest when it is
// due.
func (w *worker) end(ctx context.Context, b ledger.Bulk, written map[string]writtenManifest) error {
	last, seen := written[b.ID]
	if b.State == ledger.BulkCancelled && seen && last.state == b.State {
		return nil
	}
	left, err := w.o.Ledger.Left(ctx, b.ID)
	if err != nil || left && seen && last.state == b.State && time.Since(last.at) < manifestEvery {
		return err
	}
	n, err := w.o.Ledger.Count(ctx, b.ID)
	if err != nil {
		return err
	}
	if b.State == ledger.BulkRunning && n.Running() == 0 && n.By[ledger.ChunkPlanned] == 0 {
		over, err := w.over(ctx, b, n)
		if err != nil {
			return err
		}
		if over {
			b.State, b.FinishedAt = outcome(n), w.o.Now()
			if err := w.writeManifest(ctx, b, n); err != nil {
				return err
			}
			return ignoreMoved(w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
				return t.MoveBulk(b.ID, ledger.BulkRunning, b.State, "", b.FinishedAt)
			}))
		}
	}
	now := writtenManifest{state: b.State, stored: n.By[ledger.ChunkStored], at: time.Now()}
	written[b.ID] = now
	if seen && last.state == now.state && last.stored == now.stored || !seen && b.State == ledger.BulkRunning && now.stored == 0 {
		return nil
	}
	return w.writeManifest(ctx, b, n)
}

// outcome is how a bulk export ends that has nothing left to do.
func outcome(n ledger.Counts) ledger.BulkState {
	switch {
	case n.By[ledger.ChunkFailed] == 0:
		return ledger.BulkComplete
	case n.By[ledger.ChunkStored] == 0:
		return ledger.BulkFailed
	}
	return ledger.BulkPartial
}

// over tells whether nothing is left to do at all. What was exported too early
// is planned again once its rows have settled, if that was asked for.
func (w *worker) over(ctx context.Context, b ledger.Bulk, n ledger.Counts) (bool, error) {
	if !b.Settle || n.Provisional == 0 {
		return true, nil
	}
	early, err := w.o.Ledger.Unsettled(ctx, b.ID, w.apiNow(ctx).Add(-Settled), manyBulks)
	if err != nil {
		return false, err
	}
	for _, c := range early {
		c.Export, c.NextAt, c.Attempts = "", time.Time{}, 0
		err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return move(t, c, ledger.ChunkPlanned) })
		if ignoreMoved(err) != nil {
			return false, err
		}
	}
	nudge(w.creates)
	return false, nil
}

// writeManifest writes what the ledger knows of the files of a bulk export.
func (w *worker) writeManifest(ctx context.Context, b ledger.Bulk, n ledger.Counts) error {
	began := time.Now()
	m, err := w.manifest(ctx, b)
	if err != nil || len(m.Files) == 0 && n.By[ledger.ChunkStored] == 0 && b.State != ledger.BulkComplete {
		return err
	}
	if err = w.o.Archive.WriteManifest(b.Name, m); err == nil {
		err = w.o.Mirror.CopyManifest(ctx, w.o.Archive, b.Name)
	}
	var disk *archive.DiskError
	var copying *mirror.Error
	if (errors.As(err, &disk) || errors.As(err, &copying) && !copying.Temporary) && b.State == ledger.BulkRunning {
		w.pauseAll(ctx, err, began)
	}
	return err
}

// manifest returns the manifest of a bulk export.
func (e *Engine) manifest(ctx context.Context, b ledger.Bulk) (archive.Manifest, error) {
	m := archive.Manifest{
		Account: b.Account, Name: b.Name, BulkID: b.ID, State: string(b.State), Request: b.Request, Chunk: b.Chunk,
		CreatedAt: b.CreatedAt, WrittenAt: e.o.Now().UTC(), Files: []archive.File{},
	}
	var r client.ExportRequest
	if err := json.Unmarshal(b.Request, &r); err != nil {
		return m, err
	}
	m.Now = parse(r.Now)
	var settled, early []plan.Range
	err := e.o.Ledger.Files(ctx, b.ID, func(f ledger.File) error {
		var file archive.File
		if err := json.Unmarshal(f.Detail, &file); err != nil {
			return err
		}
		m.Files = append(m.Files, file)
		window := plan.Range{Start: parse(file.Start), End: parse(file.End)}
		if file.Provisional {
			early = append(early, window)
		} else {
			settled = append(settled, window)
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	whole := plan.NewWindows(plan.Range{Start: parse(r.TimeRange.Start), End: parse(r.TimeRange.End)})
	final, provisional := plan.NewWindows(settled...), plan.NewWindows(early...)
	m.Coverage = &archive.Coverage{Settled: windows(final), Provisional: windows(provisional), Missing: windows(whole.Without(final).Without(provisional))}
	return m, nil
}

func windows(w plan.Windows) []archive.Window {
	list := []archive.Window{}
	for _, r := range w {
		list = append(list, archive.Window{Start: r.Start.UTC().Format(time.RFC3339Nano), End: r.End.UTC().Format(time.RFC3339Nano)})
	}
	return list
}

func parse(instant string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, instant)
	if err != nil {
		return time.Time{}
	}
	return t
}
