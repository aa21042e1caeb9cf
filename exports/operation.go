package exports

import (
	"context"
	"errors"
	"net/http"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// Operation waits until an operation has ended, or until the instant until, and returns
// it. A zero until does not wait. It does not ask Fullstory about an operation that the
// ledger has as completed. While it waits, failures of Fullstory that pass are retried, and
// at the end it returns the operation as Fullstory last described it.
func (a *Account) Operation(ctx context.Context, id string, until time.Time, report Report) (client.Operation, error) {
	if op, recorded := a.recorded(ctx, id); recorded {
		return op, nil
	}
	var last client.Operation // as Fullstory last described it
	for pause := minPollInterval; ; pause = min(pause*3/2, maxPollInterval) {
		op, err := a.operation(ctx, id)
		left := time.Until(until)
		switch {
		case err == nil:
			last = op
		case !worthWaiting(err, left) && last.ID != "" && passing(err):
			return last, nil
		case !worthWaiting(err, left):
			return op, err
		}
		if last.State.Ended() || left <= 0 {
			return last, nil
		}
		report.say(float64(last.Percent), "The export is under way, at about %d %%.", last.Percent)
		select {
		case <-ctx.Done():
			return op, ctx.Err()
		case <-time.After(min(pause, left)):
		}
	}
}

// Link returns a signed link to the file of an operation that has completed. It is an error
// if the audit log cannot record that the caller of ctx receives it.
func (a *Account) Link(ctx context.Context, op client.Operation) (client.Link, error) {
	link, err := a.Client.ExportResults(ctx, op.ExportID)
	if err != nil {
		return client.Link{}, withExpiry(err, op.ExportExpires)
	}
	if err := a.note(ctx, ledger.Linked, op.ID); err != nil {
		return client.Link{}, err
	}
	return link, nil
}

// withExpiry adds to the failure of a request for a file until when Fullstory has it, if that
// is known and Fullstory answers that there is none.
func withExpiry(err error, expires time.Time) error {
	failed, ok := errors.AsType[*client.Error](err)
	if !ok || expires.IsZero() || failed.Status != http.StatusNotFound && failed.Status != http.StatusGone {
		return err
	}
	x := Explain(err)
	x.Cause += " According to its operation, it expires at " + Stamp(expires) + "."
	return &Error{Explanation: x, Err: err}
}

// operation asks Fullstory for an operation. Calls at the same time share one request.
func (a *Account) operation(ctx context.Context, id string) (client.Operation, error) {
	question := a.Client.KeyHash() + " " + id
	return a.operations.get(ctx, question, 0, func(ctx context.Context) (client.Operation, error) {
		return a.Client.Operation(ctx, id)
	})
}

// While a call waits, the pause between two requests for its operation grows from
// minPollInterval to maxPollInterval.
const (
	minPollInterval = 200 * time.Millisecond
	maxPollInterval = 4 * time.Second
)

// recorded returns an operation from the ledger, if it has completed there.
func (a *Account) recorded(ctx context.Context, operation string) (client.Operation, bool) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return client.Operation{}, false
	}
	key := operationKey{id, operation}
	if op, ok := a.completed.get(key); ok {
		return op, true
	}
	o, err := l.Operation(ctx, id, operation)
	if err != nil || o.Outcome != ledger.OperationCompleted {
		return client.Operation{}, false
	}
	op := client.Operation{
		ID: o.ID, Type: client.SearchExport, State: client.Completed, Percent: 100,
		CreatedAt: o.CreatedAt, FinishedAt: o.FinishedAt, ExportID: o.SearchExport, ExportExpires: o.ExpiresAt,
	}
	a.completed.put(key, op)
	return op, true
}

// Knows reports whether the ledger has an operation. It asks Fullstory nothing.
func (a *Account) Knows(ctx context.Context, operation string) bool {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return false
	}
	_, err = l.Operation(ctx, id, operation)
	return err == nil
}

// CancelOperation asks Fullstory to stop an operation, and returns the operation as it is
// afterwards, or as it was before if Fullstory fails for now. cancelled is false if it had
// already ended.
func (a *Account) CancelOperation(ctx context.Context, id string) (op client.Operation, cancelled bool, err error) {
	op, err = a.Client.Operation(ctx, id)
	if err != nil || op.State.Ended() {
		return op, false, err
	}
	if err := a.Client.CancelOperation(ctx, id); err != nil {
		if ended, askErr := a.Client.Operation(ctx, id); askErr == nil && ended.State.Ended() { // it ended meanwhile
			return ended, false, nil
		}
		return op, false, err
	}
	if err := a.noteCancelled(ctx, op); err != nil {
		return op, true, err
	}
	after, err := a.Client.Operation(ctx, id)
	if passing(err) {
		return op, true, nil // it is cancelled all the same
	}
	return after, true, err
}

// noteCancelled records that the caller of ctx has cancelled an operation.
func (a *Account) noteCancelled(ctx context.Context, op client.Operation) error {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return err
	}
	return l.Write(context.WithoutCancel(ctx), func(t *ledger.Tx) error {
		err := t.MarkCancelled(id, op.ID)
		if errors.Is(err, ledger.ErrNotFound) { // another client created it
			err = t.PutOperation(ledger.Operation{
				Account: id, ID: op.ID, CreatedAt: op.CreatedAt, Outcome: ledger.OperationCancelled,
			})
		}
		if err != nil {
			return err
		}
		return t.Note(ledger.Entry{Account: id, Event: ledger.Event(ledger.OperationCancelled), Operation: op.ID})
	})
}

// KnownOperation is an operation, and what this program knows about it.
type KnownOperation struct {
	client.Operation
	About
	Stored bool // its file is stored, and still there
}

// OperationPage is a page of operations. Next is the cursor of the next page; empty on
// the last. LeftOut is a sentence about operations that it lacks; empty if it has all.
type OperationPage struct {
	Operations    []KnownOperation
	Next, LeftOut string
}

// Operations returns a page of the organisation's export operations.
func (a *Account) Operations(ctx context.Context, q client.OperationQuery) (OperationPage, error) {
	q.Type = client.SearchExport
	page, err := a.Client.Operations(ctx, q)
	if err != nil {
		return OperationPage{}, err
	}
	look, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	out := OperationPage{Next: page.Next, LeftOut: leftOut(len(page.Unusable), "operation")}
	for _, op := range page.Operations {
		known, err := a.knownOperation(ctx, op)
		if err != nil {
			return OperationPage{}, err
		}
		known.Stored = known.Export != nil && a.isStored(look, op.ID)
		out.Operations = append(out.Operations, known)
	}
	return out, nil
}

// knownOperation adds what this program knows about an operation.
func (a *Account) knownOperation(ctx context.Context, op client.Operation) (k KnownOperation, err error) {
	k.Operation = op
	k.About, err = a.about(ctx, op)
	return k, err
}
