package exports

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
)

// BulkPage is a page of bulk exports. Next is the offset of the next page; 0 on the last.
type BulkPage struct {
	Bulks []BulkSummary
	Next  int
}

const (
	// usualBulks is the default limit of a page.
	usualBulks = 10
	// bulksAtOnce is how many bulk exports are read at once.
	bulksAtOnce = 50
	// mostExamined is how many bulk exports one call examines for those in a state that
	// depends on their files. The next call continues after them.
	mostExamined = 200
)

// byFiles reports whether files decide which bulk exports are in a state: a complete one
// that lacks files is partial.
func byFiles(state ledger.BulkState) bool {
	return state == ledger.BulkComplete || state == ledger.BulkPartial
}

// Bulks returns a page of the bulk exports in a state, or in all states if it is empty,
// newest first: at most limit from the offset on, which is 0 or the Next of a page of the
// same state.
func (a *Account) Bulks(ctx context.Context, state ledger.BulkState, offset, limit int) (BulkPage, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return BulkPage{}, err
	}
	page, at, examined := BulkPage{Bulks: []BulkSummary{}}, []int{}, 0 // at: the offsets of Bulks
	for b, err := range engine.candidates(ctx, state, offset) {
		if err != nil {
			return BulkPage{}, err
		}
		if len(page.Bulks) == limit || examined == mostExamined {
			return page.fitting(at, b.offset, limit), nil
		}
		s, err := engine.StatusOf(ctx, b.Bulk)
		if err != nil {
			return BulkPage{}, err
		}
		if examined++; !byFiles(state) || s.Bulk.State == state {
			summary := summarize(engine, s)
			summary.Export = summary.Export.Brief()
			page.Bulks, at = append(page.Bulks, summary), append(at, b.offset)
		}
	}
	return page.fitting(at, 0, limit), nil
}

// listedBulk is a bulk export and its offset in the list of the ledger.
type listedBulk struct {
	ledger.Bulk
	offset int
}

// candidates returns the bulk exports that may be in a state, newest first, from an offset
// of the list on. It ends after an error.
func (e *Exports) candidates(ctx context.Context, state ledger.BulkState, offset int) iter.Seq2[listedBulk, error] {
	recorded := state
	if byFiles(state) {
		recorded = ""
	}
	return func(yield func(listedBulk, error) bool) {
		for ; ; offset += bulksAtOnce {
			bulks, err := e.List(ctx, recorded, offset, bulksAtOnce)
			if err != nil {
				yield(listedBulk{}, err)
				return
			}
			for i, b := range bulks {
				other := byFiles(state) && b.State != ledger.BulkComplete && b.State != state
				if !other && !yield(listedBulk{b, offset + i}, nil) {
					return
				}
			}
			if len(bulks) < bulksAtOnce {
				return
			}
		}
	}
}

// fitting returns the part of the page that fits a result. at are the offsets of its bulk
// exports, next that of the next page if all fit, and limit the most on the page.
func (p BulkPage) fitting(at []int, next, limit int) BulkPage {
	p.Next = next
	if n := FittingPage(p.Bulks, limit, usualBulks); n < len(p.Bulks) {
		p.Bulks, p.Next = p.Bulks[:n], at[n]
	}
	return p
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

// BulkManifest returns the present manifest of a bulk export, by the ledger. It has only
// the files that are still there.
func (a *Account) BulkManifest(ctx context.Context, id string) (archive.Manifest, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return archive.Manifest{}, err
	}
	s, err := engine.Status(ctx, id)
	if err != nil {
		return archive.Manifest{}, unknownBulk(id, err)
	}
	return engine.currentManifest(ctx, s)
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
