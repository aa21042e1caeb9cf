package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// Rules returns the rules of a bulk export.
func (e *Engine) Rules(b ledger.Bulk) Rules {
	return Rules{Deadline: e.o.Deadline, Floor: e.o.Floor, Single: b.Single, Fetch: b.Fetch}
}

// apply is Engine.Apply for a leaseholder: Send also requires that the lease is held, and Reuse that
// the operation is not being cancelled.
func (w *worker) apply(ctx context.Context, b ledger.Bulk, a ledger.Attempt, e Event) (ledger.Attempt, bool, error) {
	first := func(*ledger.Tx) error { return nil }
	switch e.Kind {
	case Send:
		first = func(t *ledger.Tx) error { return t.Holds(w.lease) }
	case Reuse:
		first = func(t *ledger.Tx) error { return t.Reuse(a.Account, e.Is.ID) }
	}
	return w.Apply(ctx, b, a, e, first)
}

// Apply applies an event to an attempt, with all effects of Next, in one transaction,
// and wakes the loops that the new state concerns. It reads the attempt inside the
// transaction, so the event meets the present state whatever happened since a was
// read. changed is false if the event changed nothing. The event is recorded even if
// ctx has ended: it is the result of I/O that has happened. first runs first in the
// transaction, and Apply returns its error.
func (e *Engine) Apply(
	ctx context.Context, b ledger.Bulk, a ledger.Attempt, event Event, first func(*ledger.Tx) error,
) (now ledger.Attempt, changed bool, err error) {
	ctx = context.WithoutCancel(ctx)
	var next Attempt
	var effects []Effect
	err = e.o.Ledger.Write(ctx, func(t *ledger.Tx) (err error) {
		if err := first(t); err != nil {
			return err
		}
		next, effects, changed, err = e.transact(t, b, a, event)
		return err
	})
	if err != nil {
		return a, false, err
	}
	e.wakeFor(next.State)
	for _, f := range effects {
		if f.Do == Discard {
			_, err = e.o.Archive.SetAside(b.Name, f.File.Name, time.Now())
		}
	}
	return next.Attempt, changed, err
}

// transact is the part of Apply inside the transaction.
func (e *Engine) transact(t *ledger.Tx, b ledger.Bulk, a ledger.Attempt, event Event) (
	next Attempt, effects []Effect, changed bool, err error,
) {
	present, err := t.Attempt(a.Bulk, a.Number)
	if err == nil && b.Single { // its file may have been requested meanwhile
		b, err = t.Bulk(b.ID)
	}
	if err != nil {
		return next, nil, false, err
	}
	next, effects = Next(Attempt{present, e.Rules(b)}, event, time.Now())
	if len(effects) == 0 && present.Equal(next.Attempt) {
		return next, nil, false, nil
	}
	err = t.SaveAttempt(next.Attempt, present.State)
	for _, f := range effects {
		if err == nil {
			err = e.carryOut(t, b, next.Attempt, f)
		}
	}
	return next, effects, true, err
}

// confine keeps an error of one attempt from stopping the others: the attempt fails
// with it as the reason, and confine returns nil. It returns the errors that concern
// more: of the ledger, of Fullstory, of a lost lease, and any once ctx has ended.
func (w *worker) confine(ctx context.Context, b ledger.Bulk, a ledger.Attempt, err error) error {
	_, store := errors.AsType[*ledger.Error](err)
	if err == nil || ctx.Err() != nil || store || client.KindOf(err) != "" || errors.Is(err, ledger.ErrNotLeader) {
		return err
	}
	w.o.Log.Error("internal error", "bulk", a.Bulk, "chunk", a.Number, "error", err)
	_, _, err = w.apply(ctx, b, a, Event{Kind: Break, Reason: "Internal error: " + err.Error() + "."})
	return err
}

// wakeFor wakes the loops that have work after a transition to state: the cancel loop
// always, because any transition may leave an orphan.
func (e *Engine) wakeFor(state ledger.ChunkState) {
	loops := map[ledger.ChunkState][]chan struct{}{
		planned: {e.creates}, creating: {e.creates}, uncertain: {e.watches}, running: {e.watches},
		ready: {e.fetches, e.creates},
		split: {e.creates}, stored: {e.ends, e.creates}, failed: {e.ends, e.creates}, completed: {e.creates},
	}
	e.Wake(append([]chan struct{}{e.cancels}, loops[state]...)...)
}

