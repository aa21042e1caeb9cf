package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
)

const (
	// mostWindows is how many windows a sync adds at once.
	mostWindows = 1000
	// MostMissing bounds the missing windows that are counted.
	MostMissing = 1_000_000
	// moreAfter is the delay before a sync adds the windows that were too many.
	moreAfter = 10 * time.Second
	// retryWindows is how long after its end a window that failed is exported again at each
	// wake of its sync.
	retryWindows = 7 * 24 * time.Hour
	// wakeRetry is the delay before a wake that failed is tried again. It doubles, up to
	// longestDelay.
	wakeRetry = 15 * time.Second
	// unknownPause is the delay before the syncs are looked at again if the ledger fails, or if
	// Fullstory's clock is not known.
	unknownPause = 10 * time.Second
	// mostWakes bounds the syncs that wake in one pass of the loop.
	mostWakes = 1000
)

// wakeSyncs wakes the syncs of the account when they are due.
func (w *worker) wakeSyncs(ctx context.Context) {
	for {
		wait := w.wakeDue(ctx)
		// At most idleCheck: a machine that was asleep must not wait for the rest of its timer.
		if !await(ctx, w.syncs, min(wait, idleCheck)) {
			return
		}
	}
}

// wakeDue wakes the syncs that are due, and returns the time until the next one. An error
// stays with its sync.
func (w *worker) wakeDue(ctx context.Context) (wait time.Duration) {
	for range mostWakes {
		s, err := w.o.Ledger.NextSync(ctx, w.o.Account)
		if errors.Is(err, ledger.ErrNotFound) {
			return idle
		}
		if err != nil {
			return unknownPause
		}
		now, known := w.fullstoryNow(ctx)
		if !known {
			return unknownPause
		}
		if s.NextAt.After(now) {
			return s.NextAt.Sub(now)
		}
		if _, err := w.TryWake(ctx, s.ID, now); err != nil {
			w.o.Log.Warn("a sync could not be woken", "sync", s.Name, "error", err)
			return unknownPause
		}
	}
	return 0
}

// fullstoryNow returns the time of Fullstory's clock, if that is known: the windows of a
// sync follow from it, and must not follow from a clock of this machine that is wrong.
func (w *worker) fullstoryNow(ctx context.Context) (now time.Time, known bool) {
	if now, known = w.client.Clock(); !known {
		w.client.Me(ctx) // its answer, if any, sets the clock
		now, known = w.client.Clock()
	}
	return now, known
}

// WakeSync adds to the bulk export of a sync, given by its id, the windows that are missing
// at an instant of Fullstory's clock, and plans windows again that failed lately. It does so
// in one transaction that holds the lock of the sync, and goes by the windows that are
// recorded. So it may be called too late, twice, or in two processes at once. It does nothing
// for a sync that is paused. It returns how many windows it added, and fails with a
// *ledger.QuotaError if the account has too much open.
func (e *Engine) WakeSync(ctx context.Context, id string, now time.Time) (added int, err error) {
	err = e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		s, err := t.Sync(id)
		if err != nil || s.Paused {
			return err
		}
		terms, err := TermsOf(s)
		if err != nil {
			return err
		}
		b, err := t.Bulk(s.Bulk)
		if err != nil {
			return err
		}
		recorded, err := recordedSince(t, s)
		if err != nil {
			return err
		}
		missing, more := terms.Missing(recorded, now, mostWindows)
		if added, err = len(missing), e.extend(t, s, b, missing, now); err != nil {
			return err
		}
		if s.CatchUp == ledger.CatchUpAll {
			s.CoveredTo = coveredTo(s, append(recorded, missing...))
		}
		s.NextAt, s.WokeAt, s.Reason, s.Tries = terms.Next(now, more), now, "", 0
		return errors.Join(t.SaveSync(s), t.Wake(s.Account))
	})
	if err != nil {
		return 0, err
	}
	e.Wake()
	return added, nil
}

// recordedSince returns those of the recorded windows of a sync that say what is missing: with
// CatchUpAll those from where the ones before leave no gap, else the last one. So the cost of
// a wake does not grow with the age of the sync.
func recordedSince(t *ledger.Tx, s ledger.Sync) ([]ledger.SyncWindow, error) {
	if s.CatchUp == ledger.CatchUpAll {
		if s.CoveredTo.After(s.Anchor) {
			return t.SyncWindows(s.Bulk, s.CoveredTo)
		}
		return t.SyncWindows(s.Bulk, time.Time{})
	}
	last, err := t.LastWindow(s.Bulk)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	return []ledger.SyncWindow{last}, err
}

// coveredTo returns up to where windows of a sync, which need not be in order, leave no gap
// after its CoveredTo, or after its anchor if that is later.
func coveredTo(s ledger.Sync, windows []ledger.SyncWindow) time.Time {
	from := plan.Later(s.Anchor, s.CoveredTo)
	for _, r := range plan.NewWindows(rangesOf(windows)...) {
		if !r.Start.After(from) && r.End.After(from) {
			return r.End
		}
	}
	return from
}

func rangesOf(windows []ledger.SyncWindow) []plan.Range {
	ranges := make([]plan.Range, len(windows))
	for i, w := range windows {
		ranges[i] = plan.Range{Start: w.Start, End: w.End}
	}
	return ranges
}

