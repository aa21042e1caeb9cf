package query

import (
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"fullstory-export-mcp/personal"
)

// kind is what the values of a column are.
type kind uint8

const (
	whole   kind = iota // INT64
	decimal             // DOUBLE
	truth               // BOOLEAN: 0 and 1
	instant             // TIMESTAMP(MICROS, UTC): a text such as 2026-10-03 10:00:05.701000
	text                // STRING
)

// column is a column of the table.
type column struct {
	name   string
	kind   kind
	list   bool // a list of them, as the text of a JSON array
	masked bool // SQL sees hashes

	redacted bool // SQL sees texts without what looks like personal data
}

// special columns follow those of the files.
const (
	dayColumn  = "day"
	bulkColumn = "bulk"
	special    = 2
)

// declared returns the type of the column in SQL.
func (c column) declared() string {
	switch {
	case c.list, c.masked:
		return "TEXT"
	case c.kind == whole, c.kind == truth:
		return "INTEGER"
	case c.kind == decimal:
		return "REAL"
	case c.kind == instant:
		return "TEXT COLLATE " + timeCollation
	}
	return "TEXT"
}

// plain reports whether SQL sees the values of the column as the files have them.
func (c column) plain() bool { return !c.list && !c.masked }

// document reports whether the column holds JSON objects, which can have any value.
func (c column) document() bool {
	switch strings.ToLower(c.name) {
	case "_rest", "uservars", "eventvars", "pagevars":
		return true
	}
	return false
}

// leaf is a column of a file.
type leaf struct {
	column
	index int // among the leaves of the file
}

// leaves returns the columns of a file. It leaves out those that package landing does not
// write.
func leaves(root *parquet.Column) []leaf {
	var found []leaf
	for _, c := range root.Columns() {
		l := leaf{column: column{name: c.Name()}}
		if !c.Leaf() { // optional group LIST { repeated group list { optional element } }
			for len(c.Columns()) == 1 && !c.Leaf() {
				c = c.Columns()[0]
			}
			l.list = true
		}
		levels := c.MaxRepetitionLevel() == 0 && c.MaxDefinitionLevel() <= 1
		if l.list {
			levels = c.MaxRepetitionLevel() == 1 && c.MaxDefinitionLevel() == 3
		}
		if !c.Leaf() || !levels {
			continue
		}
		var ok bool
		if l.kind, ok = kindOf(c.Type()); ok {
			l.index = c.Index()
			found = append(found, l)
		}
	}
	return found
}

// kindOf returns the kind of a type of Parquet.
func kindOf(t parquet.Type) (k kind, ok bool) {
	logical := t.LogicalType()
	switch t.Kind() {
	case parquet.Int64:
		if logical == nil {
			return whole, true
		}
		switch v := logical.Value.(type) {
		case *format.TimestampType:
			_, micros := v.Unit.Value.(*format.MicroSeconds)
			return instant, micros
		case *format.IntType:
			return whole, v.IsSigned
		}
		return whole, false
	case parquet.Double:
		return decimal, true
	case parquet.Boolean:
		return truth, true
	case parquet.ByteArray:
		return text, true
	}
	return 0, false
}

// columnSet are the columns of the table: those of all files, then the special ones.
type columnSet struct {
	columns []column
	numbers map[string]int // by name in lower case
	left    int            // how many columns the files have besides
}

// mostColumns is the most columns that SQLite lets a table have, less the special ones.
const mostColumns = 2000 - special

// add adds the columns of a file. masked is set if personal data are masked.
func (s *columnSet) add(found []leaf, masked bool) error {
	for _, l := range found {
		key := strings.ToLower(l.name)
		if n, ok := s.numbers[key]; ok {
			if c := s.columns[n]; c.kind != l.kind || c.list != l.list {
				return fmt.Errorf("the column %s has another type in other files", l.name)
			}
			continue
		}
		if len(s.columns) == mostColumns {
			s.left++
			continue
		}
		l.masked = masked && (personal.Column(l.name) || l.document())
		l.redacted = masked && !l.masked && l.kind == text
		s.numbers[key] = len(s.columns)
		s.columns = append(s.columns, l.column)
	}
	return nil
}

// byColumn returns the number of the leaf in a file for each column; -1 if it has none.
func (s *columnSet) byColumn(found []leaf) []int {
	numbers := make([]int, len(s.columns))
	for i := range numbers {
		numbers[i] = -1
	}
	for _, l := range found {
		if n, ok := s.numbers[strings.ToLower(l.name)]; ok {
			numbers[n] = l.index
		}
	}
	return numbers
}

// day and bulk return the numbers of the special columns.
func (s *columnSet) day() int  { return len(s.columns) }
func (s *columnSet) bulk() int { return len(s.columns) + 1 }

// declaration returns the table as SQL.
func (s *columnSet) declaration() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE x(")
	for _, c := range s.columns {
		fmt.Fprintf(&b, "%s %s, ", quotedName(c.name), c.declared())
	}
	fmt.Fprintf(&b, "%s TEXT, %s TEXT)", dayColumn, bulkColumn)
	return b.String()
}

// quotedName returns the name of a column as SQL.
func quotedName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
