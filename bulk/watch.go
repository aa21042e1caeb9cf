package bulk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// looksEach is how often an export is looked at while it takes as long as
	// most.
	looksEach = 4
	// fastest and slowest bound the time between two looks.
	fastest = 500 * time.Millisecond
	slowest = 30 * time.Second
	// singleReads is how many operations that the list does not have are asked
	// for one by one in a round.
	singleReads = 5
	// forgotten is after how long an operation that the API does not know counts
	// as never created.
	forgotten = time.Minute
)

// rhythm is how often the operations are looked at. It is learnt from how long
// they take.
type rhythm struct {
	took  []time.Duration // of the last that completed
	pause time.Duration   // while nothing is known
}

func (r *rhythm) done(took time.Duration) {
	if r.took = append(r.took, took); len(r.took) > 20 {
		r.took = r.took[1:]
	}
}

// next returns how long to wait before the next look.
func (r *rhythm) next() time.Duration {
	if len(r.took) == 0 {
		r.pause = min(slowest/2, max(fastest, r.pause*5/4))
		return r.pause
	}
	sorted := slices.Sorted(slices.Values(r.took))
	return min(slowest, max(fastest, sorted[len(sorted)/2]/looksEach))
}

// watch follows every export that Fullstory works on.
func (w *worker) watch(ctx context.Context) {
	var r rhythm
	if took, err := w.o.Ledger.Durations(ctx, w.o.Account, 20); err == nil {
		r.took = took
	}
	for {
		began := time.Now()
		spanned, span := tracer.Start(ctx, "look at exports")
		n, err := w.look(spanned, &r)
		span.End()
		wait := lookAround
		switch {
		case err != nil:
			w.hindered(ctx, err, began)
			wait = jitter(2 * candidacy)
		case n > 0:
			w.troubled(ctx, nil)
			wait = r.next()
		}
		nudged := w.watches
		if n > 0 {
			nudged = nil // a new export has its own time
		}
		if !await(ctx, nudged, wait) {
			return
		}
	}
}

// hindered takes in an error that is not one of a chunk, of something that began
// at began: the account's pauses all work, others are told while they last.
func (w *worker) hindered(ctx context.Context, err error, began time.Time) {
	var failed *client.Error
	if errors.As(err, &failed) && accountFault(failed) {
		w.pauseAll(ctx, err, began)
	}
	w.troubled(ctx, err)
}

// pauseAll pauses every bulk export, with what a person has to do. One that was
// resumed after that began which failed goes on: it may be mended by now.
func (w *worker) pauseAll(ctx context.Context, cause error, began time.Time) {
	reason := w.o.Explain(ctx, cause)
	err := w.eachBulk(ctx, func(b ledger.Bulk) error {
		return ignoreMoved(w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
			return t.PauseBulk(b.ID, reason, began)
		}))
	}, ledger.BulkRunning)
	if err != nil {
		w.troubled(ctx, err)
	}
	nudge(w.ends)
}

// look asks once how all exports stand, and returns how many there were.
func (w *worker) look(ctx context.Context, r *rhythm) (n int, err error) {
	var watched []ledger.Export
	for _, state := range []ledger.ExportState{ledger.ExportRunning, ledger.ExportUncertain} {
		some, err := w.o.Ledger.Exports(ctx, w.o.Account, state, manyBulks)
		if err != nil {
			return 0, err
		}
		watched = append(watched, some...)
	}
	if watched, err = w.unwanted(ctx, watched); err != nil || len(watched) == 0 {
		return 0, err
	}
	found, err := w.find(ctx, watched)
	if err != nil {
		return len(watched), err
	}
	for id := range w.seen {
		if !slices.ContainsFunc(watched, func(x ledger.Export) bool { return x.ID == id }) {
			delete(w.seen, id)
		}
	}
	for _, x := range watched {
		ended, err := w.stands(ctx, x, found, len(watched))
		if err != nil {
			return len(watched), err
		}
		if took := ended.FinishedAt.Sub(ended.CreatedAt); ended.State == client.Completed && took > 0 {
			r.done(took)
		}
	}
	return len(watched), nil
}

// unwanted cancels at Fullstory what nobody waits for any more, and returns the
// rest.
func (w *worker) unwanted(ctx context.Context, watched []ledger.Export) (wanted []ledger.Export, err error) {
	for _, x := range watched {
		if x.Bulk != "" {
			c, err := w.o.Ledger.Chunk(ctx, x.Bulk, x.Number)
			if err != nil {
				return nil, err
			}
			if c.Export != x.ID || c.State == ledger.ChunkCancelled {
				if err := w.cancel(ctx, x, ledger.ExportCancelled); err != nil {
					return nil, err
				}
				continue
			}
		}
		wanted = append(wanted, x)
	}
	return wanted, nil
}

// cancel cancels the operation of an export, if it has one, and notes it. One
// that may be another's, or that another export uses as well, is left alone.
func (w *worker) cancel(ctx context.Context, x ledger.Export, to ledger.ExportState) error {
	from := x.State
	shared, err := w.o.Ledger.Shared(ctx, x.Account, x.Operation)
	if err != nil {
		return err
	}
	if x.State == ledger.ExportRunning && x.Operation != "" && !shared {
		err := w.client.CancelOperation(ctx, x.Operation)
		var failed *client.Error
		if errors.As(err, &failed) && !refusedRequest(failed) {
			return err // refused: it has ended
		}
	}
	x.State = to
	return ignoreMoved(w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.SaveExport(x, from) }))
}

