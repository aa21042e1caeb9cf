package destination

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"fullstory-export-mcp/columnar"
)

// Window is a window that a table has.
type Window struct {
	Name       string
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

// Forget removes the rows of a window from a table, and what was recorded of it, so that Load
// loads it again. It succeeds if the table or the window is not there.
func (d *Destination) Forget(ctx context.Context, tableName, window string) error {
	return d.useTable(ctx, tableName, func(conn *pgx.Conn, t table) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			s, err := t.state(ctx, tx)
			if err != nil || !s.exists || !s.records {
				return err
			}
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", t.windowKey(window)); err != nil {
				return err
			}
			return t.remove(ctx, tx, window)
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

// Update makes a table have the rows of these Parquet files and no others. First it removes
// windows that have no file any more, so that no row is counted twice; each window is
// replaced by itself. It stops at the first failure; what was loaded stays, and the next call
// loads the rest. show, if set, is called after each file.
func (d *Destination) Update(
	ctx context.Context, tableName string, files []string, show func(Loaded),
) (r Result, err error) {
	there, err := d.List(ctx, tableName)
	if err != nil {
		return r, err
	}
	wanted := map[string]bool{}
	for _, path := range files {
		wanted[strings.TrimSuffix(filepath.Base(path), columnar.Suffix)] = true
	}
	for _, w := range there {
		if wanted[w.Name] {
			continue
		}
		if err := d.Forget(ctx, tableName, w.Name); err != nil {
			return r, err
		}
		r.Removed++
	}
	for _, path := range slices.Sorted(slices.Values(files)) {
		l, err := d.Load(ctx, tableName, path)
		if err != nil {
			return r, err
		}
		r.Rows += l.Rows
		if l.Skipped {
			r.Skipped++
		} else {
			r.Loaded++
			r.Replaced += l.Replaced
		}
		if show != nil {
			show(l)
		}
	}
	return r, nil
}
