package query

import (
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"

	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/personal"
)

// kind is what the values of a column are. A time is a text such as 2026-10-03 10:00:05.701000
// in SQL, and a boolean 0 or 1.
type kind = columnar.Kind

const (
	whole   = columnar.Whole
	decimal = columnar.Decimal
	truth   = columnar.Truth
	instant = columnar.Instant
	text    = columnar.Text
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
	all := columnar.Leaves(root)
	found := make([]leaf, len(all))
	for i, l := range all {
		found[i] = leaf{column{name: l.Name, kind: l.Kind, list: l.List}, l.Index}
	}
	return found
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
