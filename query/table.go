package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/parquet-go/parquet-go/format"
	"modernc.org/sqlite/vtab"
)

const (
	// tableName is the name of the table, and of its module.
	tableName = "rows"
	// mostRows is the most rows of the table.
	mostRows = 1 << 31
)

// table is the virtual table rows. It is used by one goroutine.
type table struct {
	ctx      context.Context // of the question: when it ends, reading fails
	set      columnSet
	sources  []*source
	groups   []*group
	rows     int64
	sizes    []columnSize // by column
	files    files
	mask     *mask
	pushDown bool
	plans    []*plan
	lookUps  map[int]*lookUp // by column
	err      error           // the first one: SQLite loses the text of some
}

// openTable reads the footers of files.
func openTable(ctx context.Context, all []File, maskKey []byte) (*table, error) {
	t := &table{ctx: ctx, set: columnSet{numbers: map[string]int{}}, pushDown: true, lookUps: map[int]*lookUp{}}
	if len(maskKey) > 0 {
		t.mask = newMask(maskKey)
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b File) int {
		return cmp.Or(strings.Compare(a.Day, b.Day), strings.Compare(a.Bulk, b.Bulk), strings.Compare(a.Path, b.Path))
	})
	for _, f := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := t.add(f); err != nil {
			return nil, err
		}
	}
	for _, s := range t.sources {
		s.leaves = t.set.byColumn(s.found)
	}
	return t, nil
}

// add adds a file.
func (t *table) add(f File) error {
	s := &source{File: f}
	file, err := t.files.acquire(s)
	if err != nil {
		return err
	}
	defer t.files.release(s)
	s.found = leaves(file.Root())
	if n := len(t.sources); n > 0 && slices.Equal(s.found, t.sources[n-1].found) {
		s.found = t.sources[n-1].found // most files have the same: keep them once
	}
	if err := t.set.add(s.found, t.mask != nil); err != nil {
		return damaged(f, err)
	}
	t.sources = append(t.sources, s)
	for i, g := range file.RowGroups() {
		t.measure(s.found, &file.Metadata().RowGroups[i])
		t.groups = append(t.groups, &group{source: s, index: i, first: t.rows, rows: g.NumRows()})
		if t.rows += g.NumRows(); g.NumRows() < 0 || t.rows > mostRows {
			return &Error{TooLarge, fmt.Sprintf("The files have more than %d rows. Ask about fewer of them.", int64(mostRows))}
		}
	}
	return nil
}

// measure adds a group of rows to the sizes of the columns.
func (t *table) measure(found []leaf, g *format.RowGroup) {
	t.sizes = append(t.sizes, make([]columnSize, len(t.set.columns)-len(t.sizes))...)
	for _, l := range found {
		if n, ok := t.set.numbers[strings.ToLower(l.name)]; ok && l.index < len(g.Columns) {
			t.sizes[n].measure(l.column, &g.Columns[l.index].MetaData)
		}
	}
}

// close closes all files.
func (t *table) close() {
	for _, s := range t.sources {
		if s.open != nil {
			s.close()
		}
	}
}

// groupOf returns the number of the group that has a row of the table.
func (t *table) groupOf(row int64) int {
	return sort.Search(len(t.groups), func(i int) bool { return t.groups[i].first > row }) - 1
}

// failed remembers an error.
func (t *table) failed(err error) error {
	if err != nil && t.err == nil {
		t.err = err
	}
	return err
}

// Create implements vtab.Module.
func (t *table) Create(ctx vtab.Context, _ []string) (vtab.Table, error) {
	return t, t.failed(ctx.Declare(t.set.declaration()))
}

// Connect implements vtab.Module.
func (t *table) Connect(ctx vtab.Context, args []string) (vtab.Table, error) {
	return t.Create(ctx, args)
}

// VolatileArgs implements vtab.VolatileArgsOpter: without it a text would end at a zero byte.
func (t *table) VolatileArgs() bool { return true }

// Open implements vtab.Table.
func (t *table) Open() (vtab.Cursor, error) { return &cursor{table: t}, nil }

// Disconnect implements vtab.Table.
func (t *table) Disconnect() error { return nil }

// Destroy implements vtab.Table.
func (t *table) Destroy() error { return nil }
