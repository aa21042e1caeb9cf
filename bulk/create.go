package bulk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	createOp = "create segment export"
	// answerLost and searching are the reason of an attempt whose operation is searched
	// for. Fullstory's error, if it sent one, comes between them.
	answerLost = "Fullstory's answer to the create was lost"
	searching  = " Its operation is being searched for."
	// createTime bounds one create, because creates of other exports wait for it. If the
	// answer comes later, it is lost.
	createTime = 15 * time.Second
	// leastLease is how long the lease must last to begin a create, so that none is on
	// its way when the next leaseholder takes over.
	leastLease = 3 * time.Second
	// answerGrace is how long a create may still be answered after the process must end.
	answerGrace = 4 * time.Second
	// singleWait is how long a single export may wait for its create. Its caller does not
	// wait longer.
	singleWait = 2 * time.Minute
)

// create sends creates one after another: at most one of an account is under way, so
// that the search for a lost answer is decidable.
func (w *worker) create(ctx context.Context) {
	for {
		began := time.Now()
		wait, err := w.createNext(ctx)
		if err != nil && ctx.Err() == nil {
			w.handle(ctx, err, began)
			wait = retryPause
		}
		if wait > 0 && !await(ctx, w.creates, wait) || ctx.Err() != nil {
			return
		}
	}
}

// createNext searches for the operations of lost answers, sends the create that is due,
// and returns how long to wait before the next call.
func (w *worker) createNext(ctx context.Context) (wait time.Duration, err error) {
	open, err := w.searchLost(ctx)
	if err != nil {
		return 0, err
	}
	b, a, err := w.choose(ctx, open)
	switch {
	case err != nil:
		return 0, err
	case a == nil:
		return w.untilDue(ctx, planned, open)
	case b.Single && w.o.Now().Sub(b.CreatedAt) > singleWait:
		_, _, err := w.apply(ctx, b, *a, Event{Kind: Cancel})
		return 0, err
	}
	wait, err = w.send(ctx, b, *a)
	return wait, w.confine(ctx, b, *a, err)
}

// untilDue returns how long to wait for the next attempt that is due in a state, or for
// the next search for an open one.
func (w *worker) untilDue(ctx context.Context, state ledger.ChunkState, open []ledger.Attempt) (time.Duration, error) {
	next, err := w.o.Ledger.NextDue(ctx, w.o.Account, state, time.Now())
	wait := idle
	for _, a := range open {
		if next.IsZero() || a.NextAt.Before(next) {
			next = a.NextAt
		}
	}
	if !next.IsZero() {
		wait = min(wait, max(time.Until(next), 10*time.Millisecond))
	}
	return wait, err
}

// choose returns the chunk to create, nil if there is none: a single export first, else
// one of the caller, and of its bulk export below its limits, with the fewest exports in
// flight. While the answer of a create is lost, it leaves out chunks that the operation of that
// create could be mistaken for: of the same bulk export, and of overlapping windows.
func (w *worker) choose(ctx context.Context, open []ledger.Attempt) (
	of ledger.Bulk, chosen *ledger.Attempt, err error,
) {
	due, err := w.o.Ledger.Next(ctx, w.o.Account, planned, time.Now())
	if err != nil || len(due) == 0 {
		return of, nil, err
	}
	inFlight, err := w.o.Ledger.InFlight(ctx, w.o.Account)
	if err != nil {
		return of, nil, err
	}
	for i, a := range due {
		b, ok, err := w.bulkOf(ctx, a)
		if err != nil {
			return of, nil, err
		}
		n, _ := inFlight.Of(b)
		full := !b.Single && (inFlight.All >= w.limit.Exports() || b.MaxInFlight > 0 && n >= b.MaxInFlight)
		if !ok || full || clashes(a, open) || chosen != nil && !inFlight.Before(b, of, &w.created) {
			continue
		}
		of, chosen = b, &due[i]
	}
	if chosen != nil { // bulkOf may be stale
		w.created.Serve(of)
		of, err = w.o.Ledger.Bulk(ctx, w.o.Account, of.ID)
	}
	return of, chosen, err
}

// clashes reports whether the operation of an open intent could be mistaken for that of a.
func clashes(a ledger.Attempt, open []ledger.Attempt) bool {
	for _, o := range open {
		if o.Bulk == a.Bulk || !endsBefore(a, o) && !endsBefore(o, a) {
			return true
		}
	}
	return false
}

