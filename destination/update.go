package destination

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"fullstory-export-mcp/columnar"
)

// File is a Parquet file to be loaded.
type File struct {
	Path       string
	Window     string    // its name, see columnar.File
	Start, End time.Time // of the window, half-open; zero: open
	SHA256     string    // of the exported file
}

// Update makes a table have the rows of these Parquet files and no others. It loads those whose
// windows the table lacks, or has of other content, and removes windows that have no file any
// more. Windows that overlap change in one transaction: a reader never sees a row twice, nor a gap.
// It stops at the first failure; what was loaded stays, and the next call loads the rest. show, if
// set, is called after each file.
func (d *Destination) Update(
	ctx context.Context, tableName string, files []File, show func(Loaded),
) (r Result, err error) {
	there, err := d.List(ctx, tableName)
	if err != nil {
		return r, err
	}
	had, wanted := map[string]Window{}, map[string]bool{}
	for _, w := range there {
		had[w.Name] = w
	}
	var steps []step
	for _, f := range files {
		wanted[f.Window] = true
		if w, found := had[f.Window]; found && w.SHA256 == f.SHA256 {
			r.Skipped, r.Rows = r.Skipped+1, r.Rows+w.Rows
			continue
		}
		steps = append(steps, step{start: f.Start, end: f.End, load: []File{f}})
	}
	for _, w := range there {
		if !wanted[w.Name] {
			steps = append(steps, step{start: w.Start, end: w.End, remove: []string{w.Name}})
		}
	}
	for _, s := range joined(steps) {
		loaded, err := d.apply(ctx, tableName, s)
		if err != nil {
			return r, err
		}
		r.Removed += len(s.remove)
		for _, l := range loaded {
			r.add(l)
			if show != nil {
				show(l)
			}
		}
	}
	return r, nil
}

// add counts a file.
func (r *Result) add(l Loaded) {
	if r.Rows += l.Rows; l.Skipped {
		r.Skipped++
		return
	}
	r.Loaded, r.Replaced = r.Loaded+1, r.Replaced+l.Replaced
}

// step is what changes in one transaction.
type step struct {
	start, end time.Time // of all windows
	load       []File
	remove     []string // names of windows
}

// joined joins steps whose windows overlap.
func joined(steps []step) (all []step) {
	slices.SortStableFunc(steps, func(a, b step) int { return a.start.Compare(b.start) })
	for _, s := range steps {
		last := len(all) - 1
		if last < 0 || !all[last].end.IsZero() && !s.start.Before(all[last].end) {
			all = append(all, s)
			continue
		}
		all[last].load, all[last].remove = append(all[last].load, s.load...), append(all[last].remove, s.remove...)
		if s.end.IsZero() || !all[last].end.IsZero() && s.end.After(all[last].end) {
			all[last].end = s.end
		}
	}
	return all
}

// apply carries out a step.
func (d *Destination) apply(ctx context.Context, tableName string, s step) (loaded []Loaded, err error) {
	var open []*columnar.File
	for _, f := range s.load {
		file, err := os.Open(f.Path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		parquet, err := columnar.Open(file)
		if err != nil {
			return nil, explainFile(f.Path, err)
		}
		open = append(open, parquet)
	}
	err = d.useTable(ctx, tableName, func(conn *pgx.Conn, t table) error {
		for i, f := range open {
			if err := d.prepare(ctx, conn, t, columnsOf(f.Columns)); err != nil {
				return explainFile(s.load[i].Path, err)
			}
		}
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			loaded, err = t.carryOut(ctx, tx, s, open)
			return err
		})
	})
	return loaded, err
}

// carryOut carries out a step in a transaction. It locks the windows in the order of their names,
// so that two processes do not wait for each other.
func (t table) carryOut(ctx context.Context, tx pgx.Tx, s step, files []*columnar.File) (loaded []Loaded, err error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock_shared($1)", t.key("table\x00"+t.name)); err != nil {
		return nil, err
	}
	names := slices.Clone(s.remove)
	for _, f := range files {
		names = append(names, f.Window)
	}
	slices.SortFunc(names, strings.Compare)
	for _, name := range names {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", t.windowKey(name)); err != nil {
			return nil, err
		}
	}
	for _, name := range s.remove {
		if err := t.remove(ctx, tx, name); err != nil {
			return nil, err
		}
	}
	for i, f := range files {
		l, err := t.recorded(ctx, tx, f) // by another process in the meantime
		if err == nil && !l.Skipped {
			l, err = t.replace(ctx, tx, f)
		}
		if err != nil {
			return nil, explainFile(s.load[i].Path, err)
		}
		loaded = append(loaded, l)
	}
	return loaded, nil
}
