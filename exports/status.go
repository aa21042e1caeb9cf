package exports

import (
	"context"
	"slices"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// Status is the state of a bulk export, counted from its chunks.
type Status struct {
	Bulk    ledger.Bulk
	Counts  ledger.Counts
	At      time.Time     // by Fullstory's clock
	Age     time.Duration // since the bulk export was started
	ETA     time.Time     // by Fullstory's clock; zero if it is not known or nothing is left
	Damaged int           // stored files that are missing or have another size
	files   checkedFiles

	Conversion *ledger.Conversion // nil: Parquet files were not requested

	BlockedReason string // why the engine of this process is blocked, in sentences
	SlowReason    string // why its work is slow, in sentences
}

// Status returns the state of a bulk export, given by id or name. It fails with
// ledger.ErrNotFound.
func (e *Exports) Status(ctx context.Context, idOrName string) (Status, error) {
	b, err := e.o.Ledger.Bulk(ctx, e.o.Account, idOrName)
	if err == nil && b.Single {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return Status{}, err
	}
	return e.StatusOf(ctx, b)
}

// StatusOf returns the state of a bulk export. A complete one whose stored files
// are missing or have another size is partial. Counts is by the ledger: it has these
// files as stored.
func (e *Exports) StatusOf(ctx context.Context, b ledger.Bulk) (Status, error) {
	b, counts, err := e.count(ctx, b)
	s := Status{Bulk: b, Counts: counts, At: e.now(), Age: e.o.Now().Sub(b.CreatedAt)}
	if err != nil {
		return s, err
	}
	if s.files, err = e.checkFiles(ctx, b, s.Counts); err != nil {
		return s, err
	}
	s.Damaged = len(s.files.damaged)
	if err = s.addConversion(ctx, e.o.Ledger); err != nil {
		return s, err
	}
	switch b.State {
	case ledger.BulkRunning:
		var broken bool
		if s.BlockedReason, broken = e.engine.Blocked(ctx); e.lasting(broken) {
			// The pause cannot be recorded, because the ledger fails.
			s.Bulk.State, s.Bulk.Reason, s.BlockedReason = ledger.BulkPaused, s.BlockedReason, ""
		} else if s.BlockedReason == "" && s.Counts.Left() > 0 {
			s.SlowReason = e.slowed(ctx)
			if s.Counts.Running() == 0 {
				s.BlockedReason, err = e.waiting(ctx, b)
			}
		}
		if err != nil {
			return s, err
		}
		if s.ETA, err = e.eta(ctx, s); err == nil && !s.ETA.IsZero() && s.Counts.Left() <= mostRetries {
			s.ETA, err = e.afterRetries(ctx, b.ID, s.ETA)
		}
	case ledger.BulkComplete:
		if s.Damaged > 0 {
			s.Bulk.State = ledger.BulkPartial
		}
	}
	return s, err
}

// count counts the chunks of a bulk export. Its last file may have been stored after b was read, which
// makes its manifest due, so one that has nothing left to do is read again.
func (e *Exports) count(ctx context.Context, b ledger.Bulk) (ledger.Bulk, ledger.Counts, error) {
	n, err := e.o.Ledger.Count(ctx, b.ID)
	if err == nil && b.State == ledger.BulkRunning && n.Left() == 0 {
		b, err = e.o.Ledger.Bulk(ctx, b.Account, b.ID)
	}
	return b, n, err
}

// longWait is how long a bulk export waits for a retry, with nothing running, before its
// status gives the reason.
const longWait = 15 * time.Second

// waiting says why no export of b runs before a retry, and when that is; "" if it is soon.
func (e *Exports) waiting(ctx context.Context, b ledger.Bulk) (string, error) {
	retries, err := e.o.Ledger.Retrying(ctx, b.ID, mostRetries)
	if err != nil || len(retries) == 0 {
		return "", err
	}
	first := slices.MinFunc(retries, func(a, b ledger.Attempt) int { return a.NextAt.Compare(b.NextAt) })
	if time.Until(first.NextAt) < longWait {
		return "", nil
	}
	request, _ := requestOf(b)
	return "The next export is created at " + At(e.shown(first.NextAt), request) + ". " + first.Reason, nil
}

// brokenLimit is how long the ledger may fail before a bulk export counts as paused. A
// lost connection is restored sooner.
const brokenLimit = 3 * time.Second

// lasting reports whether the ledger has failed for longer than brokenLimit.
func (e *Exports) lasting(broken bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !broken:
		e.brokenSince = time.Time{}
	case e.brokenSince.IsZero():
		e.brokenSince = time.Now()
	}
	return broken && time.Since(e.brokenSince) > brokenLimit
}

