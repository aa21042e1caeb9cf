package destination

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Window is a window that a table has.
type Window struct {
	Name       string    // see columnar.File
	Start, End time.Time // half-open; zero: open
	SHA256     string    // of the exported file
	Rows       int64
	LoadedAt   time.Time
}

// List returns the windows that were loaded into a table, by name. It is empty if there is no
// such table.
func (d *Destination) List(ctx context.Context, tableName string) (found []Window, err error) {
	err = d.useTable(ctx, tableName, func(conn *pgx.Conn, t table) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			s, err := t.state(ctx, tx)
			if err != nil || !s.exists || !s.records {
				return err
			}
			rows, err := tx.Query(ctx, "SELECT window_name, window_start, window_end, sha256, rows, loaded_at FROM "+
				t.beside(loads)+" WHERE table_name = $1 ORDER BY window_name COLLATE \"C\"", t.name)
			if err != nil {
				return err
			}
			found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (w Window, err error) {
				var start, end *time.Time
				err = row.Scan(&w.Name, &start, &end, &w.SHA256, &w.Rows, &w.LoadedAt)
				if start != nil {
					w.Start = start.UTC()
				}
				if end != nil {
					w.End = end.UTC()
				}
				return w, err
			})
			return err
		})
	})
	return found, err
}

// Check fails with an *Error if the rows of no export can be loaded into the table: if its schema is
// missing, or if it exists and was not made for exports. It changes nothing.
func (d *Destination) Check(ctx context.Context, tableName string) error {
	return d.useTable(ctx, tableName, func(conn *pgx.Conn, t table) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			s, err := t.state(ctx, tx)
			if err != nil {
				return err
			}
			_, err = s.missing(t, nil, nil)
			return err
		})
	})
}

// Result is the outcome of Update.
type Result struct {
	Loaded   int   // windows whose rows were loaded
	Skipped  int   // windows that were up to date
	Removed  int   // windows that are not among the files
	Rows     int64 // of the windows that were loaded or skipped
	Replaced int64 // see Copied; of the windows that were loaded
}
