package bulk

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// retryPause is the time before a retry after a failure of the ledger.
	retryPause = time.Second
	// idle is the longest sleep of a loop without work: new work wakes it earlier.
	idle = 10 * time.Minute
	// idleCheck is the mean time between looks for work whose announcement was missed.
	idleCheck = time.Minute
	// keyPause is how long a process whose key was rejected leaves the account to others.
	keyPause = 30 * time.Second
)

// Run works for the account whenever this process holds its lease, until ctx ends. The
// next leaseholder continues the work that is under way then.
func (e *Engine) Run(ctx context.Context) {
	for ctx.Err() == nil {
		turn, stop := context.WithCancelCause(ctx)
		e.o.Ledger.Lead(turn, e.o.Account, func(ctx context.Context, lease *ledger.Lease) { e.lead(ctx, lease, stop) })
		if errors.Is(context.Cause(turn), errKeyRejected) {
			await(ctx, e.asked, keyPause) // another process may have a valid key
		}
		stop(nil)
	}
}

// errKeyRejected is the cause with which a turn ends when Fullstory rejects the key.
var errKeyRejected = errors.New("the API key was rejected")

// lead runs the loops of a worker until ctx ends. stop ends the turn of this process, with a cause.
func (e *Engine) lead(ctx context.Context, lease *ledger.Lease, stop context.CancelCauseFunc) {
	for {
		err := e.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.TakeOver(e.o.Account) })
		e.block(ctx, err)
		if err == nil {
			break
		}
		if !await(ctx, nil, retryPause) {
			return
		}
	}
	kept, err := e.o.Ledger.ConcurrencyLimit(ctx, e.o.Account)
	if err != nil {
		e.o.Log.Debug("bulk", "concurrency limit", err)
	}
	w := &worker{
		Engine: e, lease: lease, stop: stop, limit: client.NewConcurrencyLimit(kept),
		bulks: map[string]ledger.Bulk{},
	}
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){
		w.listen, w.create, w.watch, w.fetch, w.cancel, w.finish, w.convert, w.wakeSyncs,
	} {
		loops.Go(func() { w.guard(ctx, loop) })
	}
	loops.Wait()
	e.block(ctx, nil) // the next leaseholder reports its own reason
	if errors.Is(context.Cause(ctx), ledger.ErrNotLeader) {
		e.o.Log.Info("the lease is lost or due to another process", "account", e.o.Account)
	}
	if now := w.limit.Saved(); now != kept {
		if err := e.o.Ledger.SaveConcurrencyLimit(context.WithoutCancel(ctx), e.o.Account, now); err != nil {
			e.o.Log.Debug("bulk", "concurrency limit", err)
		}
	}
}

// worker is an Engine that holds the account's lease, for one call of lead.
type worker struct {
	*Engine
	lease *ledger.Lease
	stop  context.CancelCauseFunc // ends the turn of this process
	limit *client.ConcurrencyLimit

	rejected    sync.Once // of the key
	unreachable int       // creates in a row that did not reach Fullstory; of the create loop alone

	created, fetched ledger.Rotation // of the create loop and of the fetch loop alone

	mu    sync.Mutex             // guards the fields below
	bulks map[string]ledger.Bulk // cached; only fields that never change are reliable
	busy  ledger.Load            // files being fetched
}

// guard runs a loop, and restarts it after a panic: a bug that one item triggers must
// not end the server or the work for other items.
func (w *worker) guard(ctx context.Context, loop func(context.Context)) {
	for ctx.Err() == nil {
		err := w.catchPanic(func() { loop(ctx) })
		if err == nil {
			return
		}
		w.catchPanic(func() { w.block(ctx, err) })
		await(ctx, nil, retryPause)
	}
}

// catchPanic calls do. It returns a panic as an error with an id that the log has too.
func (w *worker) catchPanic(do func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			id := ledger.NewID("error")
			w.o.Log.Error("internal error", "id", id, "panic", v, "stack", string(debug.Stack()))
			err = errors.New("internal error " + id + "; the log has details under that id")
		}
	}()
	do()
	return nil
}

// listen wakes the loops when work is requested in any process.
func (w *worker) listen(ctx context.Context) {
	changes, stop := w.o.Ledger.Changes(w.o.Account)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			w.Wake()
		case <-time.After(idleCheck/2 + rand.N(idleCheck)):
			if work, err := w.o.Ledger.HasWork(ctx, w.o.Account); work || err != nil {
				w.Wake()
			}
		}
	}
}

