package bulk

import (
	"context"
	"errors"
	"slices"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// clockMargin bounds the difference between Fullstory's clocks. It is over a second
	// because Date headers are cut to the second.
	clockMargin = 2 * time.Second
	// mostWatched bounds how many attempts of an account one query of a loop reads.
	mostWatched = 1000
)

// searchLost searches for the operations of creates whose answers were lost. It returns
// the attempts whose search is still open.
func (w *worker) searchLost(ctx context.Context) (open []ledger.Attempt, err error) {
	intents, err := w.o.Ledger.In(ctx, w.o.Account, creating, creating, mostWatched)
	if err != nil || len(intents) == 0 {
		return nil, err
	}
	for _, a := range intents {
		if wait := time.Until(a.NextAt); wait > 0 && wait < longestDelay {
			open = append(open, a)
			continue
		}
		now, err := w.search(ctx, a)
		if err != nil {
			return nil, err
		}
		if now.State == creating {
			open = append(open, now)
		}
	}
	return open, nil
}

// search searches once for the operation of an intent, and returns the attempt after
// that.
func (w *worker) search(ctx context.Context, a ledger.Attempt) (now ledger.Attempt, err error) {
	b, ok, err := w.bulkOf(ctx, a)
	if !ok {
		return a, err
	}
	e, err := w.searchFor(ctx, a)
	if err != nil {
		return a, err
	}
	now, _, err = w.apply(ctx, b, a, e)
	return now, w.confine(ctx, b, a, err)
}

// searchFor searches once for the operation of an intent, and returns Find, FindNone or
// Unread.
func (w *worker) searchFor(ctx context.Context, a ledger.Attempt) (Event, error) {
	found, err := w.unclaimed(ctx, a)
	if err != nil && w.only(ctx, err) {
		reason := answerLost + ", and the list of operations could not be read: " + w.explain(ctx, err)
		return Event{Kind: Unread, At: w.apiNow(ctx), Reason: reason}, nil
	}
	if err != nil {
		return Event{}, err
	}
	lost := &client.Error{Op: createOp, Err: errors.New("the request did not arrive")}
	e := Event{Kind: FindNone, At: w.apiNow(ctx), Reason: answerLost + "." + searching}
	if len(found) > 0 {
		w.o.Log.Info("candidates for a create without an answer", "operations", len(found), "bulk", a.Bulk)
		e.Kind, e.Found = Find, found
		lost.Uncertain, lost.Err = true, errors.New("several operations were created in that moment")
	}
	e.Failure = lost.JSON()
	return e, nil
}

// unclaimed returns the operations created since the intent of a that the ledger does
// not have, and that are not candidates of another chunk.
func (w *worker) unclaimed(ctx context.Context, a ledger.Attempt) (found []ledger.Candidate, err error) {
	since := a.IntentAt.Add(-clockMargin)
	taken, err := w.claimed(ctx, a)
	if err != nil {
		return nil, err
	}
	err = w.client.EachOperation(ctx, client.MostPages, since, func(op client.Operation) (bool, error) {
		if op.CreatedAt.Before(since) || op.State == client.Failed || slices.Contains(taken, op.ID) {
			return true, nil
		}
		_, err := w.o.Ledger.Operation(ctx, w.o.Account, op.ID)
		if errors.Is(err, ledger.ErrNotFound) {
			found = append(found, ledger.Candidate{Operation: op.ID, CreatedAt: op.CreatedAt})
			err = nil
		}
		return true, err
	})
	return found, err
}

// claimed returns the candidates of other chunks, and those that a had before.
func (w *worker) claimed(ctx context.Context, a ledger.Attempt) (operations []string, err error) {
	for _, c := range a.Candidates {
		operations = append(operations, c.Operation)
	}
	for _, states := range [][2]ledger.ChunkState{{uncertain, ready}, {downloading, creating}} {
		others, err := w.o.Ledger.In(ctx, w.o.Account, states[0], states[1], mostWatched)
		if err != nil {
			return nil, err
		}
		for _, o := range others {
			if o.Bulk != a.Bulk || o.Number != a.Number {
				operations = append(operations, o.Possible()...)
			}
		}
	}
	return operations, nil
}
