package query

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/parquet-go/parquet-go"
	"modernc.org/sqlite/vtab"
)

// columnReader reads a column of a group, by page, in any order. It keeps the last two
// pages: a join goes back and forth between rows near to each other.
type columnReader struct {
	column
	chunk   *parquet.FileColumnChunk
	pages   *parquet.FilePages
	offsets parquet.OffsetIndex
	rows    int64 // of the group
	dict    *dictionary
	current *vector
	before  *vector
	mask    *mask
}

// newColumnReader returns a reader of a column that has a mask or nil.
func newColumnReader(c column, chunk parquet.ColumnChunk, rows int64, mask *mask) (*columnReader, error) {
	file, ok := chunk.(*parquet.FileColumnChunk)
	if !ok {
		return nil, errors.New("a column is not in a file")
	}
	r := &columnReader{column: c, chunk: file, rows: rows, current: &vector{}, before: &vector{}}
	if c.masked {
		r.mask = mask
	}
	var err error
	if r.offsets, err = file.OffsetIndex(); err != nil {
		return nil, err
	}
	r.pages = file.PagesFrom(file.File())
	return r, nil
}

func (r *columnReader) close() {
	if r.pages != nil {
		r.current.free()
		r.before.free()
		r.pages.Close()
	}
}

func (v *vector) free() {
	if v.page != nil {
		parquet.Release(v.page)
		v.page, v.first, v.end, v.last = nil, 0, 0, 0
	}
}

// value returns the value of a row of the group as SQL sees it.
func (r *columnReader) value(row int64) (vtab.Value, error) {
	v, err := r.vector(row)
	if err != nil {
		return nil, err
	}
	return v.at(r.column, row, r.mask), nil
}

// page is vector with all rows of the page.
func (r *columnReader) page(row int64) (*vector, error) {
	v, err := r.vector(row)
	if err == nil && v.end < v.last {
		err = r.whole()
	}
	return v, err
}

// vector returns the page that has a row of the group, up to that row at least. It is valid
// until two calls later.
func (r *columnReader) vector(row int64) (*vector, error) {
	if row >= r.current.first && row < r.current.end {
		return r.current, nil
	}
	if row >= r.current.first && row < r.current.last {
		return r.current, r.whole()
	}
	r.current, r.before = r.before, r.current
	if row >= r.current.first && row < r.current.end {
		return r.current, nil
	}
	if row >= r.current.first && row < r.current.last {
		return r.current, r.whole()
	}
	codes := r.current.codes
	r.current.free()
	v, err := r.read(row, codes)
	if err != nil {
		r.current = &vector{}
		return nil, err
	}
	r.current = v
	return v, nil
}

// whole makes all rows of the current page.
func (r *columnReader) whole() (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%v", reason)
		}
	}()
	return r.current.fill(r.column, int(r.current.last-r.current.first))
}

// pageOf returns the number of the page that has a row, and the first row of the page.
func (r *columnReader) pageOf(row int64) (n int, first int64) {
	n = sort.Search(r.offsets.NumPages(), func(i int) bool { return r.offsets.FirstRowIndex(i) > row }) - 1
	if n < 0 {
		return n, 0
	}
	return n, r.offsets.FirstRowIndex(n)
}

// read reads the page that has a row. It seeks to the first row of the page only: the
// library gives wrong values of a page of booleans that begins within.
func (r *columnReader) read(row int64, codes []int32) (v *vector, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			v, err = nil, fmt.Errorf("%v", reason)
		}
	}()
	n, first := r.pageOf(row)
	if n < 0 || row >= r.rows {
		return nil, errors.New("a row is on no page")
	}
	if err := r.pages.SeekToRow(first); err != nil {
		return nil, err
	}
	page, err := r.pages.ReadPage()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	var dict *dictionary
	if d := page.Dictionary(); d != nil {
		if r.dict == nil {
			if r.dict, err = dictionaryOf(r.column, d); err != nil {
				return nil, err
			}
		}
		dict = r.dict
	}
	if v, err = vectorOf(r.column, page, first, row, dict, codes); err != nil {
		return nil, err
	}
	if row < v.first || row >= v.end {
		return nil, errors.New("a page has too few rows")
	}
	return v, nil
}

// groupReader reads a group of rows.
type groupReader struct {
	*group
	table   *table
	chunks  []parquet.ColumnChunk
	columns []*columnReader // by column of the table; nil until one is used
}

// openGroup opens a group of rows. The caller must close it.
func (t *table) openGroup(g *group) (*groupReader, error) {
	file, err := t.files.acquire(g.source)
	if err != nil {
		return nil, err
	}
	groups := file.RowGroups()
	if g.index >= len(groups) || groups[g.index].NumRows() != g.rows {
		t.files.release(g.source)
		return nil, damaged(g.source.File, errors.New("it has changed"))
	}
	return &groupReader{
		group: g, table: t, chunks: groups[g.index].ColumnChunks(), columns: make([]*columnReader, len(t.set.columns)),
	}, nil
}

func (g *groupReader) close() {
	for _, c := range g.columns {
		if c != nil {
			c.close()
		}
	}
	g.table.files.release(g.source)
}

// column returns the reader of a column; nil if the file lacks it.
func (g *groupReader) column(number int) (*columnReader, error) {
	if c := g.columns[number]; c != nil {
		return c, nil
	}
	index := g.source.leaves[number]
	if index < 0 {
		return nil, nil
	}
	if index >= len(g.chunks) {
		return nil, damaged(g.source.File, errors.New("it has changed"))
	}
	c, err := newColumnReader(g.table.set.columns[number], g.chunks[index], g.rows, g.table.mask)
	if err != nil {
		return nil, damaged(g.source.File, err)
	}
	g.columns[number] = c
	return c, nil
}

// value returns a value of a row of the group.
func (g *groupReader) value(number int, row int64) (vtab.Value, error) {
	c, err := g.column(number)
	if c == nil || err != nil {
		return nil, err
	}
	v, err := c.value(row)
	if err != nil {
		return nil, damaged(g.source.File, err)
	}
	return v, nil
}

// special returns the day or the bulk of a file as SQL sees it.
func (f File) special(day bool) vtab.Value {
	if day {
		return f.day()
	}
	return f.Bulk
}

// day returns the day of a file as SQL sees it.
func (f File) day() vtab.Value {
	if f.Day == "" {
		return nil
	}
	return f.Day
}
