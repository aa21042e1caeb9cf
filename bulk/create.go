package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// createTime bounds one create.
	createTime = 30 * time.Second
	// leastLease is how much of the lead must be left to begin one: another
	// process that takes over must not find it on its way.
	leastLease = 3 * time.Second
	// lastWords is how long a create that is on its way is waited for when the
	// process ends.
	lastWords = 4 * time.Second
)

// create creates exports one after another. There is never more than one
// create of an account on its way, so that an operation that nobody knows can
// be told to be its.
func (w *worker) create(ctx context.Context) {
	for {
		wait, err := w.createNext(ctx)
		if err != nil && ctx.Err() == nil {
			w.troubled(ctx, err)
			wait = candidacy
		}
		if wait > 0 && !await(ctx, w.creates, wait) || ctx.Err() != nil {
			return
		}
	}
}

// createNext creates the export that is due, and returns how long to wait
// before the next.
func (w *worker) createNext(ctx context.Context) (wait time.Duration, err error) {
	open, err := w.settleIntents(ctx)
	if err != nil {
		return 0, err
	}
	if open {
		return intentPause, nil
	}
	singles, err := w.o.Ledger.Exports(ctx, w.o.Account, ledger.ExportPlanned, 1)
	if err != nil {
		return 0, err
	}
	if len(singles) > 0 {
		return w.createSingle(ctx, singles[0])
	}
	b, c, err := w.nextChunk(ctx)
	if err != nil || c == nil {
		return lookAround, err
	}
	return w.createChunk(ctx, b, *c)
}

// nextChunk returns the chunk whose export is due: of the bulk exports with
// room for one more that which has the fewest in flight.
func (w *worker) nextChunk(ctx context.Context) (of ledger.Bulk, c *ledger.Chunk, err error) {
	inFlight, err := w.o.Ledger.InFlight(ctx, w.o.Account)
	if err != nil {
		return of, nil, err
	}
	total := 0
	for _, n := range inFlight {
		total += n
	}
	if total >= w.window.exports() {
		return of, nil, nil
	}
	err = w.eachBulk(ctx, func(b ledger.Bulk) error {
		n := inFlight[b.ID]
		if b.MaxInFlight > 0 && n >= b.MaxInFlight || c != nil && n > inFlight[of.ID] {
			return nil
		}
		due, err := w.o.Ledger.Due(ctx, b.ID, ledger.ChunkPlanned, time.Now(), 1)
		if len(due) > 0 {
			of, c = b, &due[0] // the oldest of equals comes last
		}
		return err
	}, ledger.BulkRunning)
	return of, c, err
}

// request returns the request of a chunk. The window of everyone follows the
// chunk; one that was given for another segment is that of all chunks.
func request(b ledger.Bulk, c ledger.Chunk) (r client.ExportRequest, err error) {
	if err := json.Unmarshal(b.Request, &r); err != nil {
		return r, err
	}
	window := client.TimeRange{Start: c.Start.UTC().Format(time.RFC3339Nano), End: c.End.UTC().Format(time.RFC3339Nano)}
	if r.SegmentID == everyone && r.SegmentTimeRange != nil && *r.SegmentTimeRange == r.TimeRange {
		r.SegmentTimeRange = &window
	}
	r.TimeRange = window
	return r, nil
}

// everyone is the id of the built-in segment of all people.
const everyone = "everyone"

// createChunk creates the export of a chunk, or finds one that serves as well.
func (w *worker) createChunk(ctx context.Context, b ledger.Bulk, c ledger.Chunk) (wait time.Duration, err error) {
	r, err := request(b, c)
	if err != nil {
		return 0, err
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	x := ledger.Export{
		ID: ledger.NewID("export"), Account: w.o.Account, Bulk: b.ID, Number: c.Number, Fingerprint: fingerprint(r, b.NowGiven), Request: raw,
		State: ledger.ExportCreating, AskedAt: time.Now(), IntentAt: w.apiNow(ctx), AskedBy: b.AskedBy,
	}
	c.Export = x.ID
	if used, err := w.reuse(ctx, x, c); used || err != nil {
		return 0, ignoreMoved(err)
	}
	if err := w.leading(leastLease); err != nil {
		return candidacy, nil
	}
	err = w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.Holds(w.lead); err != nil {
			return err
		}
		if err := t.AddExport(x); err != nil {
			return err
		}
		return move(t, c, ledger.ChunkCreating)
	})
	if err != nil {
		return 0, ignoreMoved(err)
	}
	c.State = ledger.ChunkCreating
	began := time.Now()
	spanned, done := step(ctx, "create chunk", b, c)
	operation, err := w.post(spanned, r)
	done()
	if err != nil {
		return w.notCreated(ctx, b, c, x, began, err)
	}
	w.unreachable = 0
	w.troubled(ctx, nil)
	return 0, w.created(ctx, x, &c, operation)
}

// ignoreMoved takes it for nothing that somebody else was faster.
func ignoreMoved(err error) error {
	if errors.Is(err, ledger.ErrMoved) {
		return nil
	}
	return err
}

// post sends the request. One that is on its way when the process is to end
// gets some time for its answer.
func (w *worker) post(ctx context.Context, r client.ExportRequest) (operation string, err error) {
	limit := createTime
	if until, ends := w.lead.Until(); ends {
		limit = min(limit, time.Until(until)-time.Second)
	}
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })
	defer stop()
	return w.client.CreateSegmentExport(detached, r)
}