// extend adds windows to the bulk export of a sync, plans failed ones again, and makes the bulk
// export run if that gave it work.
func (e *Engine) extend(
	t *ledger.Tx, s ledger.Sync, b ledger.Bulk, missing []ledger.SyncWindow, now time.Time,
) error {
	again, err := t.RetryFailed(b.ID, now.Add(-retryWindows))
	if err != nil || len(missing)+again == 0 {
		return err
	}
	if len(missing) > 0 {
		request, err := requestUntil(s, b, missing)
		if err != nil {
			return err
		}
		if err := t.AddWindows(b, missing, request); err != nil {
			return err
		}
		if s.Parquet {
			if err := t.RequestConversion(b, s.Table); err != nil {
				return err
			}
		}
		note := s.About(ledger.SyncWoke)
		note.Caller = s.AskedBy
		if err := t.Note(note); err != nil {
			return err
		}
	}
	if b.State.Ended() {
		return t.MoveBulk(b.ID, b.State, ledger.BulkRunning, "", time.Time{})
	}
	return nil
}

// requestUntil returns the request of the bulk export of a sync after it got these windows: its
// range ends with the last window of all.
func requestUntil(s ledger.Sync, b ledger.Bulk, added []ledger.SyncWindow) (json.RawMessage, error) {
	var r, before client.ExportRequest
	if err := errors.Join(json.Unmarshal(s.Request, &r), json.Unmarshal(b.Request, &before)); err != nil {
		return nil, err
	}
	end := client.Instant(before.TimeRange.End) // zero before the first windows
	for _, w := range added {
		end = plan.Later(end, w.End)
	}
	follows := r.SegmentTimeRange != nil && *r.SegmentTimeRange == r.TimeRange
	if r.TimeRange.End = end.UTC().Format(time.RFC3339Nano); follows {
		same := r.TimeRange
		r.SegmentTimeRange = &same
	}
	return json.Marshal(r)
}

// TryWake is WakeSync, and records with the sync why it failed and when it is tried again. It
// fails if that cannot be recorded.
func (e *Engine) TryWake(ctx context.Context, id string, now time.Time) (added int, err error) {
	if added, err = e.WakeSync(ctx, id, now); err != nil {
		return 0, e.failWake(ctx, id, now, err)
	}
	return added, nil
}

// failWake records why a sync could not add windows, and when it tries again.
func (e *Engine) failWake(ctx context.Context, id string, now time.Time, cause error) error {
	return e.o.Ledger.Write(context.WithoutCancel(ctx), func(t *ledger.Tx) error {
		s, err := t.Sync(id)
		if err != nil {
			return ignoreNotFound(err) // it was removed
		}
		s.Tries++
		s.NextAt, s.Reason = now.Add(min(longestDelay, wakeRetry<<min(s.Tries-1, 12))), e.explain(ctx, cause)
		return t.SaveSync(s)
	})
}

// ignoreNotFound returns nil for ErrNotFound.
func ignoreNotFound(err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	return err
}

// Terms are the terms of a sync in the form that arithmetic needs.
type Terms struct {
	sync         ledger.Sync
	every, chunk plan.Granularity
	at           time.Duration // with sync.At
	calendar     plan.Calendar
}

// TermsOf returns the terms of a sync. It fails with a *plan.Error.
func TermsOf(s ledger.Sync) (t Terms, err error) {
	var request struct{ Timezone string }
	if err := json.Unmarshal(s.Request, &request); err != nil {
		return t, err
	}
	t = Terms{sync: s, calendar: plan.Calendar{Week: time.Monday}}
	if t.calendar.Zone, err = plan.Zone(request.Timezone); err != nil {
		return t, err
	}
	if t.every, err = plan.ParseEvery(s.Every); err != nil {
		return t, err
	}
	if t.chunk, err = plan.ParseGranularity(s.Chunk); err != nil {
		return t, err
	}
	if s.At != "" {
		t.at, err = plan.ParseAt(s.At)
	}
	return t, err
}

// Missing returns the windows, at most limit, that a sync with these recorded windows adds at an
// instant of Fullstory's clock; those before its CoveredTo may be left out. more
// reports that further ones are left for the next time.
func (t Terms) Missing(
	recorded []ledger.SyncWindow, now time.Time, limit int,
) (missing []ledger.SyncWindow, more bool) {
	covered, anchor := plan.NewWindows(rangesOf(recorded)...), plan.Later(t.sync.Anchor, t.sync.CoveredTo)
	latest := t.sync.CatchUp == ledger.CatchUpLatest
	if latest {
		if n := len(covered); n > 0 && covered[n-1].End.After(anchor) {
			anchor = covered[n-1].End
		}
		limit = MostMissing
	}
	found, more := plan.Missing(anchor, now.Add(-t.sync.Lag), covered, t.chunk, t.calendar, limit)
	if latest && len(found) > 1 {
		found = found[len(found)-1:]
	}
	for _, r := range found {
		missing = append(missing, ledger.SyncWindow{Start: r.Start, End: r.End})
	}
	return missing, more
}

// Next returns when a sync wakes after an instant of Fullstory's clock: at the next time of
// its schedule, or, without a time of day, when the next period is over and has settled for
// Lag. With more it is soon. It is always after now.
func (t Terms) Next(now time.Time, more bool) time.Time {
	switch {
	case more:
		return now.Add(moreAfter)
	case t.sync.At != "":
		return plan.Schedule{Every: t.every, At: t.at, Calendar: t.calendar}.Next(now).UTC()
	}
	return t.every.NextBoundary(now.Add(-t.sync.Lag), t.calendar).Add(t.sync.Lag).UTC()
}
