package query

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"modernc.org/sqlite/vtab"

	"fullstory-export-mcp/personal"
)

// vector is a page of a column: the values of rows next to each other.
type vector struct {
	first, end int64 // rows of the group that codes has
	last       int64 // the row after those of the page
	page       parquet.Page
	// codes has for each row the number of its value, or -1 for NULL. In a list it is the
	// number of its first element among levels.
	codes  []int32
	dict   *dictionary // has the values; nil: they are plain
	plain  values
	levels []byte  // of a list: the definition levels of all elements
	within []int32 // of a list: the number of the value of each element
}

// values are values of a column in the form that Parquet stores.
type values struct {
	ints    []int64
	reals   []float64
	bits    []byte
	bytes   []byte
	offsets []uint32
	n       int
}

// valuesOf returns n values of a column.
func valuesOf(c column, data encoding.Values, n int) (v values, err error) {
	defer func() {
		if recover() != nil { // another kind
			err = errors.New("a page has values of another type")
		}
	}()
	v.n = n
	if n == 0 {
		return v, nil
	}
	have := 0
	switch c.kind {
	case whole, instant:
		v.ints = data.Int64()
		have = len(v.ints)
	case decimal:
		v.reals = data.Double()
		have = len(v.reals)
	case truth:
		v.bits = data.Boolean()
		have = len(v.bits) * 8
	case text:
		v.bytes, v.offsets = data.ByteArray()
		have = len(v.offsets) - 1
	}
	if have < n {
		return v, errors.New("a page has too few values")
	}
	if c.redacted {
		v.redact()
	}
	return v, nil
}

// redact replaces what looks like personal data in texts. It leaves the memory of the page as
// it is.
func (v *values) redact() {
	var bytes []byte // the texts up to now; nil until one changes
	var offsets []uint32
	for i := range int32(v.n) {
		before := string(v.text(i))
		after := personal.Redacted(before)
		if bytes == nil {
			if after == before {
				continue
			}
			bytes = append(make([]byte, 0, len(v.bytes)), v.bytes[v.offsets[0]:v.offsets[i]]...)
			offsets = make([]uint32, 0, len(v.offsets))
			for _, offset := range v.offsets[:i+1] {
				offsets = append(offsets, offset-v.offsets[0])
			}
		}
		bytes = append(bytes, after...)
		offsets = append(offsets, uint32(len(bytes)))
	}
	if bytes != nil {
		v.bytes, v.offsets = bytes, offsets
	}
}

// text returns a value of a column of texts.
func (v *values) text(i int32) []byte { return v.bytes[v.offsets[i]:v.offsets[i+1]] }

// truth returns a value of a column of booleans, as 0 or 1.
func (v *values) truth(i int32) int64 { return int64(v.bits[i/8] >> (i % 8) & 1) }

// value returns a value as SQL sees it.
func (v *values) value(k kind, i int32) vtab.Value {
	switch k {
	case whole:
		return v.ints[i]
	case decimal:
		return v.reals[i]
	case truth:
		return v.truth(i)
	case instant:
		return string(appendTime(make([]byte, 0, len(timeForm)), v.ints[i]))
	}
	return string(v.text(i))
}

// dictionary is the dictionary of a column in a group.
type dictionary struct {
	values
	seen    []vtab.Value // as SQL sees them, from the first use
	matched []matched    // by the place of the filter
	// gathered are the numbers of the values where rows are sorted.
	gathered []uint32
}

// matched are the values that a filter was asked about.
type matched struct {
	filter *filter
	by     []match
}

// match is whether a filter keeps a value.
type match uint8

const (
	unknown match = iota
	kept
	dropped
)

// dictionaryOf returns a dictionary.
func dictionaryOf(c column, d parquet.Dictionary) (*dictionary, error) {
	v, err := valuesOf(c, d.Page().Data(), d.Len())
	if err != nil {
		return nil, err
	}
	return &dictionary{values: v, seen: make([]vtab.Value, v.n)}, nil
}

// earlyRows is how many rows of a page are made first if those are enough. A page of a column
// with few values has 100,000 rows, of which LIMIT needs the first ones.
const earlyRows = 128

