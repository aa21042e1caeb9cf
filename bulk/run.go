package bulk

import (
	"context"
	"errors"
	"sync"
	"time"

	"fullstory-export-mcp/ledger"
)

const (
	// candidacy is how often a process that does not lead tries to.
	candidacy = time.Second
	// lookAround is how often the ledger is looked at for what other processes
	// have asked for.
	lookAround = 500 * time.Millisecond
)

// Run works for the account whenever no other process does, until ctx ends.
// What is under way then is taken up by the next process.
func (e *Engine) Run(ctx context.Context) {
	for {
		lead, err := e.o.Ledger.Lead(ctx, e.o.Account)
		switch {
		case err == nil:
			e.lead(ctx, lead)
			if err := lead.Release(); err != nil {
				e.o.Log.Debug("bulk", "release", err)
			}
		case !errors.Is(err, ledger.ErrLed):
			e.troubled(ctx, err)
		}
		if !sleep(ctx, candidacy) {
			return
		}
	}
}

// lead works until ctx ends or the lead is lost.
func (e *Engine) lead(ctx context.Context, lead *ledger.Lead) {
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	if !e.takeOver(ctx) {
		return
	}
	kept, err := e.o.Ledger.Window(ctx, e.o.Account)
	if err != nil {
		e.o.Log.Debug("bulk", "window", err)
	}
	w := &worker{Engine: e, lead: lead, window: newWindow(kept), seen: map[string]time.Time{}, bad: map[string]int{}}
	var parts sync.WaitGroup
	for _, part := range []func(context.Context){w.renew(lost), w.create, w.watch, w.download, w.finish} {
		parts.Go(func() { part(ctx) })
	}
	parts.Wait()
	if err := e.o.Ledger.SaveWindow(context.WithoutCancel(ctx), e.o.Account, w.window.saved()); err != nil {
		e.o.Log.Debug("bulk", "window", err)
	}
}

// takeOver puts back what the last process was fetching: what it loaded of it
// is still there.
func (e *Engine) takeOver(ctx context.Context) bool {
	for {
		err := e.eachBulk(ctx, func(b ledger.Bulk) error {
			return e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
				_, err := t.MoveChunks(b.ID, ledger.ChunkReady, ledger.ChunkDownloading)
				return err
			})
		}, ledger.BulkRunning, ledger.BulkPaused)
		e.troubled(ctx, err)
		if err == nil {
			return true
		}
		if !sleep(ctx, candidacy) {
			return false
		}
	}
}

// manyBulks is the most bulk exports of an account that are looked after at
// once.
const manyBulks = 1000

// eachBulk calls do with every bulk export of the account in one of the states.
func (e *Engine) eachBulk(ctx context.Context, do func(ledger.Bulk) error, states ...ledger.BulkState) error {
	for _, state := range states {
		bulks, err := e.o.Ledger.Bulks(ctx, e.o.Account, state, 0, manyBulks)
		if err != nil {
			return err
		}
		for _, b := range bulks {
			if err := do(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// worker is an Engine that leads.
type worker struct {
	*Engine
	lead   *ledger.Lead
	window *window

	seen        map[string]time.Time // when exports that run were first looked at, by their ids; of watch alone
	unreachable int                  // creates in a row that did not reach Fullstory; of create alone

	mu  sync.Mutex
	bad map[string]int // how often the file of an export was unsound, by its id
}

// renew returns what keeps the lead, and ends the others when it is lost.
func (w *worker) renew(lost context.CancelCauseFunc) func(context.Context) {
	return func(ctx context.Context) {
		for sleep(ctx, w.lead.Renewal()) {
			if err := w.lead.Renew(ctx); errors.Is(err, ledger.ErrLed) {
				w.o.Log.Warn("another process has taken over")
				lost(ledger.ErrLed)
			}
		}
	}
}

// leading fails when the lead ends before so much time has passed.
func (w *worker) leading(d time.Duration) error {
	if until, ends := w.lead.Until(); ends && time.Until(until) < d {
		return ledger.ErrLed
	}
	return nil
}

// sleep waits for d, and returns false when ctx ends.
func sleep(ctx context.Context, d time.Duration) bool { return await(ctx, nil, d) }

// await waits for a nudge, but no longer than d. It returns false when ctx
// ends.
func await(ctx context.Context, nudged <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-nudged:
	case <-timer.C:
	}
	return ctx.Err() == nil
}
