package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/rows"
)

// Bringing is a file of older exports that becomes that of a window of a sync.
type Bringing struct {
	Sync   string            // its id
	Bulk   ledger.Bulk       // of the sync
	Window ledger.SyncWindow // one of those of Terms.Lacking, or that of Seen
	Seen   *ledger.Attempt   // the chunk of the window as it was read; nil: the sync has none

	Load        func(ctx context.Context, to io.Writer) error // writes the file
	Bytes       int64                                         // about how many it writes
	Empty       bool                                          // it writes nothing: the file has 0 bytes
	Request     client.ExportRequest
	OperationID string // if the file is that of one export
	ExportedAt  time.Time
	Took        time.Duration
	// From returns the files that this one is made of, at most archive.MostMerged, and how many
	// others there are. It is called after Load.
	From func() (files []archive.MergedFile, leftOut int)
}

// BringIn stores a file that another export than that of its window made. The file is verified
// and durable before one transaction records it: it adds the window if the sync has none there,
// and moves the anchor of the sync back to its start if it lies before. A process that is killed
// leaves at most a file that no ledger has on record, or that is not recorded yet; BringIn of the
// same window again makes that right.
//
// superseded is where the file that this one replaced is kept, relative to the folder. BringIn
// returns ledger.ErrConflict if the sync or the chunk is not as it was read: then the file is
// not recorded, and the caller must read both anew. It fails as archive.Bring does, and with
// an *archive.BusyError while another process fetches a file of that window.
func (e *Engine) BringIn(ctx context.Context, in Bringing) (file archive.File, superseded string, err error) {
	r := in.Request
	wanted := archive.Wanted{
		Folder: in.Bulk.Name, OperationID: in.OperationID,
		Name:       archive.FileName(in.Window.Start, in.Window.End, archive.Suffix(string(r.Format))),
		Rules:      rows.RulesOf(string(r.Type), string(r.Format), r.Fields).Within(in.Window.Start, in.Window.End),
		ExportedAt: in.ExportedAt, Took: in.Took, Replace: true, Copy: e.o.Mirror.Copy(in.Bulk.Name),
		// The part is locked from before this check until the file has its name, so nobody else
		// publishes a file of this window in between.
		Check: func(archive.File, string) error {
			return e.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return in.asSeen(t) })
		},
	}
	load := func(ctx context.Context, p *archive.Part) (archive.Loaded, error) {
		if err := p.Reserve(in.Bytes); err != nil {
			return archive.Loaded{}, err
		}
		return archive.Loaded{Empty: in.Empty}, in.Load(ctx, p)
	}
	if file, superseded, err = e.o.Archive.Bring(ctx, wanted, load); err != nil {
		return file, "", err
	}
	file.Provisional = file.ExportedAt.Before(in.Window.End.Add(Settled))
	file.MergedFrom, file.MergedLeftOut = in.From()
	err = e.o.Ledger.Write(context.WithoutCancel(ctx), func(t *ledger.Tx) error { return e.recordBrought(t, in, file) })
	if err == nil {
		e.Wake()
	}
	return file, superseded, err
}

// asSeen returns ErrConflict unless the chunk is as it was read, or, if there was none, unless
// the sync still has no window that overlaps. It takes the lock of the sync first, as WakeSync.
func (in Bringing) asSeen(t *ledger.Tx) error {
	s, err := t.Sync(in.Sync)
	if err != nil {
		return err
	}
	if s.Bulk != in.Bulk.ID {
		return ledger.ErrConflict
	}
	if in.Seen != nil {
		now, err := t.Attempt(in.Seen.Bulk, in.Seen.Number)
		if err == nil && !now.Equal(*in.Seen) {
			err = ledger.ErrConflict
		}
		return err
	}
	last, err := t.WindowBefore(in.Bulk.ID, in.Window.End) // they do not overlap each other
	if err == nil && last.End.After(in.Window.Start) {
		err = ledger.ErrConflict
	}
	return ignoreNotFound(err)
}

// recordBrought is the transaction of BringIn.
func (e *Engine) recordBrought(t *ledger.Tx, in Bringing, file archive.File) error {
	if err := in.asSeen(t); err != nil {
		return err
	}
	s, err := t.Sync(in.Sync)
	if err != nil {
		return err
	}
	b, err := t.Bulk(in.Bulk.ID)
	if err != nil {
		return err
	}
	chunk := ledger.Attempt{Bulk: b.ID}
	if in.Seen != nil {
		chunk = *in.Seen
	} else if chunk.Number, err = addWindow(t, s, b, in.Window); err != nil {
		return err
	}
	before := chunk.State
	if _, _, changed, err := e.transact(t, b, chunk, Event{Kind: BringIn, File: file}); err != nil || !changed {
		return errors.Join(err, map[bool]error{false: ledger.ErrConflict}[changed])
	}
	if b.State.Ended() && (before == failed || file.Provisional) { // it ends anew, or has to settle
		if err := t.MoveBulk(b.ID, b.State, ledger.BulkRunning, "", time.Time{}); err != nil {
			return err
		}
	}
	return t.Wake(s.Account)
}