const (
	// paceSamples is how many of the last stored chunks give the pace.
	paceSamples = 50
	// minPaceSamples is the fewest that do.
	minPaceSamples = 4
	// mostRetries is how many chunks may be left so that an estimate looks at each.
	mostRetries = 100
)

// eta estimates when the remaining chunks are stored: by the pace of the last chunks or,
// if there are too few or the last one is older than an hour, by the durations of the
// account's exports and the initial concurrency limit. It is zero if nothing is known.
func (e *Exports) eta(ctx context.Context, s Status) (time.Time, error) {
	left := s.Counts.Left()
	if left == 0 {
		return time.Time{}, nil
	}
	start := e.now().Add(max(0, time.Until(s.Bulk.NextAt))) // no create is sent before NextAt
	stored, err := e.o.Ledger.Recent(ctx, s.Bulk.ID, paceSamples)
	if err != nil {
		return time.Time{}, err
	}
	if n := len(stored); n >= minPaceSamples && time.Since(stored[0]) < time.Hour {
		each := stored[0].Sub(stored[n-1]) / time.Duration(n-1)
		each = max(each, time.Since(stored[0])/time.Duration(n)) // the work may have stopped
		return start.Add(each * time.Duration(left)), nil
	}
	took, err := e.o.Ledger.Durations(ctx, e.o.Account, paceSamples)
	if err != nil || len(took) == 0 {
		return time.Time{}, err
	}
	var sum time.Duration
	for _, t := range took {
		sum += t
	}
	rounds := (left + client.LimitStart - 1) / client.LimitStart
	return start.Add(sum / time.Duration(len(took)) * time.Duration(rounds)), nil
}

// afterRetries returns an estimate that is not before the last retry of a chunk that
// waits for one.
func (e *Exports) afterRetries(ctx context.Context, bulk string, eta time.Time) (time.Time, error) {
	waiting, err := e.o.Ledger.Retrying(ctx, bulk, mostRetries)
	for _, a := range waiting {
		if retry := e.shown(a.NextAt); retry.After(eta) {
			eta = retry
		}
	}
	return eta, err
}

// Problem is a problem of a window of a bulk export.
type Problem struct {
	Start, End time.Time
	Failed     bool      // retried only on request
	NextAt     time.Time // of the next retry, by Fullstory's clock; zero: at once, or never
	Text       string
}

// Problems returns the problems of windows of a bulk export with a status: those that
// failed, those that wait for a retry, and those whose stored files are missing or have
// another size; at most limit of each.
func (e *Exports) Problems(ctx context.Context, s Status, limit int) (problems []Problem, err error) {
	b, damaged := s.Bulk, s.files.damaged
	failed, err := e.o.Ledger.Chunks(ctx, b.ID, 0, limit, ledger.ChunkFailed)
	if err != nil {
		return nil, err
	}
	for _, a := range failed {
		problems = append(problems, Problem{Start: a.Start, End: a.End, Failed: true, Text: a.Reason})
	}
	waiting, err := e.o.Ledger.Retrying(ctx, b.ID, limit)
	if err != nil {
		return nil, err
	}
	for _, a := range waiting {
		p := Problem{Start: a.Start, End: a.End, Text: a.Reason}
		if time.Until(a.NextAt) > 0 {
			p.NextAt = e.shown(a.NextAt)
		}
		problems = append(problems, p)
	}
	for _, d := range damaged[:min(len(damaged), limit)] {
		problems = append(problems, Problem{Start: d.chunk.Start, End: d.chunk.End, Failed: true, Text: d.text})
	}
	return problems, nil
}

// Object returns the address of the copies of the files of a bulk export; "" without a
// mirror.
func (e *Exports) Object(b ledger.Bulk) string {
	if e.o.Mirror == nil {
		return ""
	}
	return e.o.Mirror.Address(b.Name + "/")
}

// Chunks returns at most limit chunks of a bulk export after the first offset, ordered
// by their windows.
func (e *Exports) Chunks(ctx context.Context, b ledger.Bulk, offset, limit int) ([]ledger.Attempt, error) {
	return e.o.Ledger.Chunks(ctx, b.ID, offset, limit, "")
}

// List returns at most limit bulk exports after the first offset, newest first: those in
// a state, or all if it is empty.
func (e *Exports) List(ctx context.Context, state ledger.BulkState, offset, limit int) ([]ledger.Bulk, error) {
	return e.o.Ledger.Bulks(ctx, e.o.Account, state, offset, limit)
}

// Folder returns the path of the folder of a bulk export on this disk.
func (e *Exports) Folder(b ledger.Bulk) string { return e.o.Archive.Path(b.Name, "") }
