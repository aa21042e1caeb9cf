package exports

import (
	"context"
	"errors"
	"fmt"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
)

// Bulks returns a page of the bulk exports in a state, or in all states if it is empty,
// newest first: at most limit after the first offset. more is set if others follow.
func (a *Account) Bulks(
	ctx context.Context, state ledger.BulkState, offset, limit int,
) (list []BulkSummary, more bool, err error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, false, err
	}
	bulks, err := engine.List(ctx, state, offset, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(bulks) > limit; more {
		bulks = bulks[:limit]
	}
	list = []BulkSummary{}
	for _, b := range bulks {
		s, err := engine.StatusOf(ctx, b)
		if err != nil {
			return nil, false, err
		}
		summary := summarize(engine, s)
		summary.Export = summary.Export.Brief()
		list = append(list, summary)
	}
	return list, more, nil
}

// NamedBulk is the id and the name of a bulk export.
type NamedBulk struct{ ID, Name string }

// NamedBulks returns at most limit bulk exports, newest first. It is faster than Bulks.
func (a *Account) NamedBulks(ctx context.Context, limit int) (list []NamedBulk, err error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	bulks, err := engine.List(ctx, "", 0, limit)
	for _, b := range bulks {
		list = append(list, NamedBulk{b.ID, b.Name})
	}
	return list, err
}

// BulkManifest returns the present manifest of a bulk export, by the ledger.
func (a *Account) BulkManifest(ctx context.Context, id string) (archive.Manifest, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return archive.Manifest{}, err
	}
	s, err := engine.Status(ctx, id)
	if err != nil {
		return archive.Manifest{}, unknownBulk(id, err)
	}
	return engine.Manifest(ctx, s.Bulk)
}

// ControlBulk carries out an action on a bulk export, and returns its state afterwards.
func (a *Account) ControlBulk(ctx context.Context, id string, action Action) (BulkSummary, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return BulkSummary{}, err
	}
	b, err := engine.Control(ctx, id, action)
	if err != nil {
		return BulkSummary{}, unknownBulk(id, err)
	}
	s, err := engine.StatusOf(ctx, b)
	if err != nil {
		return BulkSummary{}, err
	}
	return summarize(engine, s), nil
}

// ResumeBulk resumes a bulk export that is paused, and retries chunks that failed or
// whose files are missing on disk. It returns a sentence that describes this; "" if
// there is nothing to do.
func (a *Account) ResumeBulk(ctx context.Context, id string) (doing string, err error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return "", err
	}
	before, err := engine.Status(ctx, id)
	if err != nil {
		return "", unknownBulk(id, err)
	}
	for _, action := range []Action{Resume, RetryFailed} {
		if _, err = engine.Control(ctx, id, action); err != nil && !errors.Is(err, ErrWrongState) {
			return "", err
		}
	}
	failed := before.Counts.By[ledger.ChunkFailed]
	switch {
	case before.Bulk.State == ledger.BulkCancelled:
		return "", nil
	case failed > 0 && before.Damaged > 0:
		return fmt.Sprintf("Exporting again: %s, %s.", Counted(failed, "failed chunk"), damagedText(before.Damaged)), nil
	case failed > 0:
		return fmt.Sprintf("Exporting again: %s.", Counted(failed, "failed chunk")), nil
	case before.Damaged > 0:
		return fmt.Sprintf("Exporting again: %s.", damagedText(before.Damaged)), nil
	case before.Bulk.State == ledger.BulkPaused:
		return "Resuming it.", nil
	}
	return "", nil
}

// PauseBulk pauses a bulk export, and returns its status. It does not change one that
// has ended.
func (a *Account) PauseBulk(ctx context.Context, id string) (BulkStatus, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return BulkStatus{}, err
	}
	if _, err = engine.Control(ctx, id, Pause); err != nil && !errors.Is(err, ErrWrongState) {
		return BulkStatus{}, err
	}
	return a.BulkStatus(ctx, id)
}
