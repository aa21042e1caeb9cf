package bulk

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// readTime bounds the read of one operation.
	readTime = 3 * time.Second
	// singleReads is how many operations that the list lacks one look reads one by one.
	singleReads = 5
)

// watch polls the state of every export that Fullstory works on.
func (w *worker) watch(ctx context.Context) {
	var c client.Cadence
	if took, err := w.o.Ledger.Durations(ctx, w.o.Account, 20); err == nil {
		c.Done(took...)
	}
	for {
		began := time.Now()
		spanned, span := tracer.Start(ctx, "look at exports")
		n, err := w.look(spanned, &c)
		span.End()
		wait, signal := idle, w.watches
		switch {
		case err != nil && ctx.Err() == nil:
			w.handle(ctx, err, began)
			wait = jitter(max(2*retryPause, min(client.RetryAfter(err), time.Minute)))
		case n > 0:
			w.block(ctx, nil)
			wait, signal = c.Next(), nil // a new export does not change the cadence
		}
		if !await(ctx, signal, wait) {
			return
		}
	}
}

// look reads the state of all exports once, and returns how many there were.
func (w *worker) look(ctx context.Context, c *client.Cadence) (n int, err error) {
	watched, err := w.o.Ledger.In(ctx, w.o.Account, running, uncertain, mostWatched)
	if err != nil || len(watched) == 0 {
		return 0, err
	}
	found, err := w.find(ctx, watched)
	if err != nil {
		return len(watched), err
	}
	at := w.apiNow(ctx)
	for _, a := range watched {
		b, ok, err := w.bulkOf(ctx, a)
		if ok {
			err = w.see(ctx, b, a, found, at, func(took time.Duration) {
				c.Done(took)
				w.limit.Done(time.Now(), took, len(watched))
			})
		}
		if err = w.confine(ctx, b, a, err); err != nil {
			return len(watched), err
		}
	}
	return len(watched), nil
}

// see applies the states of the operations of an attempt. It calls done with the time
// that Fullstory took for a completed export of a bulk export.
func (w *worker) see(
	ctx context.Context, b ledger.Bulk, a ledger.Attempt, found map[string]sighting, at time.Time,
	done func(time.Duration),
) (err error) {
	for _, id := range operationsOf(a) {
		s, ok := found[id]
		if !ok {
			continue
		}
		e := w.EventOf(ctx, id, s.op, s.err, at)
		if took := tookFor(a, e); took > 0 && !b.Single {
			done(took)
		}
		early := e.Kind == NoExport && time.Until(a.NextAt) > 0
		if early || e.Kind == Pend && w.unchanged(b, a, e) {
			continue // nothing to write
		}
		if a, _, err = w.apply(ctx, b, a, e); err != nil {
			return err
		}
	}
	return nil
}

// tookFor returns how long Fullstory worked on a completed export; 0 if that is not
// known. It is at most the time for which the export was watched, so that wrong times
// do not slow the polling of others.
func tookFor(a ledger.Attempt, e Event) time.Duration {
	if e.Kind != Complete {
		return 0
	}
	return min(e.Is.FinishedAt.Sub(e.Is.CreatedAt), time.Since(a.WatchedSince))
}

// unchanged reports whether an event would change nothing, so it need not be applied.
func (w *worker) unchanged(b ledger.Bulk, a ledger.Attempt, e Event) bool {
	next, effects := Next(Attempt{a, w.Rules(b)}, e, time.Now())
	return len(effects) == 0 && a.Equal(next.Attempt)
}

// operationsOf returns the operations that a running or uncertain attempt waits for.
func operationsOf(a ledger.Attempt) []string {
	if a.State == running {
		return []string{a.Operation}
	}
	return a.Possible()
}

// sighting is the state of an operation, or the error of reading it.
type sighting struct {
	op  client.Operation
	err error
}

// EventOf returns the event for the state of an operation at a time by Fullstory's
// clock, or for the error of reading it.
func (e *Engine) EventOf(ctx context.Context, id string, op client.Operation, err error, at time.Time) Event {
	op.ID = id // whatever id the answer has
	event := Event{Kind: Pend, Operation: id, Is: op, At: at}
	failed, _ := errors.AsType[*client.Error](err)
	switch {
	case client.KindOf(err) == client.Rejected && failed.Status == http.StatusNotFound:
		event.Kind = Vanish
	case err != nil:
		cause, _ := e.o.Explain(ctx, err)
		event.Kind, event.Reason = Unread, "The state of the export could not be read: "+cause
	case op.State == client.Completed && op.ExportID == "":
		event.Kind, event.Reason = NoExport, "Fullstory calls the export completed, but does not name its file."
	case op.State == client.Completed:
		event.Kind = Complete
	case op.State == client.Failed:
		event.Kind, event.Reason = Fail, cmp.Or(op.Error, "it gave no reason.")
	case op.State == "":
		event.Reason = "Fullstory does not say in which state the export is."
	case op.State != client.Pending:
		event.Reason = "Fullstory says that the export is in a state that this program does not know; the log has it."
	}
	return event
}

