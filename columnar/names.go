package columnar

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Rule is what a database accepts as the name of a column.
type Rule struct {
	// Fold returns a name as the database has it if a statement does not quote it; nil: as it is.
	// Columns that are called so can be read without quotes.
	Fold func(string) string
	Most int // bytes
	// Prefixes, in upper case, cannot begin a name.
	Prefixes []string
}

// Names returns the names of columns in a database: different ones, also if case does not
// matter, and none of taken. They have letters and digits of ASCII and _ alone. A name
// depends on that of its column and those before it, so that columns which are added at the
// end leave the others as they are. One that had to be cut, or that another column has
// already, ends with eight digits of a checksum of the column's name.
func (r Rule) Names(columns []Column, taken ...string) []string {
	used := map[string]bool{}
	for _, name := range taken {
		used[strings.ToLower(name)] = true
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		name := r.name(c.Name)
		sum := sha256.Sum256([]byte(c.Name))
		for len(name) > r.Most || used[strings.ToLower(name)] {
			name = name[:min(len(name), r.Most-9)] + "_" + r.fold(hex.EncodeToString(sum[:4]))
			if used[strings.ToLower(name)] { // the same column twice
				sum = sha256.Sum256(sum[:])
			}
		}
		used[strings.ToLower(name)] = true
		names[i] = name
	}
	return names
}

// name returns the name of a column, which may be too long.
func (r Rule) name(name string) string {
	name = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return '_'
	}, name)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	for _, prefix := range r.Prefixes {
		if strings.HasPrefix(strings.ToUpper(name), prefix) {
			name = "x" + name
			break
		}
	}
	return r.fold(name)
}

func (r Rule) fold(name string) string {
	if r.Fold == nil {
		return name
	}
	return r.Fold(name)
}
