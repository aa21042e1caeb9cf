package ledger

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"
)

// ChunkState says how a chunk of a bulk export stands.
type ChunkState string

// The states of a chunk. Package bulk has the ways from one to another.
const (
	ChunkPlanned     ChunkState = "planned"
	ChunkCreating    ChunkState = "creating"    // an export is being asked for, or was as the process died
	ChunkUncertain   ChunkState = "uncertain"   // several operations may be its export
	ChunkRunning     ChunkState = "running"     // Fullstory works on it
	ChunkReady       ChunkState = "ready"       // its file can be fetched
	ChunkDownloading ChunkState = "downloading" // its file is being fetched
	ChunkStored      ChunkState = "stored"      // its file is verified and recorded
	ChunkFailed      ChunkState = "failed"
	ChunkSplit       ChunkState = "split" // two halves stand in for it
	ChunkCancelled   ChunkState = "cancelled"
)

// Chunk is one window of a bulk export.
type Chunk struct {
	Bulk        string
	Number      int64 // within the bulk, never used again
	Start, End  time.Time
	State       ChunkState
	Attempts    int       // exports that came to nothing
	NextAt      time.Time // nothing is tried before; zero: at once
	Export      string    // the present one, see Export; "": none
	Error       string    // why it failed last, a sentence
	Rows, Bytes int64     // of its file
	StoredAt    time.Time
	Provisional bool // its file was exported before its rows had settled
}

const chunkColumns = "bulk, number, start_at, end_at, state, attempts, next_at, export, error, row_count, byte_count, stored_at, provisional"

func scanChunk(row scanner) (c Chunk, err error) {
	var start, end, next, stored, provisional int64
	err = row.Scan(&c.Bulk, &c.Number, &start, &end, &c.State, &c.Attempts, &next, &c.Export, &c.Error, &c.Rows, &c.Bytes, &stored, &provisional)
	c.Start, c.End, c.NextAt, c.StoredAt, c.Provisional = instant(start), instant(end), instant(next), instant(stored), provisional != 0
	return c, err
}

// addedAtOnce is how many rows one statement adds. SQLite is slow to read
// statements with many values: 10,000 chunks take 0.2 s by tens and 2 s by five
// hundreds; PostgreSQL hardly differs.
const addedAtOnce = 10

// AddChunks adds chunks of a bulk export.
func (t *Tx) AddChunks(chunks []Chunk) error {
	for len(chunks) > 0 {
		n := min(len(chunks), addedAtOnce)
		var statement strings.Builder
		statement.WriteString("INSERT INTO chunks (" + chunkColumns + ") VALUES ")
		args := make([]any, 0, n*13)
		for i, c := range chunks[:n] {
			if i > 0 {
				statement.WriteByte(',')
			}
			for j := range 13 {
				statement.WriteString(map[bool]string{true: "($", false: ",$"}[j == 0] + strconv.Itoa(len(args)+j+1))
			}
			statement.WriteByte(')')
			args = append(args, c.Bulk, c.Number, micros(c.Start), micros(c.End), c.State, c.Attempts, micros(c.NextAt), c.Export, c.Error, c.Rows, c.Bytes, micros(c.StoredAt), flag(c.Provisional))
		}
		if _, err := t.tx.ExecContext(t.ctx, statement.String(), args...); err != nil {
			return err
		}
		chunks = chunks[n:]
	}
	return nil
}

// SaveChunk writes all of c, if its state is still from. Otherwise it fails
// with ErrMoved.
func (t *Tx) SaveChunk(c Chunk, from ChunkState) error {
	return t.exec(ErrMoved, `UPDATE chunks SET state = $1, attempts = $2, next_at = $3, export = $4, error = $5, row_count = $6, byte_count = $7, stored_at = $8, provisional = $9
		WHERE bulk = $10 AND number = $11 AND state = $12`,
		c.State, c.Attempts, micros(c.NextAt), c.Export, c.Error, c.Rows, c.Bytes, micros(c.StoredAt), flag(c.Provisional), c.Bulk, c.Number, from)
}

// MoveChunks changes the state of every chunk of a bulk export that is in one
// of the states, and returns how many were.
func (t *Tx) MoveChunks(bulk string, to ChunkState, from ...ChunkState) (int, error) {
	moved := 0
	for _, f := range from {
		result, err := t.tx.ExecContext(t.ctx, "UPDATE chunks SET state = $1, next_at = 0 WHERE bulk = $2 AND state = $3", to, bulk, f)
		if err != nil {
			return moved, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return moved, err
		}
		moved += int(n)
	}
	return moved, nil
}

// ForgiveChunks lets failed chunks of a bulk export start over, without the
// attempts that they used up.
func (t *Tx) ForgiveChunks(bulk string) (int, error) {
	if _, err := t.tx.ExecContext(t.ctx, "UPDATE chunks SET attempts = 0 WHERE bulk = $1 AND state = $2", bulk, ChunkFailed); err != nil {
		return 0, err
	}
	return t.MoveChunks(bulk, ChunkPlanned, ChunkFailed)
}

// LastNumber returns the highest number of a chunk of a bulk export.
func (t *Tx) LastNumber(bulk string) (n int64, err error) {
	err = t.tx.QueryRowContext(t.ctx, "SELECT coalesce(max(number), -1) FROM chunks WHERE bulk = $1", bulk).Scan(&n)
	return n, err
}

// farAhead is how far ahead a time to try again can lie. What lies further was
// written before the clock was set back, and is due.
const farAhead = 2 * time.Hour

