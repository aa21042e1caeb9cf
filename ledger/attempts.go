package ledger

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// mostAhead is the longest that a chunk waits for its next try. A chunk with a later
// NextAt was written before the clock was set back, and is due.
const mostAhead = 2 * time.Hour

// attempts returns the rows that the rest of a SELECT chooses.
func (l *Ledger) attempts(ctx context.Context, rest string, args ...any) ([]Attempt, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+attemptColumns+" FROM attempts "+rest, args...)
	found, err := all(rows, err, scanAttempt)
	return found, l.wrap(err)
}

// Attempt returns one chunk. It returns ErrNotFound if there is none.
func (l *Ledger) Attempt(ctx context.Context, bulk string, number int64) (Attempt, error) {
	row := l.read.QueryRowContext(ctx,
		"SELECT "+attemptColumns+" FROM attempts WHERE bulk = $1 AND number = $2", bulk, number)
	a, err := one(row, scanAttempt)
	return a, l.wrap(err)
}

// Next returns the earliest due chunk in a state of each running bulk export of an
// account. For ChunkPlanned it leaves out bulk exports whose own NextAt has not
// come: they must not create anything yet.
//
// SQLite plans a statement anew at each run if one of its parameters can decide whether
// a partial index applies. So the state is part of the text, and the CAST keeps the
// planner from comparing the time with the bound of attempts_waiting.
func (l *Ledger) Next(
	ctx context.Context, account string, state ChunkState, now time.Time,
) ([]Attempt, error) {
	columns := "a." + strings.ReplaceAll(attemptColumns, ", ", ", a.")
	query := "SELECT " + columns + ` FROM bulks b
		JOIN attempts a ON a.bulk = b.id AND a.number = (SELECT d.number FROM attempts d
			WHERE d.bulk = b.id AND d.state = ` + literal(string(state)) + `
			AND (d.next_at <= $2 OR d.next_at > CAST($3 AS BIGINT)) ORDER BY d.start_at LIMIT 1)
		WHERE b.account = $1 AND b.state = 'running'`
	if state == ChunkPlanned {
		query += " AND (b.next_at <= $2 OR b.next_at > $3)"
	}
	rows, err := l.read.QueryContext(ctx, query, account, micros(now), micros(now.Add(mostAhead)))
	found, err := all(rows, err, scanAttempt)
	return found, l.wrap(err)
}

// NextDue returns when Next will return one more chunk in a state, planned or ready;
// zero if none waits for its time.
func (l *Ledger) NextDue(
	ctx context.Context, account string, state ChunkState, now time.Time,
) (time.Time, error) {
	bulks := "NULL" // a delay of a bulk export holds only what is planned
	if state == ChunkPlanned {
		bulks = "(SELECT min(next_at) FROM bulks WHERE account = $1 AND state = 'running' AND next_at > $2)"
	}
	var chunk, bulk sql.NullInt64
	err := l.read.QueryRowContext(ctx, `SELECT
		(SELECT min(a.next_at) FROM attempts a JOIN bulks b ON b.id = a.bulk
			WHERE a.account = $1 AND a.state = `+literal(string(state))+` AND a.next_at > 0 AND a.next_at > CAST($2 AS BIGINT)
			AND b.state = 'running'), `+bulks, account, micros(now)).Scan(&chunk, &bulk)
	next := instant(chunk.Int64)
	if at := instant(bulk.Int64); next.IsZero() || !at.IsZero() && at.Before(next) {
		next = at
	}
	return next, l.wrap(err)
}

// In returns the chunks of an account that are in one of two states, the earliest
// intent first. It includes those of paused bulk exports.
func (l *Ledger) In(ctx context.Context, account string, one, other ChunkState, limit int) ([]Attempt, error) {
	return l.attempts(ctx, "WHERE account = $1 AND state IN ($2, $3) ORDER BY intent_at LIMIT $4",
		account, one, other, limit)
}

// Retrying returns unfinished chunks of a bulk export that failed and wait for their
// next try, in order of their windows.
func (l *Ledger) Retrying(ctx context.Context, bulk string, limit int) ([]Attempt, error) {
	return l.attempts(ctx, "WHERE bulk = $1 AND state IN "+unfinished+" AND reason <> '' ORDER BY start_at LIMIT $2",
		bulk, limit)
}

// toSettle is the condition of stored chunks to be exported once more after their
// rows have settled. One with a reason has failed at that, and keeps its file.
const toSettle = "bulk = $1 AND state = 'stored' AND provisional = 1 AND reason = ''"

// Unsettled returns the chunks to settle whose windows ended at or before settled, in
// order of their windows.
func (l *Ledger) Unsettled(ctx context.Context, bulk string, settled time.Time, limit int) ([]Attempt, error) {
	return l.attempts(ctx, "WHERE "+toSettle+" AND end_at <= $2 ORDER BY start_at LIMIT $3",
		bulk, micros(settled), limit)
}

// FirstUnsettled returns the earliest end of the window of a chunk to settle; zero
// if there is none.
func (l *Ledger) FirstUnsettled(ctx context.Context, bulk string) (time.Time, error) {
	var at sql.NullInt64
	err := l.read.QueryRowContext(ctx, "SELECT min(end_at) FROM attempts WHERE "+toSettle, bulk).Scan(&at)
	return instant(at.Int64), l.wrap(err)
}

// IncompleteChunk is a chunk that is not stored, or whose rows had not settled.
type IncompleteChunk struct {
	Start  time.Time
	State  ChunkState
	Stored bool // it has a file, which is to be replaced once its rows have settled
}

