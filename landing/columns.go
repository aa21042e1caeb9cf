package landing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"fullstory-export-mcp/columnar"
)

// mapping is the version of the rules that turn rows into columns. A file that was made
// by another version is made again.
const mapping = "1"

const (
	// restColumn is the column of what fits no other: a JSON object by name, or NULL.
	restColumn = columnar.RestColumn
	// mostColumns is the most columns of a file besides it. Each takes about 60 kB of memory
	// while a file is written.
	mostColumns = 2000
	// longestName is the most bytes of the name of a column that BigQuery accepts.
	longestName = 300
)

// column is a column of all files of a folder.
type column struct {
	name   string // as stored
	source string // as the rows have it
	kind   kind
	list   bool
}

// columnSet are the columns of all files of a folder, in their order.
type columnSet struct {
	columns []column
	// inRest are the names of the rows that have no column, sorted: another has the name
	// already, or it cannot be one. Their values are in restColumn.
	inRest []string
}

// columnsOf returns the columns for rows that have these names, in any order and some of
// them twice: first the documented fields in the order of their table, then the others,
// sorted by their names as the rows have them. It depends on nothing else.
func columnsOf(names []string) columnSet {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	var set columnSet
	taken := map[string]bool{restColumn: true, "day": true} // day is the partition
	add := func(c column) {
		if key := strings.ToLower(c.name); storable(c.name) && !taken[key] && len(set.columns) < mostColumns {
			taken[key] = true
			set.columns = append(set.columns, c)
			return
		}
		set.inRest = append(set.inRest, c.source)
	}
	documented := map[string]bool{}
	for _, f := range fields() {
		if _, found := slices.BinarySearch(names, f.name); found {
			add(column{f.name, f.name, f.kind, false})
		}
		documented[f.name] = true
	}
	known := len(set.columns)
	others := slices.DeleteFunc(names, func(name string) bool { return documented[name] })
	// A name that is stored as it is comes before those that become it.
	slices.SortStableFunc(others, func(a, b string) int { return cmp.Compare(changed(a), changed(b)) })
	for _, name := range others {
		k, list, _ := custom(name)
		add(column{stored(name), name, k, list})
	}
	slices.SortFunc(set.columns[known:], func(a, b column) int { return strings.Compare(a.source, b.source) })
	slices.Sort(set.inRest)
	return set
}

// changed returns 0 if a name is stored as it is, and 1 otherwise.
func changed(name string) int {
	if stored(name) == name {
		return 0
	}
	return 1
}

// stored returns the name of the column of a custom variable: only letters and digits of
// ASCII and _, which every warehouse accepts. A dot becomes __.
func stored(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '.':
			b.WriteString("__")
		case i == 0 && r >= '0' && r <= '9':
			b.WriteString("_" + string(r))
		case r == '_', r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// storable reports whether a column can have the name. The prefixes are those that
// BigQuery keeps for itself.
func storable(name string) bool {
	if name == "" || len(name) > longestName {
		return false
	}
	upper := strings.ToUpper(name)
	return !slices.ContainsFunc(
		[]string{"_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER"},
		func(prefix string) bool { return strings.HasPrefix(upper, prefix) })
}

// renamed returns the names of the rows by the names of their columns, where they differ.
func (s columnSet) renamed() map[string]string {
	names := map[string]string{}
	for _, c := range s.columns {
		if c.name != c.source {
			names[c.name] = c.source
		}
	}
	return names
}

// sum returns what two sets have in common if files of both have the same columns in the
// same order, with the same values for the same rows.
func (s columnSet) sum() string {
	h := sha256.New()
	e := json.NewEncoder(h)
	_ = e.Encode(mapping) // a hash takes everything
	for _, c := range s.columns {
		_ = e.Encode([]any{c.name, c.source, c.kind, c.list})
	}
	return hex.EncodeToString(h.Sum(nil))
}