// Due returns chunks of a bulk export in a state whose time has come, the
// earliest windows first.
func (l *Ledger) Due(ctx context.Context, bulk string, state ChunkState, now time.Time, limit int) ([]Chunk, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+chunkColumns+" FROM chunks WHERE bulk = $1 AND state = $2 AND (next_at <= $3 OR next_at > $4) ORDER BY start_at LIMIT $5",
		bulk, state, micros(now), micros(now.Add(farAhead)), limit)
	chunks, err := all(rows, err, scanChunk)
	return chunks, l.failed(err)
}

// Troubled returns chunks of a bulk export that came to nothing before and are
// tried again.
func (l *Ledger) Troubled(ctx context.Context, bulk string, limit int) ([]Chunk, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+chunkColumns+" FROM chunks WHERE bulk = $1 AND state IN ('planned', 'creating', 'uncertain', 'running', 'ready', 'downloading') AND error <> '' ORDER BY start_at LIMIT $2", bulk, limit)
	chunks, err := all(rows, err, scanChunk)
	return chunks, l.failed(err)
}

// Unsettled returns stored chunks of a bulk export that were exported before
// their rows had settled and ended at or before settled, which is zero for all.
func (l *Ledger) Unsettled(ctx context.Context, bulk string, settled time.Time, limit int) ([]Chunk, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+chunkColumns+" FROM chunks WHERE bulk = $1 AND state = $2 AND provisional = 1 AND (end_at <= $3 OR $3 = 0) ORDER BY start_at LIMIT $4",
		bulk, ChunkStored, micros(settled), limit)
	chunks, err := all(rows, err, scanChunk)
	return chunks, l.failed(err)
}

// Chunk returns one chunk. It fails with ErrUnknown.
func (l *Ledger) Chunk(ctx context.Context, bulk string, number int64) (Chunk, error) {
	c, err := scanChunk(l.read.QueryRowContext(ctx, "SELECT "+chunkColumns+" FROM chunks WHERE bulk = $1 AND number = $2", bulk, number))
	if errors.Is(err, sql.ErrNoRows) {
		return c, ErrUnknown
	}
	return c, l.failed(err)
}

// Chunk returns one chunk as it is in the transaction. It fails with
// ErrUnknown.
func (t *Tx) Chunk(bulk string, number int64) (Chunk, error) {
	c, err := scanChunk(t.tx.QueryRowContext(t.ctx, "SELECT "+chunkColumns+" FROM chunks WHERE bulk = $1 AND number = $2"+t.lock, bulk, number))
	if errors.Is(err, sql.ErrNoRows) {
		return c, ErrUnknown
	}
	return c, err
}

// Chunks returns the chunks of a bulk export that count, those in one of the
// states if any are given, by their windows.
func (l *Ledger) Chunks(ctx context.Context, bulk string, offset, limit int, states ...ChunkState) ([]Chunk, error) {
	args := []any{bulk, limit, offset}
	in := "state <> '" + string(ChunkSplit) + "'"
	if len(states) > 0 {
		in = "state IN ("
		for i, s := range states {
			in += map[bool]string{true: "$", false: ",$"}[i == 0] + strconv.Itoa(len(args)+1)
			args = append(args, s)
		}
		in += ")"
	}
	rows, err := l.read.QueryContext(ctx, "SELECT "+chunkColumns+" FROM chunks WHERE bulk = $1 AND "+in+" ORDER BY start_at LIMIT $2 OFFSET $3", args...)
	chunks, err := all(rows, err, scanChunk)
	return chunks, l.failed(err)
}

// Counts say how a bulk export stands, counted from its chunks. A chunk that
// was split counts as its halves.
type Counts struct {
	By          map[ChunkState]int
	Rows, Bytes int64 // of stored chunks
	Provisional int   // of stored chunks
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

// Count counts the chunks of a bulk export.
func (l *Ledger) Count(ctx context.Context, bulk string) (Counts, error) {
	type group struct {
		state                    ChunkState
		n, rows, bytes, provided int64
	}
	rows, err := l.read.QueryContext(ctx, "SELECT state, count(*), sum(row_count), sum(byte_count), sum(provisional) FROM chunks WHERE bulk = $1 GROUP BY state", bulk)
	groups, err := all(rows, err, func(row scanner) (g group, err error) {
		err = row.Scan(&g.state, &g.n, &g.rows, &g.bytes, &g.provided)
		return g, err
	})
	c := Counts{By: map[ChunkState]int{}}
	for _, g := range groups {
		if g.state == ChunkSplit {
			continue
		}
		c.By[g.state] = int(g.n)
		if g.state == ChunkStored {
			c.Rows, c.Bytes, c.Provisional = g.rows, g.bytes, int(g.provided)
		}
	}
	return c, l.failed(err)
}

// Left tells whether anything is left to do of a bulk export.
func (l *Ledger) Left(ctx context.Context, bulk string) (left bool, err error) {
	err = l.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM chunks WHERE bulk = $1 AND state IN ('planned', 'creating', 'uncertain', 'running', 'ready', 'downloading'))", bulk).Scan(&left)
	return left, l.failed(err)
}

// Recent returns when the last chunks of a bulk export were stored, at most
// limit, newest first.
func (l *Ledger) Recent(ctx context.Context, bulk string, limit int) ([]time.Time, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT stored_at FROM chunks WHERE bulk = $1 AND stored_at > 0 ORDER BY stored_at DESC LIMIT $2", bulk, limit)
	times, err := all(rows, err, func(row scanner) (time.Time, error) {
		var us int64
		err := row.Scan(&us)
		return instant(us), err
	})
	return times, l.failed(err)
}
