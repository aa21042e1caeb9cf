package query

import (
	"sort"
)

// batchRows is how many rows the filters look at at once.
const batchRows = 4096

// batch are the rows of the current group that the filters have looked at.
type batch struct {
	rows  []int32 // that they keep and that were not handed over, with the current one
	end   int64   // the row after the last
	pages [][]page
}

// page is whether a page of a column of a filter has rows to keep.
type page struct {
	first   int64 // row of the group
	dropped bool
}

// nextKept goes to the next row that the filters keep.
func (c *cursor) nextKept() error {
	b := &c.batch
	if len(b.rows) > 0 {
		b.rows = b.rows[1:]
	}
	for len(b.rows) == 0 {
		if err := c.table.ctx.Err(); err != nil {
			return err
		}
		if c.number < 0 || b.end >= c.table.groups[c.number].rows {
			if err := c.nextGroup(); err != nil || c.end {
				return err
			}
			b.end = 0
			if ok, err := c.enter(); err != nil {
				return err
			} else if !ok {
				b.end = c.table.groups[c.number].rows
				continue
			}
		}
		if err := c.look(); err != nil {
			return err
		}
	}
	c.row = int64(b.rows[0])
	return nil
}

// enter finds out which pages of the current group have rows to keep. ok is false if none
// has.
func (c *cursor) enter() (ok bool, err error) {
	g, err := c.group()
	if err != nil {
		return false, err
	}
	b := &c.batch
	b.pages = b.pages[:0]
	for _, f := range c.filters {
		r, err := g.column(f.number)
		if err != nil {
			return false, err
		}
		if r == nil { // all rows are NULL
			if !f.nulls {
				return false, nil
			}
			b.pages = append(b.pages, nil)
			continue
		}
		pages, any := r.kept(f)
		if !any {
			return false, nil
		}
		b.pages = append(b.pages, pages)
	}
	return true, nil
}

// kept returns the pages of a column, and whether any may have rows that a filter keeps.
func (r *columnReader) kept(f *filter) (pages []page, any bool) {
	if f.nulls || r.redacted { // bounds are those of the texts before they are redacted
		return nil, true
	}
	if least, most, ok := r.chunk.Bounds(); ok && f.drops(least, most) {
		return nil, false
	}
	index, err := r.chunk.ColumnIndex()
	if err != nil || index.NumPages() != r.offsets.NumPages() {
		return nil, true
	}
	for i := range index.NumPages() {
		p := page{r.offsets.FirstRowIndex(i), index.NullPage(i) || f.drops(index.MinValue(i), index.MaxValue(i))}
		any = any || !p.dropped
		pages = append(pages, p)
	}
	return pages, any
}

// look looks at the next rows of the group.
func (c *cursor) look() error {
	g, err := c.group()
	if err != nil {
		return err
	}
	b := &c.batch
	from := b.end
	b.end = min(from+batchRows, g.rows)
	for i := range c.filters {
		dropped, next := pageAt(b.pages[i], from, g.rows)
		if dropped {
			b.end = next
			return nil
		}
		b.end = min(b.end, next)
	}
	b.rows = b.rows[:0]
	for row := from; row < b.end; row++ {
		b.rows = append(b.rows, int32(row))
	}
	for i, f := range c.filters {
		if b.rows, err = g.filter(f, i, b.rows); err != nil || len(b.rows) == 0 {
			return err
		}
	}
	return nil
}

// pageAt returns whether the page that has a row is dropped, and the row after the page.
func pageAt(pages []page, row, end int64) (dropped bool, next int64) {
	n := sort.Search(len(pages), func(i int) bool { return pages[i].first > row })
	if n < len(pages) {
		end = pages[n].first
	}
	return n > 0 && pages[n-1].dropped, end
}

// filter removes the rows that a filter drops. place is that of the filter among those of
// the cursor.
func (g *groupReader) filter(f *filter, place int, rows []int32) ([]int32, error) {
	r, err := g.column(f.number)
	if err != nil || r == nil { // all rows are NULL, and enter has looked at that
		return rows, err
	}
	kept := rows[:0]
	for len(rows) > 0 {
		v, err := r.vector(int64(rows[0]))
		if err != nil {
			return nil, damaged(g.source.File, err)
		}
		n := 0
		for n < len(rows) && int64(rows[n]) < v.end {
			if v.keeps(f, place, rows[n]) {
				kept = append(kept, rows[n])
			}
			n++
		}
		rows = rows[n:]
	}
	return kept, nil
}

// keeps reports whether a filter keeps a row of the group.
func (v *vector) keeps(f *filter, place int, row int32) bool {
	code := v.codes[int64(row)-v.first]
	switch {
	case code < 0:
		return f.nulls
	case v.dict == nil:
		return f.keeps(&v.plain, code)
	}
	return v.dict.keeps(f, place, code)
}

// keeps reports whether a filter keeps a value. It remembers that.
func (d *dictionary) keeps(f *filter, place int, code int32) bool {
	for place >= len(d.matched) {
		d.matched = append(d.matched, matched{})
	}
	m := &d.matched[place]
	if m.filter != f {
		m.filter = f
		if m.by == nil {
			m.by = make([]match, d.n)
		} else {
			clear(m.by)
		}
	}
	if m.by[code] == unknown {
		m.by[code] = dropped
		if f.keeps(&d.values, code) {
			m.by[code] = kept
		}
	}
	return m.by[code] == kept
}