// endsBefore reports whether the window of a ends where that of b starts, or earlier.
func endsBefore(a, b ledger.Attempt) bool {
	return !a.End.IsZero() && !b.Start.IsZero() && !a.End.After(b.Start)
}

// send creates the export of a chunk, or reuses an identical one. It returns how long no
// other create may follow.
func (w *worker) send(ctx context.Context, b ledger.Bulk, a ledger.Attempt) (wait time.Duration, err error) {
	r, err := RequestOf(b, a)
	if err != nil {
		return 0, err
	}
	at := w.apiNow(ctx)
	if !b.Single {
		identical, err := w.Serves(ctx, client.Fingerprint(r, b.NowGiven), at, a.End)
		if err == nil {
			_, _, err = w.apply(ctx, b, a, Event{Kind: Reuse, Is: identical})
			return 0, ignoreConflict(err) // it is being cancelled, and not found the next time
		}
		if !errors.Is(err, ledger.ErrNotFound) {
			return 0, err
		}
	}
	if !w.leaseLasts(leastLease) {
		return retryPause, nil
	}
	sent, changed, err := w.apply(ctx, b, a, Event{Kind: Send, At: at})
	if err != nil || !changed {
		return 0, err
	}
	began := time.Now()
	spanned, done := traced(ctx, "create chunk", b, a)
	operation, cause := w.post(spanned, b, r)
	if cause == nil {
		cause = w.checkOperation(ctx, operation, client.Fingerprint(r, b.NowGiven))
	}
	done()
	event := Event{Kind: Accept, Operation: operation, At: at}
	if cause != nil {
		if event, err = w.notCreated(ctx, b, cause); err != nil {
			return 0, err
		}
	}
	_, _, err = w.apply(ctx, b, sent, event)
	if cause == nil {
		w.unreachable = 0
		w.block(ctx, nil)
		return 0, err
	}
	if b.Single { // its caller gets the error
		return 0, err
	}
	return w.backOff(ctx, b, event, cause, began), err
}

// Serves returns an operation with a fingerprint that can be reused at a time: it was
// created after the rows up to end had settled, and its file can be fetched for an
// hour. It returns ledger.ErrNotFound if there is none.
func (e *Engine) Serves(ctx context.Context, fingerprint string, at, end time.Time) (op client.Operation, err error) {
	o, err := e.o.Ledger.Reusable(ctx, e.o.Account, fingerprint, at.Add(time.Hour))
	if err == nil && (end.IsZero() || o.CreatedAt.Before(end.Add(Settled))) {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return op, err
	}
	op = client.Operation{
		ID: o.ID, CreatedAt: o.CreatedAt, FinishedAt: o.FinishedAt, ExportID: o.SearchExport, ExportExpires: o.ExpiresAt,
	}
	if o.Outcome == ledger.OperationCompleted {
		op.State = client.Completed
	}
	return op, nil
}

// post sends the create and returns the id of the operation. If ctx ends meanwhile, it
// still waits answerGrace for the answer. The create of a single export has priority,
// and its client retries it where that is safe.
func (w *worker) post(ctx context.Context, b ledger.Bulk, r client.ExportRequest) (operation string, err error) {
	limit := createTime
	if at, ends := w.lease.ExpiresAt(); ends {
		limit = min(limit, time.Until(at)-time.Second)
	}
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(answerGrace, cancel) })
	defer stop()
	if b.Single {
		return w.o.Client.CreateSegmentExport(detached, r)
	}
	return w.client.CreateSegmentExport(detached, r)
}

// checkOperation returns an error if Fullstory answered a create with an operation of
// another export: its file would be a wrong one.
func (w *worker) checkOperation(ctx context.Context, operation, fingerprint string) error {
	o, err := w.o.Ledger.Operation(context.WithoutCancel(ctx), w.o.Account, operation)
	if err != nil || o.Fingerprint == "" || o.Fingerprint == fingerprint {
		return nil // it is new, or the ledger fails, as the next write will report
	}
	return &client.Error{
		Op: createOp, Status: http.StatusOK, Code: client.CodeIncomplete, Uncertain: true,
		Message: "the operation that it names belongs to another export",
	}
}

