package exports

import (
	"cmp"
	"context"
	"time"

	"fullstory-export-mcp/ledger"
)

// DueSyncs returns the ids of the syncs that have something to do: that are due, or whose
// windows are not all stored, or only waits for rows to settle. Paused ones are not among them.
func (a *Account) DueSyncs(ctx context.Context) (ids []string, err error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	syncs, err := engine.o.Ledger.Syncs(ctx, engine.o.Account)
	if err != nil {
		return nil, err
	}
	a.learnClock(ctx)
	now := a.Clock()
	for _, s := range syncs {
		if s.Paused {
			continue
		}
		n, err := engine.o.Ledger.Count(ctx, s.Bulk)
		if err != nil {
			return nil, err
		}
		b, err := engine.o.Ledger.Bulk(ctx, s.Account, s.Bulk)
		if err != nil {
			return nil, err
		}
		if !s.NextAt.After(now) || n.Left() > 0 || b.ManifestDue {
			ids = append(ids, s.ID)
		}
	}
	return ids, nil
}

// RunSync wakes a sync, given by its id or name, unless it is paused, and waits until its
// windows are stored or need somebody. A sync that adds its windows in several steps is woken
// for each. report, if set, is called with the state of its bulk export meanwhile. It returns
// the state of the sync afterwards, also with the error of ctx.
func (a *Account) RunSync(ctx context.Context, idOrName string, report func(BulkStatus)) (SyncStatus, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return SyncStatus{}, err
	}
	if !a.heard() {
		if _, err := a.askMe(ctx); err != nil { // the windows follow from Fullstory's clock
			return SyncStatus{}, err
		}
	}
	for first := true; ; first = false {
		s, err := engine.o.Ledger.Sync(ctx, engine.o.Account, idOrName)
		if err != nil {
			return SyncStatus{}, unknownSync(idOrName, err)
		}
		added := 0
		if !s.Paused {
			if added, err = engine.engine.TryWake(ctx, s.ID, a.Clock()); err != nil {
				return SyncStatus{}, err
			}
		}
		if added == 0 && !first {
			return a.syncStatus(ctx, engine, s)
		}
		if !s.Paused {
			err = a.followSync(ctx, s.Bulk, report)
		}
		status, failed := a.SyncStatus(context.WithoutCancel(ctx), s.ID)
		if err = cmp.Or(err, failed); err != nil || added == 0 || status.State != BehindSync {
			return status, err
		}
	}
}

// followSync waits until the chunks of a bulk export are finished and in its manifest, and its
// Parquet files are made or given up.
func (a *Account) followSync(ctx context.Context, bulkID string, report func(BulkStatus)) error {
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	for {
		s, err := engine.Status(ctx, bulkID)
		if err != nil {
			return err
		}
		if s.Counts.Left() == 0 && !s.Bulk.ManifestDue && !s.converting() || s.Bulk.State == ledger.BulkPaused {
			return nil
		}
		if report != nil {
			report(BulkStatus{BulkSummary: summarize(engine, s)})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(bulkPollInterval):
		}
	}
}
