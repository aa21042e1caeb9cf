package query

import (
	"bytes"

	"modernc.org/sqlite/vtab"
)

const (
	// scansBefore is how many scans by the value of a column there are before rows are looked
	// up: SQLite makes no index for a virtual table, so that a join scans it for each row.
	scansBefore = 3
	// mostLookedUp is the most rows of a table in which rows are looked up: each takes 8 bytes
	// while they are collected.
	mostLookedUp = 20_000_000
	// mostKeyBytes is the memory that texts by which rows are looked up may take.
	mostKeyBytes = 48 << 20
)

// lookUp finds the rows that have a value in a column.
type lookUp struct {
	scans  int
	tried  bool
	ints   map[int64]uint32
	texts  map[string]uint32
	bytes  int      // of texts
	starts []uint32 // by number of the value: where its rows begin in rows, and at last the end
	rows   []uint32 // of the table
}

// lookUp returns the rows of the table that have the value of the key of the plan. ok is
// false if they have to be scanned.
func (c *cursor) lookUp() (rows []uint32, ok bool, err error) {
	number := c.plan.constraints[c.plan.key].number
	v := c.values[c.plan.key]
	kind := c.table.set.columns[number].kind
	switch v := v.(type) {
	case int64:
		ok = kind == whole
	case string:
		ok = kind == text && !peculiar([]byte(v))
	}
	if !ok {
		return nil, false, nil
	}
	l := c.table.lookUps[number]
	if l == nil {
		l = &lookUp{}
		c.table.lookUps[number] = l
	}
	if l.scans++; l.scans <= scansBefore || c.table.rows > mostLookedUp {
		return nil, false, nil
	}
	if !l.tried {
		l.tried = true
		if err := l.collect(c.table, number); err != nil {
			return nil, false, err
		}
	}
	if l.starts == nil {
		return nil, false, nil
	}
	return l.of(v), true, nil
}

// of returns the rows that have a value. It is not nil.
func (l *lookUp) of(v vtab.Value) []uint32 {
	var n uint32
	var ok bool
	switch v := v.(type) {
	case int64:
		n, ok = l.ints[v]
	case string:
		n, ok = l.texts[v]
	}
	if !ok {
		return []uint32{}
	}
	return l.rows[l.starts[n]:l.starts[n+1]]
}

// noNumber is the number of NULL.
const noNumber = 1<<32 - 1

// collect reads a column. It leaves starts nil if the texts take too much memory.
func (l *lookUp) collect(t *table, number int) error {
	l.ints, l.texts = map[int64]uint32{}, map[string]uint32{}
	numbers, counts := make([]uint32, 0, t.rows), []uint32{}
	for _, g := range t.groups {
		err := t.eachVector(g, number, func(v *vector) error {
			if v == nil {
				for range g.rows {
					numbers = append(numbers, noNumber)
				}
				return nil
			}
			numbers, counts = l.numbers(v, t.set.columns[number].kind, numbers, counts)
			return nil
		})
		if err != nil {
			return err
		}
		if l.bytes > mostKeyBytes {
			l.ints, l.texts = nil, nil
			return nil
		}
	}
	l.starts = make([]uint32, len(counts)+1)
	for i, n := range counts {
		l.starts[i+1] = l.starts[i] + n
	}
	next := append([]uint32(nil), l.starts...)
	l.rows = make([]uint32, l.starts[len(counts)])
	for row, n := range numbers {
		if n != noNumber {
			l.rows[next[n]] = uint32(row)
			next[n]++
		}
	}
	return nil
}

// numbers appends the number of the value of each row of a page, and counts them.
func (l *lookUp) numbers(v *vector, k kind, numbers, counts []uint32) ([]uint32, []uint32) {
	from := &v.plain
	var known []uint32 // by code of the dictionary, plus 1
	if v.dict != nil {
		from = &v.dict.values
		known = make([]uint32, v.dict.n)
	}
	for _, code := range v.codes {
		if code < 0 {
			numbers = append(numbers, noNumber)
			continue
		}
		if known != nil && known[code] > 0 {
			n := known[code] - 1
			numbers = append(numbers, n)
			counts[n]++
			continue
		}
		n := l.numberOf(from, k, code)
		if int(n) == len(counts) {
			counts = append(counts, 0)
		}
		counts[n]++
		numbers = append(numbers, n)
		if known != nil {
			known[code] = n + 1
		}
	}
	return numbers, counts
}