// bringIn is the transition of BringIn: it gives the chunk a file that no export of it made.
func bringIn(s *step, e Event) {
	s.forget()
	s.State, s.Rows, s.Bytes, s.StoredAt, s.Provisional = stored, e.File.Rows, e.File.Bytes, s.now, e.File.Provisional
	s.Creates, s.Damage, s.Candidates, s.Failure = 0, "", nil, nil
	s.effect(Effect{Do: Publish, File: e.File})
}

// addWindow adds a window to a sync, and returns the number of its chunk.
func addWindow(t *ledger.Tx, s ledger.Sync, b ledger.Bulk, w ledger.SyncWindow) (number int64, err error) {
	if w.Start.Before(s.Anchor) {
		if s, err = anchoredAt(s, w.Start); err != nil {
			return 0, err
		}
		if err := t.SaveSync(s); err != nil {
			return 0, err
		}
	}
	request, err := requestUntil(s, b, []ledger.SyncWindow{w})
	if err != nil {
		return 0, err
	}
	if err := t.AddWindows(b, []ledger.SyncWindow{w}, request); err != nil {
		return 0, err
	}
	if s.Parquet {
		if err := t.RequestConversion(b, s.Table); err != nil {
			return 0, err
		}
	}
	return t.LastNumber(b.ID)
}

// anchoredAt returns a sync whose first window begins at an earlier instant.
func anchoredAt(s ledger.Sync, at time.Time) (ledger.Sync, error) {
	var r client.ExportRequest
	if err := json.Unmarshal(s.Request, &r); err != nil {
		return s, err
	}
	follows := r.SegmentTimeRange != nil && *r.SegmentTimeRange == r.TimeRange
	if r.TimeRange.Start = at.UTC().Format(time.RFC3339Nano); follows {
		same := r.TimeRange
		r.SegmentTimeRange = &same
	}
	raw, err := json.Marshal(r)
	// Which windows leave no gap is found again by the next wake.
	s.Request, s.Anchor, s.CoveredTo = raw, at.UTC(), time.Time{}
	return s, err
}

// PublishManifest writes the manifest of a bulk export by the ledger, and copies it to the
// mirror. It stays due, so that a leaseholder writes it once more.
func (e *Engine) PublishManifest(ctx context.Context, b ledger.Bulk) error {
	b, err := e.o.Ledger.Bulk(ctx, b.Account, b.ID)
	if err != nil {
		return err
	}
	m, err := e.Manifest(ctx, b)
	if err != nil {
		return err
	}
	if err := e.o.Archive.WriteManifest(ctx, b.Name, m); err != nil {
		return err
	}
	return e.o.Mirror.CopyManifest(ctx, e.o.Archive, b.Name)
}

// Lacking returns the windows that a sync lacks at an instant of Fullstory's clock, of those
// from its anchor on, or from the first one before it that covered has wholly, and at least a
// part of which is in covered. Unlike Missing it does so whatever CatchUp says. anchor is where
// the first of these windows begins, at the latest the anchor of the sync.
func (t Terms) Lacking(
	covered plan.Windows, recorded []ledger.SyncWindow, now time.Time,
) (lacking []ledger.SyncWindow, anchor time.Time) {
	t.sync.CatchUp, t.sync.CoveredTo = ledger.CatchUpAll, time.Time{}
	for _, r := range covered {
		begin := t.firstBoundary(r.Start)
		end := t.chunk.NextBoundary(begin, t.calendar)
		if begin.Before(t.sync.Anchor) && len(recorded) > 0 && end.After(t.sync.Anchor) {
			end = t.sync.Anchor
		}
		if begin.Before(t.sync.Anchor) && !end.After(r.End) {
			t.sync.Anchor = begin.UTC()
			break
		}
	}
	all, _ := t.Missing(recorded, now, MostMissing)
	next := 0
	for _, w := range all {
		for next < len(covered) && !covered[next].End.After(w.Start) {
			next++
		}
		if next < len(covered) && covered[next].Start.Before(w.End) {
			lacking = append(lacking, w)
		}
	}
	return lacking, t.sync.Anchor
}

// firstBoundary returns the first instant, not before at, at which a window may begin. Windows
// of elapsed time are counted back from the anchor.
func (t Terms) firstBoundary(at time.Time) time.Time {
	step := t.chunk.NextBoundary(t.sync.Anchor, t.calendar).Sub(t.sync.Anchor)
	if text := t.chunk.String(); text != "" && text[0] == 'P' && at.Before(t.sync.Anchor) {
		return t.sync.Anchor.Add(-t.sync.Anchor.Sub(at) / step * step)
	}
	return t.chunk.NextBoundary(at.Add(-time.Nanosecond), t.calendar)
}
