package bulk

import (
	"context"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
)

// Status is how a bulk export stands, counted from its chunks.
type Status struct {
	Bulk   ledger.Bulk
	Counts ledger.Counts
	ETA    time.Time // by the account's clock; zero when it is not known or has ended
	Held   string    // what holds all work of this process up at present, a sentence
}

// Status returns how a bulk export stands, given by id or name. It fails with
// ledger.ErrUnknown.
func (e *Engine) Status(ctx context.Context, idOrName string) (Status, error) {
	b, err := e.o.Ledger.Bulk(ctx, e.o.Account, idOrName)
	if err != nil {
		return Status{}, err
	}
	return e.StatusOf(ctx, b)
}

// StatusOf returns how a bulk export stands.
func (e *Engine) StatusOf(ctx context.Context, b ledger.Bulk) (Status, error) {
	s := Status{Bulk: b}
	var err error
	if s.Counts, err = e.o.Ledger.Count(ctx, b.ID); err != nil {
		return s, err
	}
	if b.State == ledger.BulkRunning {
		var broken bool
		if s.Held, broken = e.Trouble(); broken {
			// It cannot be noted in the ledger that it is paused.
			s.Bulk.State, s.Bulk.Reason, s.Held = ledger.BulkPaused, s.Held, ""
		}
		s.ETA, err = e.eta(ctx, s)
	}
	return s, err
}

const (
	// paceOf is how many of the last stored chunks tell how fast it goes on.
	paceOf = 50
	// paceLeast is the fewest that do.
	paceLeast = 4
)

// eta reckons when the rest is stored: as fast as the last chunks were, or
// before there are enough of them by how long exports of this account took.
func (e *Engine) eta(ctx context.Context, s Status) (time.Time, error) {
	left := s.Counts.By[ledger.ChunkPlanned] + s.Counts.Running()
	if left == 0 {
		return time.Time{}, nil
	}
	stored, err := e.o.Ledger.Recent(ctx, s.Bulk.ID, paceOf)
	if err != nil {
		return time.Time{}, err
	}
	if n := len(stored); n >= paceLeast && time.Since(stored[0]) < time.Hour {
		each := stored[0].Sub(stored[n-1]) / time.Duration(n-1)
		each = max(each, time.Since(stored[0])/time.Duration(n)) // it may have come to a stop
		return e.o.Now().Add(each * time.Duration(left)), nil
	}
	took, err := e.o.Ledger.Durations(ctx, e.o.Account, paceOf)
	if err != nil || len(took) == 0 {
		return time.Time{}, err
	}
	var sum time.Duration
	for _, t := range took {
		sum += t
	}
	rounds := (left + windowStart - 1) / windowStart
	return e.o.Now().Add(sum / time.Duration(len(took)) * time.Duration(rounds)), nil
}

// Problem is what is wrong with a window of a bulk export.
type Problem struct {
	Start, End time.Time
	Failed     bool // nothing more is tried by itself
	Text       string
}

// Problems returns what is wrong with windows of a bulk export: those that
// failed, those that are tried again, and stored files that are missing or have
// another size by now; at most limit of each.
func (e *Engine) Problems(ctx context.Context, b ledger.Bulk, limit int) (problems []Problem, err error) {
	failed, err := e.o.Ledger.Chunks(ctx, b.ID, 0, limit, ledger.ChunkFailed)
	if err != nil {
		return nil, err
	}
	for _, c := range failed {
		problems = append(problems, Problem{c.Start, c.End, true, c.Error})
	}
	again, err := e.o.Ledger.Troubled(ctx, b.ID, limit)
	if err != nil {
		return nil, err
	}
	for _, c := range again {
		problems = append(problems, Problem{c.Start, c.End, false, c.Error})
	}
	spoilt, err := e.spoiltFiles(ctx, b, limit, copiesLife)
	for _, s := range spoilt {
		problems = append(problems, Problem{s.chunk.Start, s.chunk.End, true, s.text})
	}
	return problems, err
}

// Object returns where the copies of the files of a bulk export are; "" without
// a mirror.
func (e *Engine) Object(b ledger.Bulk) string {
	if e.o.Mirror == nil {
		return ""
	}
	return e.o.Mirror.Address(b.Name + "/")
}

// Chunks returns the chunks of a bulk export by their windows.
func (e *Engine) Chunks(ctx context.Context, b ledger.Bulk, offset, limit int) ([]ledger.Chunk, error) {
	return e.o.Ledger.Chunks(ctx, b.ID, offset, limit)
}

// List returns bulk exports in a state, or in all, newest first.
func (e *Engine) List(ctx context.Context, state ledger.BulkState, offset, limit int) ([]ledger.Bulk, error) {
	return e.o.Ledger.Bulks(ctx, e.o.Account, state, offset, limit)
}

// Folder returns where the files of a bulk export are.
func (e *Engine) Folder(b ledger.Bulk) string { return e.o.Archive.Path(b.Name, "") }

// Manifest returns what is known of the files of a bulk export now; the one in
// its folder may be a minute behind.
func (e *Engine) Manifest(ctx context.Context, b ledger.Bulk) (archive.Manifest, error) {
	return e.manifest(ctx, b)
}