// bulk returns the bulk export with an id, from the cache if it is there: its state,
// key and pace may be stale.
func (w *worker) bulk(ctx context.Context, id string) (ledger.Bulk, error) {
	w.mu.Lock()
	b, known := w.bulks[id]
	w.mu.Unlock()
	if known {
		return b, nil
	}
	b, err := w.o.Ledger.Bulk(ctx, w.o.Account, id)
	if err != nil {
		return b, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.bulks) > 1000 {
		clear(w.bulks)
	}
	w.bulks[id] = b
	return b, nil
}

// bulkOf returns the bulk export of an attempt as bulk does. ok is false if it cannot
// be read; then err is nil if that is a failure of this attempt alone.
func (w *worker) bulkOf(ctx context.Context, a ledger.Attempt) (b ledger.Bulk, ok bool, err error) {
	if b, err = w.bulk(ctx, a.Bulk); err != nil {
		return b, false, w.confine(ctx, b, a, err)
	}
	return b, true, nil
}

// leaseLasts reports whether the lease lasts for at least d.
func (w *worker) leaseLasts(d time.Duration) bool {
	at, ends := w.lease.ExpiresAt()
	return !ends || time.Until(at) >= d
}

// await waits for a signal, for at most d. It returns false at once if ctx ends.
func await(ctx context.Context, signal <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-signal:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// Blocked returns why all work of this process is blocked at present, in sentences, or
// "". ledgerFailed reports that the ledger is the cause.
func (e *Engine) Blocked(ctx context.Context) (reason string, ledgerFailed bool) {
	e.mu.Lock()
	reason, ledgerFailed = e.blocked, e.ledgerFailed
	e.mu.Unlock()
	if err := e.o.Ledger.LeadError(e.o.Account); err != nil && reason == "" {
		return e.explain(ctx, err), true
	}
	if until := e.o.Client.PausedUntil(); reason == "" && time.Until(until) > time.Second {
		if now, ok := e.o.Client.Clock(); ok { // until is by this machine's clock
			until = now.Add(time.Until(until))
		}
		reason = "Fullstory asked for a pause (429); requests continue at " + until.UTC().Format(time.RFC3339) + "."
	}
	return reason, ledgerFailed
}

// explain returns the cause of an error and the remedy.
func (e *Engine) explain(ctx context.Context, err error) string {
	cause, remedy := e.o.Explain(ctx, err)
	return strings.TrimSpace(cause + " " + remedy)
}

// block records that an error blocks all work; nil: none does any more.
func (e *Engine) block(ctx context.Context, err error) {
	reason := ""
	if err != nil && ctx.Err() == nil {
		reason = e.explain(ctx, err)
		e.o.Log.Warn("bulk work is blocked", "error", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.blocked = reason
	_, e.ledgerFailed = errors.AsType[*ledger.Error](err)
}

// handle handles failures that are not tied to one chunk. A rejected key pauses the bulk
// exports that were started with it, and ends the turn of this process. Any other
// error blocks all work until a success. began is when the failed step began.
func (w *worker) handle(ctx context.Context, err error, began time.Time) {
	w.block(ctx, err)
	if client.KindOf(err) == client.KeyRejected {
		w.rejected.Do(func() { // drop the signal of an earlier request
			select {
			case <-w.asked:
			default:
			}
		})
		// PauseBulk spares one that was resumed after began: the cause may be fixed.
		w.pause(ctx, err, began, func(b ledger.Bulk) bool { return b.Key == "" || b.Key == w.o.Client.KeyHash() })
		w.stop(errKeyRejected)
	}
}

// pause pauses the running bulk exports that which chooses, with an error as the reason.
func (w *worker) pause(ctx context.Context, cause error, began time.Time, which func(ledger.Bulk) bool) {
	ctx = context.WithoutCancel(ctx)
	reason := w.explain(ctx, cause)
	bulks, err := w.o.Ledger.Open(ctx, w.o.Account)
	for _, b := range bulks {
		if b.State != ledger.BulkRunning || !which(b) {
			continue
		}
		paused := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.PauseBulk(b.ID, reason, began) })
		err = errors.Join(err, ignoreConflict(paused))
	}
	if err != nil {
		w.block(ctx, err)
	}
	w.Wake(w.ends)
}

// ignoreConflict returns nil for ErrConflict, where the concurrent change prevails.
func ignoreConflict(err error) error {
	if errors.Is(err, ledger.ErrConflict) {
		return nil
	}
	return err
}
