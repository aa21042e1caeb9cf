package exports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// DueSyncs returns the ids of the syncs that have something to do: that are due, whose windows
// are not all stored, or only wait for rows to settle, or whose Parquet files or rows in a database
// are to be made or tried again. Paused ones are not among them.
func (a *Account) DueSyncs(ctx context.Context) (ids []string, err error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	syncs, err := engine.o.Ledger.Syncs(ctx, engine.o.Account)
	if err != nil {
		return nil, err
	}
	conversions, err := engine.o.Ledger.Conversions(ctx, engine.o.Account, bulk.MostConversions)
	if err != nil {
		return nil, err
	}
	toConvert := map[string]bool{}
	for _, c := range conversions {
		toConvert[c.Bulk] = bulk.Waits(c) <= 0
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
		if !s.NextAt.After(now) || n.Left() > 0 || b.ManifestDue ||
			toConvert[s.Bulk] && n.By[ledger.ChunkStored] > 0 {
			ids = append(ids, s.ID)
		}
	}
	return ids, nil
}

// RunSync wakes a sync, given by its id or name, unless it is paused, and waits until its
// windows are stored or need somebody. Parquet files, or rows in a database, that could not be made
// are tried again at once. A sync that adds its windows in several steps is woken
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
		s, err := engine.syncOf(ctx, idOrName)
		if err != nil {
			return SyncStatus{}, err
		}
		added, err := a.wakeForRun(ctx, engine, s, first)
		if err != nil {
			return SyncStatus{}, err
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

// wakeForRun wakes a sync unless it is paused, and returns how many windows it added. The first time
// what follows from the windows is tried again, too.
func (a *Account) wakeForRun(ctx context.Context, engine *Exports, s ledger.Sync, first bool) (int, error) {
	if s.Paused {
		return 0, nil
	}
	if first {
		if err := engine.hurryConversion(ctx, s); err != nil {
			return 0, err
		}
	}
	return engine.engine.TryWake(ctx, s.ID, a.Clock())
}

// hurryConversion makes the Parquet files and the rows in the database of a sync be tried again at
// once, if they could not be made.
func (e *Exports) hurryConversion(ctx context.Context, s ledger.Sync) error {
	err := e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.HurryConversion(s.Bulk, bulk.MostConversions); err != nil {
			return err
		}
		return t.Wake(s.Account)
	})
	e.engine.Wake()
	return err
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

// changesInWords says in sentences what a change of a sync would mean for what it has stored.
func (p plannedSync) changesInWords(old ledger.Sync, anew bool) (text string) {
	s := p.sync
	if anew {
		s.Generation++
		text = "The request would be another: the windows stored so far would stay in their folder, as they are, and all " +
			"windows would be exported to a new one."
	}
	if s.Parquet && !old.Parquet {
		text = sentences(text, "Parquet files would be made of what is stored.")
	}
	if s.Table != old.Table {
		text = sentences(text, "The Parquet files would become a Delta table, for good.")
	}
	table := destinationTable(s)
	switch {
	case s.Destination == "" && old.Destination != "":
		text = sentences(text, "Rows would no longer be loaded into "+old.Destination+"; its table would stay as it is.")
	case s.Destination != old.Destination, s.Destination != "" && table != destinationTable(old):
		text = sentences(text, "The rows would be loaded into "+table+" of "+s.Destination+".")
	}
	return text
}

// syncName returns the name of a sync and of its first folder.
func syncName(given string) string { return folderName(given, preflight.Export{}, "") }

// syncOf returns a sync of the account, given by its id or by its name, as it was given to create it.
func (e *Exports) syncOf(ctx context.Context, idOrName string) (ledger.Sync, error) {
	s, err := e.o.Ledger.Sync(ctx, e.o.Account, syncName(idOrName))
	return s, unknownSync(idOrName, err)
}

// unknownSync explains ledger.ErrNotFound of a sync; it returns any other error unchanged.
func unknownSync(name string, err error) error {
	if !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	text := fmt.Sprintf("no sync of this account has the name %q. Take one from `list_syncs`.", client.Clean(name, 100))
	return &Error{Err: err, Explanation: Explanation{Kind: Arguments, Wrong: []WrongArgument{{"name", text}}}}
}