// apiNow returns the API's clock, which its times are compared with.
func (w *worker) apiNow(ctx context.Context) time.Time {
	if now, ok := w.client.Clock(); ok {
		return now
	}
	if _, err := w.client.Me(ctx); err == nil {
		if now, ok := w.client.Clock(); ok {
			return now
		}
	}
	return w.o.Now()
}

// reuse lets an identical export serve a chunk that was created after the
// chunk's rows had settled and can still be fetched.
func (w *worker) reuse(ctx context.Context, x ledger.Export, c ledger.Chunk) (used bool, err error) {
	there, err := w.o.Ledger.Reusable(ctx, w.o.Account, x.Fingerprint, x.IntentAt.Add(time.Hour))
	if errors.Is(err, ledger.ErrUnknown) || err == nil && there.CreatedAt.Before(c.End.Add(Settled)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	x.State, x.Operation, x.SearchExport = there.State, there.Operation, there.SearchExport
	x.CreatedAt, x.FinishedAt, x.ExpiresAt = there.CreatedAt, there.FinishedAt, there.ExpiresAt
	to := ledger.ChunkRunning
	if there.State == ledger.ExportCompleted {
		to = ledger.ChunkReady
	}
	err = w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.AddExport(x); err != nil {
			return err
		}
		return move(t, c, to)
	})
	nudge(w.downloads)
	nudge(w.watches)
	return true, err
}

// created writes down the operation of an export that was accepted. When the
// export is not wanted any more by then, the operation is cancelled.
func (w *worker) created(ctx context.Context, x ledger.Export, c *ledger.Chunk, operation string) error {
	ctx = context.WithoutCancel(ctx)
	x.State, x.Operation, x.CreatedAt = ledger.ExportRunning, operation, x.IntentAt
	err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.SaveExport(x, ledger.ExportCreating); err != nil {
			return err
		}
		if c == nil {
			return nil
		}
		return move(t, *c, ledger.ChunkRunning)
	})
	nudge(w.watches)
	if errors.Is(err, ledger.ErrMoved) {
		return w.orphan(ctx, x)
	}
	return err
}

// orphan cancels an operation of ours that nothing waits for. One that another
// process has found and adopted meanwhile is none.
func (w *worker) orphan(ctx context.Context, x ledger.Export) error {
	now, err := w.o.Ledger.Export(ctx, x.ID)
	if err != nil {
		return err
	}
	if now.Operation == x.Operation || slices.Contains(possible(candidates(now)), x.Operation) {
		return nil
	}
	w.o.Log.Warn("an export that nothing waits for is cancelled", "operation", x.Operation, "bulk", x.Bulk)
	cancelled := w.client.CancelOperation(ctx, x.Operation)
	x.State = ledger.ExportCancelled
	err = w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.SaveExport(x, ledger.ExportCreating) })
	if errors.Is(err, ledger.ErrMoved) { // settled meanwhile: note the operation by itself
		x.ID = ledger.NewID("export")
		err = w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.AddExport(x) })
	}
	var failed *client.Error
	if errors.As(cancelled, &failed) && failed.Status != 0 && failed.Status < 500 {
		cancelled = nil // it has ended already
	}
	return errors.Join(err, cancelled)
}

// notCreated takes back an intent that certainly came to nothing. One that may
// have come to something stays, and is searched for.
func (w *worker) notCreated(ctx context.Context, b ledger.Bulk, c ledger.Chunk, x ledger.Export, began time.Time, cause error) (wait time.Duration, err error) {
	var failed *client.Error
	if !errors.As(cause, &failed) || failed.Uncertain {
		return 0, nil
	}
	to := ledger.ChunkPlanned
	if accountFault(failed) {
		w.pauseAll(context.WithoutCancel(ctx), cause, began)
	}
	pause := false
	if refusedRequest(failed) {
		counts, err := w.o.Ledger.Count(context.WithoutCancel(ctx), b.ID)
		if err != nil {
			return 0, err
		}
		// A request of which nothing was ever accepted will be refused for every
		// chunk.
		if counts.Running()-counts.By[ledger.ChunkCreating]+counts.By[ledger.ChunkStored] > 0 {
			to, c.Error = ledger.ChunkFailed, w.o.Explain(ctx, cause)
		} else {
			pause = true
		}
	}
	c.Export = ""
	x.State, x.Error = ledger.ExportFailed, failureJSON(failed)
	err = w.o.Ledger.Write(context.WithoutCancel(ctx), func(t *ledger.Tx) error {
		if err := t.SaveExport(x, ledger.ExportCreating); err != nil {
			return err
		}
		if pause {
			reason := w.o.Explain(ctx, cause)
			if err := t.PauseBulk(b.ID, reason, began); err != nil && !errors.Is(err, ledger.ErrMoved) {
				return err
			}
		}
		return move(t, c, to)
	})
	nudge(w.ends)
	return w.backOff(ctx, failed), ignoreMoved(err)
}

// backOff returns how long no further create is tried after one that failed.
func (w *worker) backOff(ctx context.Context, failed *client.Error) time.Duration {
	switch {
	case failed.Status == http.StatusTooManyRequests:
		w.window.refused(time.Now())
		return max(time.Second, failed.RetryAfter)
	case failed.Status == 0:
		w.troubled(ctx, failed)
		w.unreachable++
		return jitter(min(time.Minute, time.Second<<min(w.unreachable, 6)))
	}
	return 0
}

// jitter spreads a wait between half of it and all of it.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
