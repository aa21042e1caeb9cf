package landing

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/delta"
	"fullstory-export-mcp/plan"
)

const (
	// keptFor is how long a Parquet file stays after it left a Delta table, for readers that
	// opened the table before.
	keptFor = 24 * time.Hour
	// commitEvery is after how many new files the tables get them while others are still made.
	commitEvery = 250
	// commitTries is how often a commit is decided anew because another process changed the table.
	commitTries = 5
	// dayColumn is the column of the partition.
	dayColumn = "day"
)

// tables are the Delta tables of a folder: one of its Parquet files, and one of their copies, each
// with a log of its own. A commit gives a table what is wanted, whatever it had, so a conversion
// that is killed or repeated need not know what it did before.
type tables struct {
	own, copied *delta.Table            // copied is nil without copies
	made        map[string]archive.File // whose Parquet files are whole, by path
	targets     map[string]bool         // paths of the files of the manifest, also of those not made yet
	since       int                     // files made since the last commit
}

// openTables opens the tables, and makes those that are missing. id determines their ids.
func (c *conversion) openTables(ctx context.Context, id string, copied delta.Store) (err error) {
	t, columns := &tables{made: map[string]archive.File{}}, c.set.delta()
	id = cmp.Or(id, c.name)
	if t.own, err = delta.Create(ctx, delta.Folder(c.folder.Root()), id, c.name, columns); err != nil {
		return err
	}
	if copied != nil {
		t.copied, c.notCopied = delta.Create(ctx, copied, id, c.name, columns)
	}
	c.tables = t
	return nil
}

// each calls each with the tables. What goes wrong with that of the copies does not keep the own
// table from its files: it is returned when the conversion ends.
func (c *conversion) eachTable(each func(t *delta.Table) error) error {
	err := each(c.tables.own)
	if c.tables.copied != nil && c.notCopied == nil && err == nil {
		c.notCopied = each(c.tables.copied)
	}
	return err
}

// add notes that the Parquet file of f is whole, and lets the tables have it once there are many.
func (t *tables) add(path string, f archive.File) (many bool) {
	t.made[path] = f
	t.since++
	return t.since >= commitEvery
}

// commit gives the tables the files that were made. Before the end it leaves out those whose
// windows have other files now: a window is replaced at once, and by all that comes in its place.
func (c *conversion) commit(ctx context.Context, end bool) error {
	c.tables.since = 0
	return c.eachTable(func(t *delta.Table) (err error) {
		for range commitTries {
			change, failed := c.change(t.Snapshot(), end)
			if failed != nil || len(change.Add) == 0 && len(change.Remove) == 0 {
				return failed
			}
			if _, err = t.Commit(ctx, change); err == nil {
				_, err = t.Checkpoint(ctx)
				return err
			}
			if !errors.Is(err, delta.ErrConflict) {
				return err
			}
			if _, err := t.Refresh(ctx); err != nil {
				return err
			}
		}
		return err
	})
}

// aim sets what the tables get to the files of a manifest.
func (c *conversion) aim(files []archive.File) {
	c.tables.targets = make(map[string]bool, len(files))
	for _, f := range files {
		c.tables.targets[c.target(f)] = true
	}
	maps.DeleteFunc(c.tables.made, func(path string, _ archive.File) bool { return !c.tables.targets[path] })
}

// finishTables makes the tables have the files that were made and no others. It goes by the
// manifest of this moment: another process may have stored files since the conversion began.
func (c *conversion) finishTables(ctx context.Context) error {
	m, err := c.manifest()
	if err != nil {
		return err
	}
	c.aim(m.Files)
	return c.commit(ctx, true)
}

// change returns what a table lacks and, at the end, what it has too much.
func (c *conversion) change(s delta.Snapshot, end bool) (change delta.Change, err error) {
	change.Schema = c.set.delta()
	var leaving []plan.Range // windows of files that leave the table
	for path, f := range s.Files() {
		if !c.tables.targets[path] {
			change.Remove = append(change.Remove, path)
			start, end, _ := strings.Cut(f.Tags[delta.WindowTag], "/")
			leaving = append(leaving, archive.File{Start: start, End: end}.Window())
		}
	}
	slices.Sort(change.Remove)
	if !end {
		change.Remove = nil
	}
	for _, path := range slices.Sorted(maps.Keys(c.tables.made)) {
		f := c.tables.made[path]
		if _, there := s.File(path); there || !end && overlaps(f.Window(), leaving) {
			continue
		}
		added, err := c.tableFile(path, f)
		if err != nil {
			return change, err
		}
		change.Add = append(change.Add, added)
	}
	return change, nil
}

func overlaps(r plan.Range, others []plan.Range) bool {
	return slices.ContainsFunc(others, func(o plan.Range) bool { return r.Start.Before(o.End) && o.Start.Before(r.End) })
}

// tableFile returns a Parquet file as a table has it.
func (c *conversion) tableFile(file string, f archive.File) (added delta.File, err error) {
	content, err := c.folder.Open(file)
	if err != nil {
		return added, err
	}
	defer content.Close()
	info, err := content.Stat()
	if err != nil {
		return added, err
	}
	added = delta.File{
		Path: file, Size: info.Size(), Modified: info.ModTime(), Tags: map[string]string{columnar.KeySum: f.SHA256},
	}
	if !f.Window().Start.IsZero() {
		added.Tags[delta.WindowTag] = f.Start + "/" + f.End
	}
	if day := strings.TrimPrefix(path.Dir(file), partition); day != noDay {
		added.Partition = map[string]string{dayColumn: day}
	}
	_, added.Stats, err = delta.Describe(content, info.Size())
	return added, err
}

// delta returns the columns of a Delta table.
func (s columnSet) delta() delta.Schema {
	types := map[kind]delta.Type{whole: delta.Long, decimal: delta.Double, truth: delta.Boolean, instant: delta.Timestamp}
	columns := make(delta.Schema, 0, len(s.columns)+2)
	for _, c := range s.columns {
		columns = append(columns, delta.Column{Name: c.name, Type: cmp.Or(types[c.kind], delta.String), List: c.list})
	}
	return append(columns, delta.Column{Name: restColumn, Type: delta.String},
		delta.Column{Name: dayColumn, Type: delta.Date, Partition: true})
}

// readable returns the paths that readers of a table may need: those in it, and those that left it
// lately. It deletes, by remove, those that left it before.
func readable(t *delta.Table, remove func(path string) error) (map[string]bool, error) {
	s := t.Snapshot()
	for _, path := range s.Expired(time.Now().Add(-keptFor)) {
		if err := remove(path); err != nil {
			return nil, err
		}
		t.Deleted(path)
	}
	paths := map[string]bool{}
	s = t.Snapshot()
	for path := range s.Files() {
		paths[path] = true
	}
	for _, path := range s.Expired(time.Now().Add(keptFor)) { // all that are left
		paths[path] = true
	}
	return paths, nil
}
