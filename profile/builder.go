package profile

import "fullstory-export-mcp/rows"

const (
	// frequentBytes is the memory, in bytes, that the counters of frequent values of all
	// columns share, beyond the first eight of each.
	frequentBytes = 10 << 20
	// listedValues is how many frequent values all columns of a file list together, within
	// mostListed and leastListed each.
	listedValues = 3200
	mostListed   = 32
	leastListed  = 4
	// mostScratch is the largest buffer, in bytes, that is kept for the next value.
	mostScratch = 1 << 20
)

// Builder makes the profile of a file while it is verified: it is the Observer of its
// rows.Rules. It takes less than 20 MB for 100 columns, and less than 40 MB for any file.
// It is for one goroutine and one file; use NewBuilder.
type Builder struct {
	rows    int64
	columns []*column // by the number that rows gives them; nil: left out
	all     []*column
	byName  map[string]*column
	leftOut int64
	facts   facts
	budget  int    // bytes left of frequentBytes
	scratch []byte // a value that is not as in the row
	cells   []byte // the values of the current CSV row that facts are taken from
}

var _ rows.Observer = (*Builder)(nil)

// NewBuilder returns a Builder that has seen nothing.
func NewBuilder() *Builder {
	return &Builder{byName: map[string]*column{}, facts: facts{types: map[string]*int64{}}, budget: frequentBytes}
}

// Column implements rows.Observer.
func (b *Builder) Column(name string) {
	name = string(toValid(nil, name))
	c := b.byName[name]
	switch {
	case c != nil: // twice in the header of a CSV: the last one counts
		for i := range b.columns {
			if b.columns[i] == c {
				b.columns[i] = nil
			}
		}
	case len(b.all) == MostColumns:
		b.leftOut++
	default:
		c = &column{name: name, typ: rows.TypeOf(name), role: roleOf(name)}
		b.all = append(b.all, c)
		b.byName[name] = c
	}
	b.columns = append(b.columns, c)
}

// Row implements rows.Observer.
func (b *Builder) Row(values []rows.Value, valid bool) {
	for i := range values {
		v := &values[i]
		if c := b.columns[v.Column]; c != nil {
			c.json(b, v.Raw, valid)
			if c.role != noRole {
				b.facts.note(c.role, v.Raw)
			}
		}
	}
	b.endRow()
}

// Record implements rows.Observer.
func (b *Builder) Record(cells []string, valid bool) {
	b.cells = b.cells[:0]
	for i, cell := range cells {
		c := b.columns[i]
		if c == nil {
			continue
		}
		c.cell(b, cell, valid)
		if c.role != noRole && cell != "" {
			// An array that grows leaves the values before it where they are.
			from := len(b.cells)
			b.cells = append(b.cells, cell...)
			b.facts.row[c.role] = b.cells[from:]
		}
	}
	b.endRow()
}

func (b *Builder) endRow() {
	b.facts.endRow()
	b.rows++
	if cap(b.scratch) > mostScratch {
		b.scratch = nil
	}
	if cap(b.cells) > mostScratch {
		b.cells = nil
	}
}

// Profile returns the profile of the rows seen so far. source is the file that they are of;
// nil: it is not known.
func (b *Builder) Profile(source *Source) Profile {
	p := Profile{
		Version: Version, Source: source, Files: 1, Rows: b.rows,
		Events: b.facts.events(), OtherEvents: b.facts.others,
		Frustration: b.facts.frustration, Errors: b.facts.errors, Sessions: b.facts.sessions,
		Columns: make([]Column, len(b.all)), ColumnsLeftOut: b.leftOut,
	}
	top := max(leastListed, min(mostListed, listedValues/max(1, len(b.all))))
	for i, c := range b.all {
		p.Columns[i] = c.profile(top)
	}
	return p
}
