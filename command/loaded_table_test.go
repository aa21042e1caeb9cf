//go:build unix

package command

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// loadedTable is the table visits of a database that rows are loaded into, which is polled.
type loadedTable struct {
	t            *testing.T
	address      string
	polls, steps int
	rows         map[string]int64 // by window; of the last poll
}

// poll reads the table again and again.
func (l *loadedTable) poll(ctx context.Context) {
	conn, err := pgx.Connect(ctx, l.address)
	if err != nil {
		l.t.Error(err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for ctx.Err() == nil && l.once(ctx, conn) {
		l.polls++
	}
}

// once reads how many rows each window has, and how many it should have, in one statement. It
// returns false if it cannot.
func (l *loadedTable) once(ctx context.Context, conn *pgx.Conn) bool {
	found, err := conn.Query(ctx, `SELECT w.window_name, w.rows, coalesce(n, 0) FROM fullstory_loads w
		FULL JOIN (SELECT _window, count(*) AS n FROM visits GROUP BY _window) v ON v._window = w.window_name`)
	if err != nil {
		l.failed(ctx, err)
		return false
	}
	before := l.rows
	l.rows = map[string]int64{}
	var window *string
	var recorded *int64
	var rows int64
	_, err = pgx.ForEachRow(found, []any{&window, &recorded, &rows}, func() error {
		if window == nil || recorded == nil || *recorded != rows {
			l.t.Errorf("the table has %d rows of a window, and the loads say %v", rows, recorded)
			return nil
		}
		l.rows[*window] = rows
		return nil
	})
	if err != nil {
		l.failed(ctx, err)
		return false
	}
	for window := range before {
		if _, there := l.rows[window]; !there {
			l.t.Errorf("the window %s was there and is missing", window)
		}
	}
	if before != nil && !maps.Equal(before, l.rows) {
		l.steps++
	}
	return true
}

func (l *loadedTable) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		l.t.Error(err)
	}
}

// check compares the table with the rows of each window, given by start and end.
func (l *loadedTable) check(want map[string]int64) {
	l.t.Helper()
	conn, err := pgx.Connect(l.t.Context(), l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if !l.once(l.t.Context(), conn) || len(l.rows) != len(want) || l.steps == 0 {
		l.t.Errorf("the table has %d windows, want %d; it changed %d times while it was polled", len(l.rows), len(want),
			l.steps)
	}
	for window, rows := range want {
		name := strings.NewReplacer("-", "", ":", "", "/", "_").Replace(window)
		if got, found := l.rows[name]; !found || got != rows {
			l.t.Errorf("the table has %d rows of %s, want %d", got, name, rows)
		}
	}
}
