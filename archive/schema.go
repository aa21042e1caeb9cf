package archive

import (
	"encoding/json"
	"os"
	"slices"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

const (
	// mostSchema is the most columns of a schema, and longestSchema the most bytes of their
	// names together. Others are counted.
	mostSchema    = 2000
	longestSchema = 256 << 10
	// mostMissing is how many files a column of a schema names that lack it, and
	// mostMissingAll how many all columns do.
	mostMissing    = 10
	mostMissingAll = 5000
)

// SchemaColumn is a column of the files of a folder.
type SchemaColumn struct {
	Name string    `json:"name"`
	Type rows.Type `json:"type"` // by the name, see rows.TypeOf
	// Nullable says that a row of a file may lack a value of the type. It is also true where
	// that is not known.
	Nullable bool `json:"nullable"`
	// Missing counts the files with rows that lack the column, and MissingIn names the first.
	Missing   int      `json:"missing,omitempty"`
	MissingIn []string `json:"missing_in,omitempty"`
}

// Totals are sums over the files of a folder.
type Totals struct {
	Files int   `json:"files"`
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"` // as stored, compressed
}

// described returns m with the totals and the schema of its files. lists has the columns
// of files that have none, by their ColumnsSHA256.
func (m Manifest) described(lists map[string][]string) Manifest {
	m.Totals = &Totals{Files: len(m.Files)}
	s := schema{byName: map[string]int{}, missingLeft: mostMissingAll}
	own := columnsSum(m.Columns)
	for _, f := range m.Files {
		m.Totals.Rows += f.Rows
		m.Totals.Bytes += f.Bytes
		if f.Rows == 0 {
			continue // it lacks nothing
		}
		columns := f.Columns
		if columns == nil && f.ColumnsSHA256 != "" && f.ColumnsSHA256 != own {
			columns = lists[f.ColumnsSHA256]
		} else if columns == nil {
			columns = m.Columns
		}
		s.add(f, columns)
	}
	m.Schema, m.SchemaLeftOut = s.finish(), s.leftOut
	return m
}

// schema collects the columns of files. The work for a file is that of its own columns.
type schema struct {
	columns     []SchemaColumn
	seen        []int // by column: the number of the last file that has it, from 1
	byName      map[string]int
	order       []int // by position in the file before: its column; files mostly agree
	files       []string
	bytes       int // of names of columns
	leftOut     int // columns, once for each file
	missingLeft int // names of files that may still be listed
}

func (s *schema) add(f File, columns []string) {
	s.files = append(s.files, f.Name)
	number := len(s.files)
	for i, name := range columns {
		at, ok := s.find(i, name)
		if !ok {
			s.leftOut++
			continue
		}
		c := &s.columns[at]
		s.lacks(at, number)
		s.seen[at] = number
		c.Nullable = c.Nullable || !f.fills(i)
	}
}

// find returns the place in columns of a name, at a position of its file, and adds it if
// it is new. ok is false if there are too many.
func (s *schema) find(i int, name string) (at int, ok bool) {
	if i < len(s.order) && s.columns[s.order[i]].Name == name {
		return s.order[i], true
	}
	at, ok = s.byName[name]
	if !ok {
		if len(s.columns) == mostSchema || s.bytes+len(name) > longestSchema {
			return 0, false
		}
		at = len(s.columns)
		s.byName[name] = at
		s.bytes += len(name)
		s.columns = append(s.columns, SchemaColumn{Name: name, Type: rows.TypeOf(name)})
		s.seen = append(s.seen, 0)
	}
	switch {
	case i < len(s.order):
		s.order[i] = at
	case i == len(s.order):
		s.order = append(s.order, at)
	}
	return at, true
}

// lacks notes the files that lack a column, between the last that has it and that number.
func (s *schema) lacks(at, number int) {
	c := &s.columns[at]
	if s.seen[at] >= number-1 {
		return
	}
	missing := s.files[s.seen[at] : number-1]
	c.Missing += len(missing)
	c.Nullable = true
	listed := missing[:min(len(missing), mostMissing-len(c.MissingIn), s.missingLeft)]
	c.MissingIn = append(c.MissingIn, listed...)
	s.missingLeft -= len(listed)
}

// finish notes the files after the last one that has a column, and returns the columns.
func (s *schema) finish() []SchemaColumn {
	for at := range s.columns {
		s.lacks(at, len(s.files)+1)
	}
	return s.columns
}

// readColumnLists returns the columns that the column pages of m hold, by their checksum; nil
// without pages, or if they cannot be read.
func readColumnLists(root *os.Root, m Manifest) map[string][]string {
	if len(m.ColumnPages) == 0 {
		return nil
	}
	lists := map[string][]string{}
	for _, listed := range m.ColumnPages {
		raw, err := listed.read(func(name string) ([]byte, error) { return local.ReadIn(root, name, MaxManifest) })
		if err != nil || sound(raw) != nil {
			return nil
		}
		var p page
		if json.Unmarshal(raw, &p) != nil {
			return nil
		}
		for sum, columns := range p.Columns {
			lists[sum] = slices.Clip(columns)
		}
	}
	return lists
}

func schemaList(b *budget) list[SchemaColumn] {
	return list[SchemaColumn]{nil, mostSchema, "columns in its schema", b, func(c SchemaColumn) int {
		n := len(c.Name) + len(c.Type)
		for _, file := range c.MissingIn {
			n += smallest + max(len(file), smallest)
		}
		return n
	}}
}
