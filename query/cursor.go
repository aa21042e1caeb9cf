package query

import (
	"fmt"
	"slices"
	"strings"

	"modernc.org/sqlite/vtab"
)

// cursor is a scan of the table. It hands over rows in one of three ways: all rows that the
// filters keep in the order of the files, rows that were looked up, or sorted ones.
type cursor struct {
	table   *table
	plan    *plan
	values  []vtab.Value // of the constraints of the plan
	made    []*filter    // of the constraints, or nil
	never   []bool       // whether no row meets a constraint
	filters []*filter    // those of made that there are
	none    bool         // no row meets the constraints

	open    []*groupReader // the last one is that of the current row
	number  int            // of the group
	row     int64          // of the group
	batch   batch
	found   []uint32 // rows of the table that were looked up and not handed over, with the current one
	outside bool     // the current group has none of them
	sorted  *sorted
	end     bool
}

// openGroups is how many groups of rows a cursor keeps open.
const openGroups = 8

// Filter implements vtab.Cursor. It starts a scan.
func (c *cursor) Filter(number int, _ string, values []vtab.Value) error {
	if number < 0 || number >= len(c.table.plans) {
		return c.table.failed(fmt.Errorf("there is no plan %d", number))
	}
	c.prepare(c.table.plans[number], values)
	c.found, c.sorted, c.number, c.row, c.batch, c.end = nil, nil, -1, -1, batch{}, c.none
	if c.none {
		return nil
	}
	return c.table.failed(c.start())
}

// prepare makes the filters of the constraints. It keeps those whose value is that of the
// scan before, as most are in a join.
func (c *cursor) prepare(p *plan, values []vtab.Value) {
	n := len(p.constraints)
	first := p != c.plan
	if first {
		c.plan, c.values, c.made, c.never = p, make([]vtab.Value, n), make([]*filter, n), make([]bool, n)
	}
	c.filters, c.none = c.filters[:0], false
	for i, constraint := range p.constraints {
		if first || !same(c.values[i], values[i]) {
			c.values[i] = keptValue(values[i])
			c.made[i], c.never[i] = nil, false
			if constraint.number < len(c.table.set.columns) {
				column := c.table.set.columns[constraint.number]
				c.made[i], c.never[i] = newFilter(column, constraint.number, constraint.op, c.values[i])
			}
		}
		c.none = c.none || c.never[i]
		if c.made[i] != nil {
			c.filters = append(c.filters, c.made[i])
		}
	}
}

// keptValue returns a value that stays when SQLite reuses its memory.
func keptValue(v vtab.Value) vtab.Value {
	switch v := v.(type) {
	case string:
		return strings.Clone(v)
	case []byte:
		return blob(v)
	}
	return v
}

// same reports whether a value that was kept is the same as another one.
func same(kept, v vtab.Value) bool {
	_, isBlob := v.([]byte)
	return !isBlob && kept == v
}

// blob is a value that no filter is made of.
type blob string

// start goes to the first row.
func (c *cursor) start() error {
	var err error
	switch {
	case c.plan.sort >= 0:
		var s *sorted
		if s, err = c.sort(); err == nil {
			c.sorted, c.end = s, false
		}
	case c.plan.key >= 0:
		var ok bool
		if c.found, ok, err = c.lookUp(); ok && err == nil {
			for _, f := range c.filters {
				f.lookUps++
			}
			return c.nextFound()
		}
	}
	if err != nil {
		return err
	}
	return c.next()
}

// Next implements vtab.Cursor.
func (c *cursor) Next() error { return c.table.failed(c.next()) }

func (c *cursor) next() error {
	switch {
	case c.sorted != nil:
		c.end = !c.sorted.next()
		return nil
	case c.found != nil:
		c.found = c.found[1:]
		return c.nextFound()
	case len(c.filters) == 0:
		c.row++
		if c.number >= 0 && c.row < c.table.groups[c.number].rows {
			return nil
		}
		return c.nextGroup()
	}
	return c.nextKept()
}

// nextGroup goes to the first row of the next group that may have rows.
func (c *cursor) nextGroup() error {
	for c.number++; c.number < len(c.table.groups); c.number++ {
		if err := c.table.ctx.Err(); err != nil {
			return err
		}
		if g := c.table.groups[c.number]; g.rows > 0 && c.keepsFile(g.source.File) {
			c.row = 0
			return nil
		}
	}
	c.end = true
	return nil
}

// keepsFile reports whether rows of a file may meet the constraints on day and bulk.
func (c *cursor) keepsFile(f File) bool {
	for i, constraint := range c.plan.constraints {
		switch constraint.number {
		case c.table.set.day():
			if !keepsFile(constraint.op, f.day(), c.values[i]) {
				return false
			}
		case c.table.set.bulk():
			if !keepsFile(constraint.op, f.Bulk, c.values[i]) {
				return false
			}
		}
	}
	return true
}

// group returns the reader of the current group.
func (c *cursor) group() (*groupReader, error) {
	g := c.table.groups[c.number]
	if n := len(c.open); n > 0 && c.open[n-1].group == g {
		return c.open[n-1], nil
	}
	for i, open := range c.open {
		if open.group == g {
			c.open = append(slices.Delete(c.open, i, i+1), open)
			return open, nil
		}
	}
	keep := openGroups
	if c.found == nil { // groups are read once
		keep = 1
	}
	for len(c.open) >= keep {
		c.open[0].close()
		c.open = slices.Delete(c.open, 0, 1)
	}
	open, err := c.table.openGroup(g)
	if err != nil {
		return nil, err
	}
	c.open = append(c.open, open)
	return open, nil
}

// Eof implements vtab.Cursor.
func (c *cursor) Eof() bool { return c.end }

// Column implements vtab.Cursor.
func (c *cursor) Column(number int) (vtab.Value, error) {
	if c.sorted != nil {
		v, err := c.sorted.of(number)
		return v, c.table.failed(err)
	}
	if day := c.table.set.day(); number >= day {
		return c.table.groups[c.number].source.special(number == day), nil
	}
	g, err := c.group()
	if err != nil {
		return nil, c.table.failed(err)
	}
	v, err := g.value(number, c.row)
	return v, c.table.failed(err)
}

// Rowid implements vtab.Cursor. It is the number of the row in the table: SQLite tells rows
// apart by it.
func (c *cursor) Rowid() (int64, error) {
	if c.sorted != nil {
		return int64(c.sorted.at), nil // SQL cannot read it, and nothing else asks for it where rows are sorted
	}
	return c.table.groups[c.number].first + c.row, nil
}

// Close implements vtab.Cursor.
func (c *cursor) Close() error {
	c.closeGroups()
	c.sorted, c.found = nil, nil
	return nil
}

func (c *cursor) closeGroups() {
	for _, g := range c.open {
		g.close()
	}
	c.open = nil
}
