package landing

import (
	"bytes"
	"slices"

	"fullstory-export-mcp/rows"
)

const (
	// earlyRows and earlyBytes are how many rows, and bytes of them, are looked at before
	// a file begins.
	earlyRows  = 4096
	earlyBytes = 4 << 20
	// fewValues is the fewest values of a column that say whether they repeat.
	fewValues = 64
	// memberBytes is what a value of a row takes besides its text.
	memberBytes = 32
)

// early are copies of the first rows of a file, which say which columns are worth a
// dictionary: those whose values repeat. A dictionary of values that do not repeat takes
// much memory and time for nothing.
type early struct {
	rows  []rows.Row
	bytes int
}

// add keeps a copy of a row. It returns false once there are enough.
func (e *early) add(row rows.Row) bool {
	row.Members = slices.Clone(row.Members)
	for i, m := range row.Members {
		row.Members[i].Value = bytes.Clone(m.Value)
		e.bytes += len(m.Value) + memberBytes
	}
	row.Columns = slices.Clip(row.Columns)
	e.rows = append(e.rows, row)
	return len(e.rows) < earlyRows && e.bytes < earlyBytes
}

// dictionaries returns for each column whether it has a dictionary. number returns the
// column of a value, or -1.
func (e *early) dictionaries(columns []column, number func(row rows.Row, m rows.Member) int) []bool {
	values, distinct := make([]int, len(columns)), make([]map[string]bool, len(columns))
	for _, row := range e.rows {
		for _, m := range row.Members {
			n := number(row, m)
			if n < 0 || len(m.Value) == 0 {
				continue
			}
			if distinct[n] == nil {
				distinct[n] = map[string]bool{}
			}
			values[n]++
			distinct[n][string(m.Value)] = true
		}
	}
	found := make([]bool, len(columns))
	for i, c := range columns {
		repeats := values[i] < fewValues || 2*len(distinct[i]) < values[i]
		found[i] = repeats && c.kind != decimal && c.kind != truth && c.kind != document
	}
	return found
}