// find returns the operations of the exports, by id. One list tells of a
// hundred; those that it does not have are asked for one by one, some in each
// round.
func (w *worker) find(ctx context.Context, watched []ledger.Export) (map[string]client.Operation, error) {
	missing := map[string]bool{}
	oldest := watched[0].IntentAt
	for _, x := range watched {
		if x.Operation != "" {
			missing[x.Operation] = true
		}
		for _, operation := range possible(candidates(x)) {
			missing[operation] = true
		}
		if x.IntentAt.Before(oldest) {
			oldest = x.IntentAt
		}
	}
	found := make(map[string]client.Operation, len(missing))
	q := client.OperationQuery{Type: client.SearchExport, Limit: 100}
	for most := 2 + len(missing)/50; most > 0 && len(missing) > 0; most-- {
		page, err := w.client.Operations(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, op := range page.Operations {
			if missing[op.ID] {
				found[op.ID] = op
				delete(missing, op.ID)
			}
		}
		if page.Next == "" || page.Next == q.Cursor || len(page.Operations) == 0 || newestFirst(page.Operations) && page.Operations[len(page.Operations)-1].CreatedAt.Before(oldest.Add(-clockMargin)) {
			break
		}
		q.Cursor = page.Next
	}
	reads := 0
	for id := range missing {
		if reads++; reads > singleReads {
			break
		}
		op, err := w.client.Operation(ctx, id)
		var failed *client.Error
		if errors.As(err, &failed) && failed.Status == http.StatusNotFound {
			found[id] = client.Operation{ID: id, State: unknownState}
			continue
		}
		if err != nil {
			return nil, err
		}
		found[id] = op
	}
	return found, nil
}

// unknownState stands for an operation that the API does not know.
const unknownState client.State = "UNKNOWN"

// stands takes in how an export stands. The operation that it returns is the
// export's, if that has ended.
func (w *worker) stands(ctx context.Context, x ledger.Export, found map[string]client.Operation, inFlight int) (ended client.Operation, err error) {
	age := w.age(ctx, x)
	if x.State == ledger.ExportUncertain {
		return ended, w.decide(ctx, x, found, age)
	}
	op, known := found[x.Operation]
	switch {
	case !known:
		return ended, nil
	case op.State == client.Completed:
		if took := op.FinishedAt.Sub(op.CreatedAt); took > 0 && x.Bulk != "" {
			w.window.done(time.Now(), took, inFlight)
		}
		return op, w.completed(ctx, x, op)
	case op.State == client.Failed:
		return op, w.failed(ctx, x, ledger.ExportFailed, "Fullstory could not complete the export: "+op.Error)
	case op.State == unknownState && age > forgotten:
		return ended, w.failed(ctx, x, ledger.ExportLost, "Fullstory does not know the export any more.")
	case age > w.o.Deadline:
		if err := w.client.CancelOperation(ctx, x.Operation); err != nil {
			w.o.Log.Debug("bulk", "cancel", err)
		}
		return ended, w.failed(ctx, x, ledger.ExportCancelled, fmt.Sprintf("Fullstory worked on the export for more than %s, so it was cancelled.", w.o.Deadline))
	}
	return ended, nil
}

// age returns for how long an export has been on its way, by the API's clock
// and by that of this process: a jump of either ends none.
func (w *worker) age(ctx context.Context, x ledger.Export) time.Duration {
	first, known := w.seen[x.ID]
	if !known {
		first = time.Now()
		w.seen[x.ID] = first
	}
	return min(w.apiNow(ctx).Sub(x.IntentAt), time.Since(first))
}

// completed makes the file of an export due.
func (w *worker) completed(ctx context.Context, x ledger.Export, op client.Operation) error {
	from := x.State
	x.State, x.Operation, x.SearchExport = ledger.ExportCompleted, op.ID, op.ExportID
	x.CreatedAt, x.FinishedAt, x.ExpiresAt = op.CreatedAt, op.FinishedAt, op.ExportExpires
	err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.SaveExport(x, from); err != nil {
			return err
		}
		return moveOwn(t, x, ledger.ChunkReady)
	})
	nudge(w.downloads)
	nudge(w.creates)
	return ignoreMoved(err)
}

// decide looks whether one of the operations that may be an export has
// completed; its content decides. Those that failed are out of question.
func (w *worker) decide(ctx context.Context, x ledger.Export, found map[string]client.Operation, age time.Duration) error {
	list := candidates(x)
	for i, c := range list {
		op, known := found[c.Operation]
		switch {
		case c.Rejected || !known:
		case op.State == client.Completed:
			return w.completed(ctx, x, op)
		case op.State == client.Failed || op.State == unknownState || age > w.o.Deadline:
			list[i].Rejected = true
			unclear := ""
			if op.State != unknownState {
				unclear = op.ID
			}
			return w.rejected(ctx, x, list, unclear, ledger.ExportUncertain)
		}
	}
	return nil
}

// failed takes in an export that came to nothing.
func (w *worker) failed(ctx context.Context, x ledger.Export, to ledger.ExportState, reason string) error {
	from := x.State
	x.State = to
	x.Error = failureJSON(&client.Error{Op: "export", Message: reason})
	err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.SaveExport(x, from); err != nil || x.Bulk == "" {
			return err
		}
		c, err := t.Chunk(x.Bulk, x.Number)
		if err != nil || c.Export != x.ID || c.State == ledger.ChunkCancelled {
			return err
		}
		return w.again(t, c, reason, to != ledger.ExportLost)
	})
	nudge(w.creates)
	nudge(w.ends)
	return ignoreMoved(err)
}