// keyBytes is about how much memory a value takes beside its text.
const keyBytes = 48

// numberOf returns the number of a value, a new one if it is new.
func (l *lookUp) numberOf(from *values, k kind, code int32) uint32 {
	if k == whole {
		n, ok := l.ints[from.ints[code]]
		if !ok {
			n = uint32(len(l.ints))
			l.ints[from.ints[code]] = n
		}
		return n
	}
	s := from.text(code)
	n, ok := l.texts[string(s)]
	if !ok {
		n = uint32(len(l.texts))
		l.texts[string(bytes.Clone(s))] = n
		l.bytes += len(s) + keyBytes
	}
	return n
}

// eachVector calls do with each page of a column in a group, or once with nil if the file
// lacks the column.
func (t *table) eachVector(g *group, number int, do func(*vector) error) error {
	open, err := t.openGroup(g)
	if err != nil {
		return err
	}
	defer open.close()
	r, err := open.column(number)
	if err != nil {
		return err
	}
	if r == nil {
		return do(nil)
	}
	for row := int64(0); row < g.rows; {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		v, err := r.page(row)
		if err != nil {
			return damaged(g.source.File, err)
		}
		if err := do(v); err != nil {
			return err
		}
		row = v.end
	}
	return nil
}

// nextFound goes to the first of the rows that were looked up that the filters keep.
func (c *cursor) nextFound() error {
	for ; len(c.found) > 0; c.found = c.found[1:] {
		row := int64(c.found[0])
		if c.number < 0 || !c.table.groups[c.number].has(row) {
			c.number = c.table.groupOf(row)
			c.outside = !c.keepsFile(c.table.groups[c.number].source.File)
			if err := c.table.ctx.Err(); err != nil {
				return err
			}
		}
		if c.outside {
			continue
		}
		c.row = row - c.table.groups[c.number].first
		if ok, err := c.keepsRow(); ok || err != nil {
			return err
		}
	}
	c.end = true
	return nil
}

// keepsRow reports whether all filters keep the current row.
func (c *cursor) keepsRow() (bool, error) {
	key := c.plan.constraints[c.plan.key].number
	row := c.table.groups[c.number].first + c.row
	for i, f := range c.filters {
		if f.number == key {
			continue
		}
		if f.rows == nil && f.lookUps > scansBefore {
			if err := c.table.keptRows(f); err != nil {
				return false, err
			}
		}
		ok, err := f.rows != nil && f.rows[row/64]>>(row%64)&1 == 1, error(nil)
		if f.rows == nil {
			ok, err = c.keepsBy(f, i)
		}
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// keepsBy reports whether a filter keeps the current row. place is that of the filter.
func (c *cursor) keepsBy(f *filter, place int) (bool, error) {
	g, err := c.group()
	if err != nil {
		return false, err
	}
	r, err := g.column(f.number)
	if err != nil || r == nil {
		return f.nulls, err
	}
	v, err := r.vector(c.row)
	if err != nil {
		return false, damaged(g.source.File, err)
	}
	return v.keeps(f, place, int32(c.row)), nil
}

// keptRows sets the rows that a filter keeps.
func (t *table) keptRows(f *filter) error {
	rows := make([]uint64, t.rows/64+1)
	for _, g := range t.groups {
		err := t.eachVector(g, f.number, func(v *vector) error {
			first, end := int64(0), g.rows
			if v != nil {
				first, end = v.first, v.end
			}
			for row := first; row < end; row++ {
				if v == nil && f.nulls || v != nil && v.keeps(f, 0, int32(row)) {
					rows[(g.first+row)/64] |= 1 << ((g.first + row) % 64)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	f.rows = rows
	return nil
}
