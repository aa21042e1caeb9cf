package exports

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
)

// Action is a change of a bulk export that a caller can ask for.
type Action string

// The actions.
const (
	Pause       Action = "pause"
	Resume      Action = "resume"
	Cancel      Action = "cancel"
	RetryFailed Action = "retry_failed"
)

// PausedOnRequest is the reason of a bulk export that was paused by an action.
const PausedOnRequest = "Paused on request."

// actions has for each action the states from which it is carried out, the state in
// which there is nothing to do, the state that it leads to, and the reason recorded.
var actions = map[Action]struct {
	from    []ledger.BulkState
	already ledger.BulkState
	to      ledger.BulkState
	reason  string
}{
	Pause: {
		from: []ledger.BulkState{ledger.BulkRunning}, already: ledger.BulkPaused, to: ledger.BulkPaused,
		reason: PausedOnRequest,
	},
	Resume: {from: []ledger.BulkState{ledger.BulkPaused}, already: ledger.BulkRunning, to: ledger.BulkRunning},
	Cancel: {
		from: []ledger.BulkState{ledger.BulkRunning, ledger.BulkPaused}, already: ledger.BulkCancelled,
		to: ledger.BulkCancelled,
	},
	RetryFailed: {
		from: []ledger.BulkState{
			ledger.BulkRunning, ledger.BulkPaused, ledger.BulkComplete, ledger.BulkPartial, ledger.BulkFailed,
		},
		to: ledger.BulkRunning,
	},
}

// Control carries out an action on a bulk export, given by id or name, and returns it
// as it is afterwards. An action that was carried out before changes nothing. It fails
// with ledger.ErrNotFound, ErrWrongState, a *ledger.QuotaError, or another error of the
// ledger.
//
// The change of state and the first retryBatch chunks are one transaction; more damaged
// files follow in transactions of their own.
func (e *Exports) Control(ctx context.Context, idOrName string, action Action) (ledger.Bulk, error) {
	b, err := e.o.Ledger.Bulk(ctx, e.o.Account, idOrName)
	if err != nil {
		return b, err
	}
	if action == Cancel && b.Sync != "" {
		if s, err := e.o.Ledger.Sync(ctx, b.Account, b.Sync); err == nil {
			return b, keptUpToDate(s)
		}
	}
	rule, known := actions[action]
	switch {
	case !known:
		return b, fmt.Errorf("unknown action %q", action)
	case b.State == rule.already:
		return b, nil
	case !slices.Contains(rule.from, b.State):
		return b, e.wrongStateNow(ctx, b, action)
	}
	damaged, err := e.filesToRetry(ctx, b, action)
	if err != nil {
		return b, err
	}
	err = e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if changed, err := e.prepare(t, b, action, damaged[:min(len(damaged), retryBatch)]); err != nil || !changed {
			return err
		}
		finished := time.Time{}
		if rule.to.Ended() {
			finished = e.o.Now()
		}
		if err := t.MoveBulk(b.ID, b.State, rule.to, rule.reason, finished); err != nil {
			return err
		}
		return errors.Join(e.admit(t, b, action), t.Wake(b.Account))
	})
	if err == nil {
		err = e.retryRest(ctx, b, damaged[min(len(damaged), retryBatch):])
	}
	if err != nil && !errors.Is(err, ledger.ErrConflict) {
		return b, err
	}
	e.forgetFiles(b.ID)
	e.engine.Wake()
	return e.o.Ledger.Bulk(ctx, e.o.Account, b.ID)
}

// Led reports whether a process works on the exports of the account, this one or another.
func (a *Account) Led(ctx context.Context) (bool, error) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return false, err
	}
	return l.Led(ctx, id)
}

// wrongStateNow is the error of an action that does not fit the state of a bulk export,
// which depends on its files.
func (e *Exports) wrongStateNow(ctx context.Context, b ledger.Bulk, action Action) error {
	if s, err := e.StatusOf(ctx, b); err == nil {
		b = s.Bulk
	}
	return wrongState(action, b.State)
}

// admit returns a *ledger.QuotaError if an action has opened more than the account may
// have open.
func (e *Exports) admit(t *ledger.Tx, b ledger.Bulk, action Action) error {
	if action != RetryFailed {
		return nil
	}
	return t.Admit(b, 0, e.quota)
}

// retryRest plans the chunks of damaged files again that are not in the first batch.
func (e *Exports) retryRest(ctx context.Context, b ledger.Bulk, damaged []damagedFile) error {
	for rest := range slices.Chunk(damaged, retryBatch) {
		err := e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
			if _, err := replan(t, b, rest); err != nil {
				return err
			}
			return e.admit(t, b, RetryFailed)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// filesToRetry returns the stored files that an action exports again.
func (e *Exports) filesToRetry(ctx context.Context, b ledger.Bulk, action Action) ([]damagedFile, error) {
	if action != RetryFailed {
		return nil, nil
	}
	n, err := e.o.Ledger.Count(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	there, err := e.listing(ctx, b, 0)
	if err != nil {
		return nil, err
	}
	return e.damagedFiles(ctx, b, n, there)
}

// prepare does what an action needs before the bulk export changes its state. It
// returns false if there is nothing to do, and the state is to stay.
func (e *Exports) prepare(t *ledger.Tx, b ledger.Bulk, action Action, damaged []damagedFile) (bool, error) {
	switch action {
	case Resume:
		return true, t.StartWith(b.ID, e.o.Client.KeyHash())
	case Cancel:
		return true, t.CancelAttempts(b.ID)
	case RetryFailed:
		n, err := e.retry(t, b, damaged)
		return n > 0, err
	}
	return true, nil
}

// retryBatch is how many chunks one transaction plans again. A longer one would delay
// the writes of other processes.
const retryBatch = 500

// retry plans failed chunks again, and chunks whose stored files are damaged or
// missing. It returns how many it planned. Parquet files that were requested are looked at
// again too, and those that are missing are made.
func (e *Exports) retry(t *ledger.Tx, b ledger.Bulk, damaged []damagedFile) (int, error) {
	if err := t.RenewConversion(b.ID); err != nil {
		return 0, err
	}
	if err := t.Wake(b.Account); err != nil {
		return 0, err
	}
	failed, err := t.RetryFailed(b.ID, time.Time{})
	if err != nil {
		return 0, err
	}
	replanned, err := replan(t, b, damaged)
	if err != nil {
		return 0, err
	}
	return failed + replanned, t.StartWith(b.ID, e.o.Client.KeyHash())
}

// replan plans chunks again whose stored files are damaged or missing, and returns how
// many. It skips chunks that were changed concurrently and are not stored any more.
func replan(t *ledger.Tx, b ledger.Bulk, damaged []damagedFile) (n int, err error) {
	for _, d := range damaged {
		current, err := t.Attempt(b.ID, d.chunk.Number)
		if err != nil {
			return n, err
		}
		next, _ := bulk.Next(bulk.Attempt{Attempt: current}, bulk.Event{Kind: bulk.Redo}, time.Now())
		if next.State == current.State {
			continue
		}
		if err := t.SaveAttempt(next.Attempt, current.State); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
