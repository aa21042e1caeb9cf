package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// intentPause is between two searches for what became of an intent.
	intentPause = 250 * time.Millisecond
	// visible is how long after an intent an accepted export is in the list of
	// operations at the latest (assumed; nothing is documented).
	visible = 2 * time.Second
	// lookAgain is between two searches in vain before an intent is given up.
	lookAgain = time.Second
	// clockMargin is by how much the API's clocks may differ from each other:
	// its Date headers are cut to the second.
	clockMargin = 2 * time.Second
	// pages bounds a search through the operations.
	pages = 200
)

// candidate is an operation that may be the one of an intent.
type candidate struct {
	Operation string `json:"operation"`
	Rejected  bool   `json:"rejected,omitempty"` // its file is another's
}

func candidates(x ledger.Export) (list []candidate) {
	if json.Unmarshal(x.Candidates, &list) != nil {
		return nil
	}
	return list
}

// possible returns the operations that are not rejected.
func possible(list []candidate) (operations []string) {
	for _, c := range list {
		if !c.Rejected {
			operations = append(operations, c.Operation)
		}
	}
	return operations
}

// settleIntents finds out what became of creates that were cut off. While one
// is open nothing else is created: its operation could be taken for that of
// another.
func (w *worker) settleIntents(ctx context.Context) (open bool, err error) {
	intents, err := w.o.Ledger.Exports(ctx, w.o.Account, ledger.ExportCreating, 10)
	if err != nil {
		return false, err
	}
	for _, x := range intents {
		stillOpen, err := w.settleIntent(ctx, x)
		if err != nil {
			return false, err
		}
		open = open || stillOpen
	}
	return open, nil
}

func (w *worker) settleIntent(ctx context.Context, x ledger.Export) (open bool, err error) {
	found, err := w.unclaimed(ctx, x)
	if err != nil {
		return true, err
	}
	if len(found) > 0 {
		return false, w.claim(ctx, x, found)
	}
	now := time.Now()
	switch looked := now.Sub(x.LookedAt); {
	case w.apiNow(ctx).Sub(x.IntentAt) < visible:
		return true, nil
	case x.LookedAt.IsZero() || looked < 0:
		x.LookedAt = now
		err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.SaveExport(x, ledger.ExportCreating) })
		return true, ignoreMoved(err)
	case looked < lookAgain:
		return true, nil
	}
	return false, w.lost(ctx, x)
}

// unclaimed returns the operations since the intent of x that no export of this
// ledger is.
func (w *worker) unclaimed(ctx context.Context, x ledger.Export) (found []client.Operation, err error) {
	since := x.IntentAt.Add(-clockMargin)
	taken, err := w.taken(ctx, x)
	if err != nil {
		return nil, err
	}
	q := client.OperationQuery{Type: client.SearchExport, Limit: 100}
	for range pages {
		page, err := w.client.Operations(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, op := range page.Operations {
			if op.CreatedAt.Before(since) || op.State == client.Failed || slices.Contains(taken, op.ID) {
				continue
			}
			_, err := w.o.Ledger.ByOperation(ctx, w.o.Account, op.ID)
			if errors.Is(err, ledger.ErrUnknown) {
				found = append(found, op)
			} else if err != nil {
				return nil, err
			}
		}
		if page.Next == "" || page.Next == q.Cursor || len(page.Operations) == 0 || newestFirst(page.Operations) && page.Operations[len(page.Operations)-1].CreatedAt.Before(since) {
			break
		}
		q.Cursor = page.Next
	}
	return found, nil
}

// taken returns the operations that are reserved for other intents, and those
// that were found not to be x.
func (w *worker) taken(ctx context.Context, x ledger.Export) (operations []string, err error) {
	for _, c := range candidates(x) {
		if c.Rejected {
			operations = append(operations, c.Operation)
		}
	}
	others, err := w.o.Ledger.Exports(ctx, w.o.Account, ledger.ExportUncertain, manyBulks)
	for _, other := range others {
		operations = append(operations, possible(candidates(other))...)
	}
	return operations, err
}

// newestFirst tells whether a page of operations is in the order that it mostly
// has, which nothing promises.
func newestFirst(page []client.Operation) bool {
	return slices.IsSortedFunc(page, func(a, b client.Operation) int { return b.CreatedAt.Compare(a.CreatedAt) })
}

// claim makes operations the candidates of an intent. Their content decides
// which one it is.
func (w *worker) claim(ctx context.Context, x ledger.Export, found []client.Operation) error {
	list := candidates(x)
	for _, op := range found {
		list = append(list, candidate{Operation: op.ID})
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return err
	}
	w.o.Log.Info("a create that was cut off was found again", "operations", len(found), "bulk", x.Bulk)
	if x.Bulk == "" {
		return w.claimSingle(ctx, x, found)
	}
	x.State, x.Candidates, x.LookedAt = ledger.ExportUncertain, raw, time.Time{}
	to := ledger.ChunkRunning
	if len(found) > 1 {
		to = ledger.ChunkUncertain
	}
	err = w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.SaveExport(x, ledger.ExportCreating); err != nil {
			return err
		}
		return moveOwn(t, x, to)
	})
	nudge(w.watches)
	return ignoreMoved(err)
}

// claimSingle gives a single export its operation, if there is one; its caller
// waits and no file decides.
func (w *worker) claimSingle(ctx context.Context, x ledger.Export, found []client.Operation) error {
	x.State, x.Operation, x.CreatedAt = ledger.ExportRunning, found[0].ID, found[0].CreatedAt
	if len(found) > 1 {
		x.State, x.Operation = ledger.ExportFailed, ""
		x.Error = failureJSON(&client.Error{Op: createOp, Uncertain: true, Err: errors.New("several operations were created in that moment")})
	}
	return ignoreMoved(w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		for _, op := range found {
			if len(found) == 1 {
				break
			}
			if err := t.Note(ledger.Entry{Account: x.Account, Caller: x.AskedBy, Event: ledger.Unclear, Export: x.ID, Operation: op.ID}); err != nil {
				return err
			}
		}
		return t.SaveExport(x, ledger.ExportCreating)
	}))
}

// lost gives up an intent that came to nothing: it is created again.
func (w *worker) lost(ctx context.Context, x ledger.Export) error {
	w.o.Log.Info("a create that was cut off came to nothing and is repeated", "bulk", x.Bulk)
	x.State = ledger.ExportLost
	if x.Bulk == "" && time.Since(x.AskedAt) < singleLife {
		x.State = ledger.ExportPlanned
	}
	if x.Bulk == "" {
		x.Error = failureJSON(&client.Error{Op: createOp, Err: errors.New("the request did not arrive")})
	}
	err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.SaveExport(x, ledger.ExportCreating); err != nil {
			return err
		}
		return moveOwn(t, x, ledger.ChunkPlanned)
	})
	return ignoreMoved(err)
}

// moveOwn moves the chunk of an export, if it still is its chunk and was not
// cancelled.
func moveOwn(t *ledger.Tx, x ledger.Export, to ledger.ChunkState) error {
	if x.Bulk == "" {
		return nil
	}
	c, err := t.Chunk(x.Bulk, x.Number)
	if err != nil || c.Export != x.ID || c.State == to || c.State == ledger.ChunkCancelled {
		return err
	}
	if to == ledger.ChunkPlanned {
		c.Export = ""
	}
	return move(t, c, to)
}