// Incomplete returns the chunks of a bulk export that are not stored, or whose rows had not
// settled.
func (l *Ledger) Incomplete(ctx context.Context, bulk string) ([]IncompleteChunk, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT start_at, state, stored_at FROM attempts WHERE bulk = $1
		AND (state NOT IN ('stored', 'split') OR state = 'stored' AND provisional = 1) ORDER BY start_at`, bulk)
	chunks, err := all(rows, err, func(row scanner) (c IncompleteChunk, err error) {
		var start, stored int64
		err = row.Scan(&start, &c.State, &stored)
		c.Start, c.Stored = instant(start), stored > 0
		return c, err
	})
	return chunks, l.wrap(err)
}

// Chunks returns chunks of a bulk export in order of their windows: those in state,
// or, if that is "", all but the split ones, whose halves it returns instead.
func (l *Ledger) Chunks(ctx context.Context, bulk string, offset, limit int, state ChunkState) ([]Attempt, error) {
	const page = " ORDER BY start_at LIMIT $2 OFFSET $3"
	if state == "" {
		return l.attempts(ctx, "WHERE bulk = $1 AND state <> 'split'"+page, bulk, limit, offset)
	}
	return l.attempts(ctx, "WHERE bulk = $1 AND state = $4"+page, bulk, limit, offset, state)
}

// StoredChunk is a stored chunk, as far as its file is concerned.
type StoredChunk struct {
	Number      int64
	Start, End  time.Time
	Rows, Bytes int64
	StoredAt    time.Time
	Provisional bool
}

// Stored calls each with every stored chunk of a bulk export whose file was stored at
// since or later, in no order, until each fails. each must not use the ledger.
func (l *Ledger) Stored(ctx context.Context, bulk string, since time.Time, each func(StoredChunk) error) error {
	query := `SELECT number, start_at, end_at, row_count, byte_count, stored_at, provisional
		FROM attempts WHERE bulk = $1 AND state = 'stored'`
	args := []any{bulk}
	if !since.IsZero() { // the second condition is that of the index attempts_by_time
		query, args = query+" AND stored_at >= $2 AND stored_at > 0", append(args, micros(since))
	}
	rows, err := l.read.QueryContext(ctx, query, args...)
	if err != nil {
		return l.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c StoredChunk
		var start, end, stored, provisional int64
		if err := rows.Scan(&c.Number, &start, &end, &c.Rows, &c.Bytes, &stored, &provisional); err != nil {
			return l.wrap(err)
		}
		c.Start, c.End, c.StoredAt, c.Provisional = instant(start), instant(end), instant(stored), provisional != 0
		if err := each(c); err != nil {
			return err
		}
	}
	return l.wrap(rows.Err())
}

// Counts is the progress of a bulk export, counted from its chunks. A split chunk
// counts as its halves.
type Counts struct {
	By          map[ChunkState]int
	Rows, Bytes int64 // of stored chunks
	Provisional int   // stored chunks that were exported before their rows had settled
}

// All returns the number of chunks.
func (c Counts) All() int {
	n := 0
	for _, k := range c.By {
		n += k
	}
	return n
}

// Running returns the number of chunks between planned and stored.
func (c Counts) Running() int {
	return c.By[ChunkCreating] + c.By[ChunkUncertain] + c.By[ChunkRunning] + c.By[ChunkReady] + c.By[ChunkDownloading]
}

// Left returns the number of unfinished chunks.
func (c Counts) Left() int { return c.By[ChunkPlanned] + c.Running() }

// Settling reports whether nothing is left but to export chunks again when their rows
// have settled.
func (c Counts) Settling() bool { return c.Left() == 0 && c.Provisional > 0 }

// Count counts the chunks of a bulk export.
func (l *Ledger) Count(ctx context.Context, bulk string) (Counts, error) {
	type group struct {
		state                       ChunkState
		n, rows, bytes, provisional int64
	}
	rows, err := l.read.QueryContext(ctx, `SELECT state, count(*), sum(row_count), sum(byte_count), sum(provisional)
		FROM attempts WHERE bulk = $1 GROUP BY state`, bulk)
	groups, err := all(rows, err, func(row scanner) (g group, err error) {
		err = row.Scan(&g.state, &g.n, &g.rows, &g.bytes, &g.provisional)
		return g, err
	})
	c := Counts{By: map[ChunkState]int{}}
	for _, g := range groups {
		if g.state == ChunkSplit {
			continue
		}
		c.By[g.state] = int(g.n)
		if g.state == ChunkStored {
			c.Rows, c.Bytes, c.Provisional = g.rows, g.bytes, int(g.provisional)
		}
	}
	return c, l.wrap(err)
}

// Recent returns when the last chunks of a bulk export were stored, at most limit of
// them, newest first.
func (l *Ledger) Recent(ctx context.Context, bulk string, limit int) ([]time.Time, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT stored_at FROM attempts WHERE bulk = $1 AND stored_at > 0
		ORDER BY stored_at DESC LIMIT $2`, bulk, limit)
	times, err := all(rows, err, func(row scanner) (time.Time, error) {
		var us int64
		err := row.Scan(&us)
		return instant(us), err
	})
	return times, l.wrap(err)
}

// HasWork reports whether the leaseholder of an account has anything to do: a chunk
// under way, a running bulk export, a manifest to write, or an operation whose
// outcome is not known.
func (l *Ledger) HasWork(ctx context.Context, account string) (work bool, err error) {
	err = l.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM attempts
			WHERE account = $1 AND state IN ('creating', 'uncertain', 'running', 'ready', 'downloading'))
		OR EXISTS (SELECT 1 FROM bulks WHERE account = $1 AND (state = 'running' OR manifest_due > 0))
		OR EXISTS (SELECT 1 FROM operations WHERE account = $1 AND outcome = '')`, account).Scan(&work)
	return work, l.wrap(err)
}