// carryOut carries out one effect inside the transaction.
func (e *Engine) carryOut(t *ledger.Tx, b ledger.Bulk, a ledger.Attempt, f Effect) error {
	switch f.Do {
	case Record:
		return record(t, b, a, f.Operation)
	case Note:
		return noteExport(t, b, a, f)
	case Split:
		return splitWindow(t, a)
	case Publish:
		return publish(t, b, a, f)
	case Accepted:
		if b.Rejections > 0 || !b.NextAt.IsZero() {
			return t.Pace(b.ID, 0, time.Time{})
		}
	case Rejected:
		return rejected(t, b, f)
	case Delay:
		return t.Pace(b.ID, b.Rejections, time.Now().Add(f.After))
	case End:
		return ignoreConflict(t.MoveBulk(b.ID, b.State, f.State, f.Reason, e.o.Now()))
	}
	return nil
}

// record saves the facts about an operation.
func record(t *ledger.Tx, b ledger.Bulk, a ledger.Attempt, o ledger.Operation) error {
	r, err := RequestOf(b, a)
	if err != nil {
		return err
	}
	o.Account, o.Bulk, o.Number = a.Account, a.Bulk, a.Number
	if r.SegmentID != "" {
		o.Fingerprint = client.Fingerprint(r, b.NowGiven)
	}
	return t.PutOperation(o)
}

// noteExport adds an entry about an operation to the audit log, a created one with its request.
func noteExport(t *ledger.Tx, b ledger.Bulk, a ledger.Attempt, f Effect) error {
	entry := b.About(f.Event)
	entry.Operation = f.Operation.ID
	if f.Event == ledger.Created {
		r, err := RequestOf(b, a)
		if err != nil {
			return err
		}
		if entry.Request, err = json.Marshal(r); err != nil {
			return err
		}
	}
	if f.Reason != "" {
		entry.Detail = ledger.Because(f.Reason)
	}
	return t.Note(entry)
}

// splitWindow plans the two halves of a window. The middle is a whole number of minutes
// after the start.
func splitWindow(t *ledger.Tx, a ledger.Attempt) error {
	last, err := t.LastNumber(a.Bulk)
	if err != nil {
		return err
	}
	middle := a.Start.Add((a.End.Sub(a.Start) / 2).Truncate(time.Minute))
	return t.AddAttempts([]ledger.Attempt{
		{Bulk: a.Bulk, Number: last + 1, Account: a.Account, Start: a.Start, End: middle, State: planned},
		{Bulk: a.Bulk, Number: last + 2, Account: a.Account, Start: middle, End: a.End, State: planned},
	})
}

// publish records a verified file as that of a chunk. The Parquet file of an earlier one is
// then due to be made again.
func publish(t *ledger.Tx, b ledger.Bulk, a ledger.Attempt, f Effect) error {
	detail, err := json.Marshal(f.File)
	if err != nil {
		return err
	}
	file := ledger.File{
		Account: b.Account, Folder: FolderOf(b, a), Name: f.File.Name, Bulk: b.ID, Number: a.Number, Detail: detail,
	}
	if err := t.PutFile(file); err != nil {
		return err
	}
	if err := t.RenewConversion(b.ID); err != nil {
		return err
	}
	entry := b.About(ledger.Stored)
	entry.Operation = a.Operation
	facts := map[string]any{
		"file": f.File.Name, "rows": f.File.Rows, "bytes": f.File.Bytes, "sha256": f.File.SHA256,
	}
	if len(f.File.MergedFrom) > 0 {
		facts["merged_from"], entry.Caller = f.File.MergedFrom, ""
	}
	entry.Detail, err = json.Marshal(facts)
	if err != nil {
		return err
	}
	return t.Note(entry)
}

// rejected counts a create that Fullstory rejected. While Fullstory has accepted nothing
// of the bulk export, the next create is delayed, and after MostCreates rejections in
// a row, or a final one, the bulk export is paused.
func rejected(t *ledger.Tx, b ledger.Bulk, f Effect) error {
	b, err := t.Bulk(b.ID)
	if err != nil || b.Single || !f.Early {
		return err
	}
	n := b.Rejections + 1
	if !f.Final && n < MostCreates {
		return t.Pace(b.ID, n, time.Now().Add(resendAfter<<(n-1)))
	}
	if err := t.Pace(b.ID, 0, time.Time{}); err != nil {
		return err
	}
	reason := f.Reason + " Resume this export once Fullstory accepts it, or start a corrected one under another `name`."
	return ignoreConflict(t.PauseBulk(b.ID, reason, time.Now())) // a conflict: paused or cancelled meanwhile
}