// notCreated turns the failure of a create into an event.
func (w *worker) notCreated(ctx context.Context, b ledger.Bulk, cause error) (Event, error) {
	e := Event{Kind: LoseAnswer, Reason: answerLost + "." + searching}
	failed, ok := errors.AsType[*client.Error](cause)
	switch {
	case !ok:
		return e, nil
	case failed.Uncertain && failed.Code != client.CodeUnusableID: // a search would not find that either
		if failed.Status != 0 { // keep it in case no operation is found
			e.Reason = fmt.Sprintf("%s (%d: %s).%s", answerLost, failed.Status, failed.Words(), searching)
			certain := *failed
			certain.Uncertain = false
			e.Failure = certain.JSON()
		}
		return e, nil
	}
	said, _ := w.o.Explain(ctx, cause)
	e = Event{Kind: Reject, Reason: said, Failure: failed.JSON(), Final: failed.Status >= 300}
	if b.Single { // its caller gets the error
		return e, nil
	}
	switch kind := failed.Kind(); {
	case failed.Code == client.CodeUnusableID: // it exists: another create would repeat it
		return w.early(ctx, b, e, true)
	case kind == client.Throttled:
		e.Kind, e.After = Throttle, failed.RetryAfter
	case kind == client.Rejected:
		return w.early(ctx, b, e, e.Final && !failed.Temporary())
	case kind == client.NotTheAPI && w.keyServes(ctx): // other requests reach the API
		return w.early(ctx, b, e, false)
	default:
		e.Kind = Unsent
	}
	return e, nil
}

// early completes the event of a create that Fullstory rejected: whether it has accepted
// nothing of the bulk export so far, and whether a retry cannot help.
func (w *worker) early(ctx context.Context, b ledger.Bulk, e Event, final bool) (Event, error) {
	n, err := w.o.Ledger.Count(context.WithoutCancel(ctx), b.ID)
	e.Early, e.Final = n.Running()-n.By[creating]+n.By[stored] == 0, final
	return e, err
}

// only reports whether an error of Fullstory concerns only the request that failed.
func (w *worker) only(ctx context.Context, err error) bool {
	kind := client.KindOf(err)
	return kind != "" && kind != client.Throttled && w.keyServes(ctx)
}

// keyServes reports whether the key is valid and Fullstory can be reached, so that only
// one request was rejected rather than all.
func (w *worker) keyServes(ctx context.Context) bool {
	me, err := w.client.Me(ctx)
	return err == nil && me.Role.CanExport()
}

// rejectKey pauses the bulk export for which Fullstory rejected the key, or, if it
// rejects the key for everything, all bulk exports that were started with the key.
func (w *worker) rejectKey(ctx context.Context, b ledger.Bulk, failed *client.Error, began time.Time) {
	if !w.keyServes(ctx) {
		w.handle(ctx, failed, began)
		return
	}
	w.pause(ctx, failed, began, func(other ledger.Bulk) bool { return other.ID == b.ID })
}

// backOff returns how long no create of the account is sent after one failed, and
// blocks or pauses what the failure concerns.
func (w *worker) backOff(ctx context.Context, b ledger.Bulk, e Event, cause error, began time.Time) time.Duration {
	failed, ok := errors.AsType[*client.Error](cause)
	if !ok || failed.Uncertain || e.Kind == Reject {
		return 0
	}
	switch failed.Kind() {
	case client.KeyRejected:
		w.rejectKey(ctx, b, failed, began)
	case client.Throttled:
		w.limit.Throttled(time.Now())
	case client.Unreachable, client.NotTheAPI, client.ServiceFailed:
		w.block(ctx, failed)
		w.unreachable++
		return jitter(min(time.Minute, time.Second<<min(w.unreachable, 6)))
	}
	return 0
}

// jitter returns a random duration between half of d and d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// apiNow returns the time by Fullstory's clock, or by that of the account if Fullstory
// does not answer.
func (w *worker) apiNow(ctx context.Context) time.Time {
	now, ok := w.client.Clock()
	if !ok {
		w.client.Me(ctx) // its answer, if any, sets the clock
		now, ok = w.client.Clock()
	}
	if !ok {
		return w.o.Now()
	}
	return now
}