// vectorOf returns the rows of a page, at least up to a row of the group. first is the row of
// the group that is its first, and dict the dictionary of the group if the page needs it.
// codes is memory to use.
func vectorOf(c column, page parquet.Page, first, row int64, dict *dictionary, codes []int32) (*vector, error) {
	v := &vector{first: first, page: page, dict: dict, codes: codes[:0]}
	definition := page.DefinitionLevels()
	if c.list {
		err := v.lists(c, page.RepetitionLevels(), definition)
		v.last = v.end
		return v, err
	}
	n := len(definition)
	if definition == nil {
		n = int(page.NumValues())
	}
	v.last = first + int64(n)
	if row-first < earlyRows {
		n = min(n, earlyRows)
	}
	return v, v.fill(c, n)
}

// fill makes the first n rows of the page.
func (v *vector) fill(c column, n int) (err error) {
	definition := v.page.DefinitionLevels()
	if definition != nil {
		definition = definition[:n]
	}
	v.codes = slices.Grow(v.codes[:0], n)[:n]
	v.end = v.first + int64(n)
	n = v.place(definition)
	if v.dict == nil {
		v.plain, err = valuesOf(c, v.page.Data(), n)
		return err
	}
	indexes, err := indexesOf(v.page, n, v.dict)
	if err != nil {
		return err
	}
	for i, code := range v.codes {
		if code >= 0 {
			v.codes[i] = indexes[code]
		}
	}
	return nil
}

// place sets the codes of rows that have these definition levels, or are all there, and
// returns how many are there.
func (v *vector) place(definition []byte) int {
	n := int32(0)
	if definition == nil {
		for i := range v.codes {
			v.codes[i] = int32(i)
		}
		return len(v.codes)
	}
	for i, level := range definition {
		if level == 0 {
			v.codes[i] = -1
			continue
		}
		v.codes[i] = n
		n++
	}
	return int(n)
}

// indexesOf returns the n numbers of values in a dictionary that a page has.
func indexesOf(page parquet.Page, n int, dict *dictionary) (indexes []int32, err error) {
	if n == 0 {
		return nil, nil
	}
	defer func() {
		if recover() != nil {
			err = errors.New("a page has no indexes")
		}
	}()
	data := page.Data()
	if indexes = data.Int32(); len(indexes) < n {
		return nil, errors.New("a page has too few values")
	}
	for _, index := range indexes[:n] {
		if index < 0 || int(index) >= dict.n {
			return nil, fmt.Errorf("a page has value %d of %d", index, dict.n)
		}
	}
	return indexes, nil
}

// The definition levels of a list.
const (
	noList byte = iota
	emptyList
	nullElement
	element
)

// lists reads a page of lists.
func (v *vector) lists(c column, repetition, definition []byte) error {
	if len(repetition) != len(definition) || len(repetition) > 0 && repetition[0] != 0 {
		return errors.New("a list is on two pages")
	}
	v.levels, v.within = definition, make([]int32, len(definition))
	v.codes = slices.Grow(v.codes, len(definition))
	n := 0
	for i, level := range definition {
		if repetition[i] == 0 {
			code := int32(i)
			if level == noList {
				code = -1
			}
			v.codes = append(v.codes, code)
		} else {
			v.within[i-1] |= more
		}
		if level == element {
			v.within[i] = int32(n)
			n++
		}
	}
	v.end = v.first + int64(len(v.codes))
	if v.dict != nil {
		indexes, err := indexesOf(v.page, n, v.dict)
		for i, level := range definition {
			if err == nil && level == element {
				v.within[i] = v.within[i]&more | indexes[v.within[i]&^more]
			}
		}
		return err
	}
	var err error
	v.plain, err = valuesOf(c, v.page.Data(), n)
	return err
}

// more marks an element after which the list has another one.
const more = 1 << 30

// at returns the value of a row as SQL sees it. mask is set if it is to be masked.
func (v *vector) at(c column, row int64, mask *mask) vtab.Value {
	code := v.codes[row-v.first]
	switch {
	case code < 0:
		return nil
	case c.list:
		return mask.apply(v.list(c.kind, code))
	case v.dict == nil:
		return mask.apply(v.plain.value(c.kind, code))
	}
	seen := v.dict.seen[code]
	if seen == nil {
		seen = mask.apply(v.dict.value(c.kind, code))
		v.dict.seen[code] = seen
	}
	return seen
}
