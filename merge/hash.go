// Package merge brings together rows that several files have, though rows carry no id: the
// same export taken twice, or windows that overlap. A canonical hash says which rows are
// equal, and how often each file has a row says how often it is true: two equal rows of one
// file are two events, so a merged row occurs as often as in the file that has it most
// often, and never as often as in all of them together.
//
// It knows nothing of ledgers or folders. Its types are for one goroutine each.
package merge

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"fullstory-export-mcp/rows"
)

// Hash is the hash of a row. Equal rows have equal hashes; the first half of a SHA-256 makes
// it infeasible to find two other rows with one hash.
type Hash [16]byte

// Hasher returns the hashes of the rows of one file. Two rows are equal if they have equal
// values in the same columns, in any order. Whether values are equal follows from the name of
// their column, see rows.TypeOf:
//
//   - A column that is missing, null, an empty text or an empty cell has no value. Fullstory
//     leaves out what does not apply, and a CSV cannot tell the four apart. 0, false, [] and {}
//     are values.
//   - Numbers are equal if their decimal digits are: 4, 4.0 and 40e-1. Nothing is rounded. The
//     cell of a CSV is a number in the columns of numbers alone.
//   - Times are equal if they are one instant; without a zone they are in UTC.
//   - Texts are equal if their characters are, however JSON escapes them. A text that is not
//     valid Unicode is only equal to one that is written alike.
//   - Lists are equal if their elements are, in their order; objects if their members are, in
//     any order. In columns of lists and objects a text that is JSON counts as what it says.
//
// A text is never equal to a number or a bool, except as a cell of a CSV in a column of those.
type Hasher struct {
	columns []column // of the rows so far
	sorted  int      // how many columns have their rank
	ranked  []rows.Member
	buffer  []byte
}

// column is what is known of a column of a file.
type column struct {
	name string
	kind rows.Type
	rank int // its place among the sorted names
}

// Row returns the hash of a row. All rows must be of one file.
func (h *Hasher) Row(r rows.Row) Hash {
	h.learn(r.Columns)
	h.ranked = append(h.ranked[:0], r.Members...)
	slices.SortFunc(h.ranked, func(a, b rows.Member) int { return h.columns[a.Column].rank - h.columns[b.Column].rank })
	b := h.buffer[:0]
	for _, m := range h.ranked {
		c := &h.columns[m.Column]
		began := len(b)
		b = appendText(b, c.name)
		named := len(b)
		b = appendValue(b, c.kind, m.Value, r.CSV, r.Invalid)
		if len(b) == named { // it has no value
			b = b[:began]
		}
	}
	h.buffer = b
	sum := sha256.Sum256(b)
	return Hash(sum[:len(Hash{})])
}

// learn notes the columns that are new.
func (h *Hasher) learn(names []string) {
	if len(names) == h.sorted {
		return
	}
	for _, name := range names[len(h.columns):] {
		h.columns = append(h.columns, column{name: name, kind: rows.TypeOf(name)})
	}
	order := make([]int, len(h.columns))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := h.columns[a].name, h.columns[b].name; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	for rank, i := range order {
		h.columns[i].rank = rank
	}
	h.sorted = len(h.columns)
}

// appendText adds a text with its length, so that no two lists of texts look alike.
func appendText[T string | []byte](b []byte, text T) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}
