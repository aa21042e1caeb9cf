package ledger

import (
	"context"
	"time"
)

// ChunkWindow is the window of a chunk that is not split, with what a drawing of a bulk export
// shows of it.
type ChunkWindow struct {
	Number      int64
	Start, End  time.Time
	State       ChunkState
	Provisional bool // stored before its rows had settled
	Retrying    bool // not finished, and waits for its next try after a failure
	Rows        int64
}

// Windows calls each with the window of every chunk of a bulk export in their order, until each
// fails. It is one statement, which reads no text. each must not use the ledger.
func (l *Ledger) Windows(ctx context.Context, bulk string, each func(ChunkWindow) error) error {
	rows, err := l.read.QueryContext(ctx, `SELECT number, start_at, end_at, state, provisional, row_count,
		CASE WHEN reason <> '' AND state IN `+unfinished+` THEN 1 ELSE 0 END
		FROM attempts WHERE bulk = $1 AND state <> 'split' ORDER BY start_at`, bulk)
	if err != nil {
		return l.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var w ChunkWindow
		var start, end, provisional, retrying int64
		if err := rows.Scan(&w.Number, &start, &end, &w.State, &provisional, &w.Rows, &retrying); err != nil {
			return l.wrap(err)
		}
		w.Start, w.End, w.Provisional, w.Retrying = instant(start), instant(end), provisional != 0, retrying != 0
		if err := each(w); err != nil {
			return err
		}
	}
	return l.wrap(rows.Err())
}
