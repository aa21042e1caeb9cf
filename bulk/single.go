package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// singleLife is how long a single export is tried to be created. Nobody
	// waits for it any more by then.
	singleLife = 2 * time.Minute
	// singleLook is how often its caller looks whether it was.
	singleLook = 25 * time.Millisecond
)

// Created is a single export that was accepted.
type Created struct {
	Operation string
	Reused    bool // it was there already
	CreatedAt time.Time
}

// Create has a single export created, and waits for its operation. An identical
// one that runs, or is unexpired and was created after its rows had settled, is
// used again unless forceNew is set. Without another process that leads, Run
// has to run in this one.
//
// It fails with what Fullstory said, a *client.Error. When ctx ends first, the
// error says whether the export may still be created.
func (e *Engine) Create(ctx context.Context, r client.ExportRequest, nowGiven, forceNew bool) (Created, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return Created{}, err
	}
	x := ledger.Export{ID: ledger.NewID("export"), Account: e.o.Account, Fingerprint: fingerprint(r, nowGiven), Request: raw, State: ledger.ExportPlanned, AskedAt: time.Now(), Trace: traceOf(ctx)}
	if !forceNew {
		there, err := e.serves(ctx, x.Fingerprint, r)
		if err == nil {
			err := e.noteReused(ctx, ledger.Entry{Export: there.ID, Operation: there.Operation})
			return Created{Operation: there.Operation, Reused: true, CreatedAt: there.CreatedAt}, err
		}
		if !errors.Is(err, ledger.ErrUnknown) {
			return Created{}, err
		}
	}
	if err := e.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.AddExport(x) }); err != nil {
		return Created{}, err
	}
	nudge(e.creates)
	return e.awaitCreated(ctx, x.ID)
}

// noteReused notes that somebody was given what was there already.
func (e *Engine) noteReused(ctx context.Context, there ledger.Entry) error {
	there.Account, there.Event = e.o.Account, ledger.Reused
	return e.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.Note(there) })
}

// serves returns an export that gives the same rows for good.
func (e *Engine) serves(ctx context.Context, fingerprint string, r client.ExportRequest) (ledger.Export, error) {
	now, ok := e.o.Client.Clock()
	if !ok {
		now = e.o.Now()
	}
	there, err := e.o.Ledger.Reusable(ctx, e.o.Account, fingerprint, now.Add(time.Hour))
	if err != nil {
		return there, err
	}
	end, err := time.Parse(time.RFC3339Nano, r.TimeRange.End)
	if err != nil || there.CreatedAt.Before(end.Add(Settled)) {
		return there, ledger.ErrUnknown // an open end is now
	}
	return there, nil
}

// awaitCreated waits until the process that leads has created an export.
func (e *Engine) awaitCreated(ctx context.Context, id string) (Created, error) {
	for {
		x, err := e.o.Ledger.Export(ctx, id)
		if err != nil && ctx.Err() == nil {
			return Created{}, err
		}
		switch {
		case x.Operation != "":
			return Created{Operation: x.Operation, CreatedAt: x.CreatedAt}, nil
		case x.State == ledger.ExportFailed || x.State == ledger.ExportLost || x.State == ledger.ExportCancelled:
			return Created{}, failureOf(x.Error)
		}
		if !sleep(ctx, singleLook) {
			return Created{}, e.withdraw(context.WithoutCancel(ctx), id)
		}
	}
}

// withdraw takes back a single export whose caller has gone, if its create was
// not begun, and returns what to tell.
func (e *Engine) withdraw(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	x, err := e.o.Ledger.Export(ctx, id)
	if err != nil {
		return err
	}
	x.State = ledger.ExportCancelled
	err = e.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.SaveExport(x, ledger.ExportPlanned) })
	if err == nil {
		return &client.Error{Op: createOp, Err: errors.New("its turn did not come in time, because other creates or a wait that Fullstory asked for go first")}
	}
	return &client.Error{Op: createOp, Uncertain: true, Err: errors.New("no answer in time")}
}

const createOp = "create segment export"

// createSingle creates a single export.
func (w *worker) createSingle(ctx context.Context, x ledger.Export) (wait time.Duration, err error) {
	x.IntentAt = w.apiNow(ctx)
	x.State = ledger.ExportCreating
	if time.Since(x.AskedAt) > singleLife {
		x.State = ledger.ExportCancelled
	}
	if err := w.leading(leastLease); err != nil {
		return candidacy, nil
	}
	err = w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.Holds(w.lead); err != nil {
			return err
		}
		return t.SaveExport(x, ledger.ExportPlanned)
	})
	if err != nil || x.State == ledger.ExportCancelled {
		return 0, ignoreMoved(err)
	}
	var r client.ExportRequest
	if err := json.Unmarshal(x.Request, &r); err != nil {
		return 0, fmt.Errorf("the ledger holds a request that cannot be read: %w", err)
	}
	operation, err := w.post(joined(ctx, x.Trace), r)
	if err == nil {
		return 0, w.created(ctx, x, nil, operation)
	}
	var failed *client.Error
	if !errors.As(err, &failed) || failed.Uncertain {
		return 0, nil
	}
	x.State, x.Error = ledger.ExportFailed, failureJSON(failed)
	err = w.o.Ledger.Write(context.WithoutCancel(ctx), func(t *ledger.Tx) error { return t.SaveExport(x, ledger.ExportCreating) })
	return 0, ignoreMoved(err)
}