// find reads the operations of attempts: from the list, which has a hundred on a page,
// and those that it lacks one by one, some in each look. A failure to read the list or
// one of them concerns no other, unless the key does not serve.
func (w *worker) find(ctx context.Context, watched []ledger.Attempt) (map[string]sighting, error) {
	missing := map[string]bool{} // operation to whether a read of it alone is due
	oldest := watched[0].IntentAt
	for _, a := range watched {
		for _, id := range operationsOf(a) {
			missing[id] = time.Until(a.NextAt) <= 0
		}
		if a.IntentAt.Before(oldest) {
			oldest = a.IntentAt
		}
	}
	found := make(map[string]sighting, len(missing))
	since, pages := oldest.Add(-clockMargin), 2+len(missing)/50
	err := w.client.EachOperation(ctx, pages, since, func(op client.Operation) (bool, error) {
		if _, wanted := missing[op.ID]; wanted {
			found[op.ID] = sighting{op: op}
			delete(missing, op.ID)
		}
		return len(missing) > 0, nil
	})
	if err != nil && !w.only(ctx, err) {
		return nil, err
	}
	return found, w.readMissing(ctx, missing, found)
}

// readMissing reads operations one by one and adds them to found: at most singleReads of
// those that are due.
func (w *worker) readMissing(ctx context.Context, missing map[string]bool, found map[string]sighting) error {
	reads := 0
	for id, due := range missing {
		if !due {
			continue
		}
		if reads++; reads > singleReads {
			break
		}
		op, err := w.readOne(ctx, id)
		if client.KindOf(err) == client.KeyRejected && !w.only(ctx, err) || ctx.Err() != nil {
			return err
		}
		found[id] = sighting{op, err}
	}
	return nil
}

// readOne reads one operation. It waits for readTime only, because others follow.
func (w *worker) readOne(ctx context.Context, id string) (client.Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	return w.client.Operation(ctx, id)
}

const (
	// MostCancels bounds the tries to cancel an orphan.
	MostCancels = 5
	// cancelRetry is the delay before the second of them. It doubles.
	cancelRetry = 5 * time.Second
)

// cancel cancels orphans, which count against Fullstory's limit of running exports.
func (w *worker) cancel(ctx context.Context) {
	for {
		orphans, err := w.o.Ledger.Orphans(ctx, w.o.Account, time.Now().Add(idle), 20)
		wait := idle
		for _, o := range orphans {
			if later := time.Until(o.CancelAt); later > 0 && later <= idle {
				wait = min(wait, later)
			} else if err = w.cancelOrphan(ctx, o); err != nil {
				break
			} else {
				wait = min(wait, cancelRetry)
			}
		}
		if err != nil && ctx.Err() == nil {
			w.block(ctx, err)
			wait = retryPause
		}
		if !await(ctx, w.cancels, wait) {
			return
		}
	}
}

// cancelOrphan tries to cancel an operation and records the result, unless an identical export
// has begun to wait for it. Fullstory rejects the cancellation of an operation that has ended, which is
// as good. It returns errors of the ledger only.
func (w *worker) cancelOrphan(ctx context.Context, o ledger.Operation) error {
	next := time.Now().Add(jitter(cancelRetry << o.Cancels))
	err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.ClaimCancel(o, next) })
	if err != nil {
		return ignoreConflict(err)
	}
	o.Cancels, o.CancelAt = o.Cancels+1, next
	w.o.Log.Info("an operation at Fullstory is cancelled, because nothing waits for it", "operation", o.ID, "bulk", o.Bulk)
	err = w.client.CancelOperation(ctx, o.ID)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil || client.KindOf(err) == client.Rejected || o.Cancels >= MostCancels {
		o.Outcome = ledger.OperationCancelled
	}
	b, err := w.bulk(ctx, o.Bulk)
	if err != nil {
		return err
	}
	return w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if o.Outcome != "" {
			entry := b.About(ledger.Event(o.Outcome))
			entry.Operation = o.ID
			if err := t.Note(entry); err != nil {
				return err
			}
		}
		return t.PutOperation(o)
	})
}
