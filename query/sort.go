package query

import (
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go/format"
	"modernc.org/sqlite/vtab"
)

const (
	// mostSorted is the most columns that are read where rows are sorted.
	mostSorted = 6
	// sortBytes is the memory that sorting may take.
	sortBytes = 130 << 20
	// codeBytes and rawBytes are what a value takes of it: the number of one that is kept
	// once, or the value.
	codeBytes, rawBytes = 4, 8
	// unpacked is how much larger a dictionary is than in its file, with what its texts
	// take in memory.
	unpacked = 6
)

// columnSize is what a column takes in memory where rows are sorted.
type columnSize struct {
	raw   bool  // some values are in no dictionary
	texts int64 // bytes of different texts, roughly
}

// measure adds the column of a group to a size.
func (s *columnSize) measure(c column, chunk *format.ColumnMetaData) {
	coded := len(chunk.EncodingStats) > 0
	for _, e := range chunk.EncodingStats {
		isData := e.PageType == format.DataPage || e.PageType == format.DataPageV2
		if isData && e.Encoding != format.RLEDictionary {
			coded = false
		}
	}
	if !coded {
		s.raw = true
	}
	switch {
	case c.kind != text:
	case coded && chunk.DictionaryPageOffset > 0:
		s.texts += max(0, chunk.DataPageOffset-chunk.DictionaryPageOffset) * unpacked
	default:
		s.texts += chunk.TotalUncompressedSize * unpacked
	}
}

// fits reports whether rows with these columns can be sorted in memory.
func (t *table) fits(used []int) bool {
	bytes := int64(0)
	for _, number := range used {
		each := int64(codeBytes)
		if number < len(t.set.columns) {
			c, size := t.set.columns[number], t.sizes[number]
			if c.list || c.document() || c.masked && size.raw {
				return false
			}
			if size.raw && c.kind != text {
				each = rawBytes
			}
			bytes += size.texts
		}
		bytes += each * t.rows
	}
	return bytes <= sortBytes
}

// sorted are the rows that the filters keep, in the order of a column of texts.
type sorted struct {
	by      int
	values  []vtab.Value // of that column, in the order of the rows
	ends    []uint32     // the row after the last one of each value
	columns map[int]*gathered
	value   int // the current value
	at      int // the current row
}

// gathered are the values of another column, in the order of the rows.
type gathered struct {
	column
	codes []uint32     // numbers of values
	seen  []vtab.Value // values by number; 0 is NULL
	raw   []int64      // values of a column without texts, or the bits of them; codes are 1, or 0 for NULL
}

// sort collects the rows that the filters keep, and goes before the first.
func (c *cursor) sort() (*sorted, error) {
	c.closeGroups() // their dictionaries may have numbers of the sort before
	s := &sorted{by: c.plan.sort, columns: map[int]*gathered{}}
	ranks, err := c.ranks(s)
	if err != nil {
		return nil, err
	}
	for _, number := range c.plan.used {
		if number != s.by {
			s.columns[number] = c.table.newGathered(number, ranks.rows)
		}
	}
	if len(s.columns) > 0 {
		err = c.gather(s, ranks)
	}
	c.closeGroups()
	s.at = -1
	return s, err
}

// ranks are the different values of the column by which rows are sorted.
type ranks struct {
	numbers map[string]uint32 // of texts, in the order in which they were met; NULL has 0
	counts  []uint32          // of rows, by number
	order   []uint32          // numbers in the order of the values
	rows    int
	dict    *dictionary // to which codes belong
	codes   []uint32    // numbers of the values of dict, plus 1
}

// ranks reads the column by which rows are sorted, and sets the values of s.
func (c *cursor) ranks(s *sorted) (*ranks, error) {
	r := &ranks{numbers: map[string]uint32{}, counts: make([]uint32, 1)}
	err := c.eachKept(func(g *groupReader, rows []int32) error {
		r.rows += len(rows)
		return g.eachCode(s.by, rows, func(v *vector, code int32) { r.counts[r.number(v, code)]++ })
	})
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(r.counts))
	for s, n := range r.numbers {
		texts[n] = s
	}
	r.order = make([]uint32, len(r.counts))
	for i := range r.order {
		r.order[i] = uint32(i)
	}
	slices.SortFunc(r.order[1:], func(a, b uint32) int { return strings.Compare(texts[a], texts[b]) })
	if c.plan.descending {
		slices.Reverse(r.order)
	}
	end := uint32(0)
	for _, n := range r.order {
		if r.counts[n] == 0 {
			continue // NULL, of which there is none
		}
		var v vtab.Value
		if n > 0 {
			v = texts[n]
		}
		end += r.counts[n]
		s.values, s.ends = append(s.values, v), append(s.ends, end)
	}
	return r, nil
}

// number returns the number of a value.
func (r *ranks) number(v *vector, code int32) uint32 {
	switch {
	case v == nil || code < 0:
		return 0
	case v.dict == nil:
		return r.numberOf(v.plain.text(code))
	case v.dict != r.dict:
		r.dict, r.codes = v.dict, make([]uint32, v.dict.n)
	}
	if r.codes[code] == 0 {
		r.codes[code] = r.numberOf(v.dict.text(code))
	}
	return r.codes[code]
}

func (r *ranks) numberOf(s []byte) uint32 {
	n, ok := r.numbers[string(s)]
	if !ok {
		n = uint32(len(r.counts))
		r.numbers[string(s)] = n
		r.counts = append(r.counts, 0)
	}
	return n
}

// gather reads the other columns, and puts each value at its place.
func (c *cursor) gather(s *sorted, r *ranks) error {
	next := make([]uint32, len(r.counts)) // the place of the next row, by number of the value
	end := uint32(0)
	for _, n := range r.order {
		next[n] = end
		end += r.counts[n]
	}
	r.dict = nil
	var places []uint32
	return c.eachKept(func(g *groupReader, rows []int32) error {
		places = places[:0]
		err := g.eachCode(s.by, rows, func(v *vector, code int32) {
			n := r.number(v, code)
			places = append(places, next[n])
			next[n]++
		})
		for number, into := range s.columns {
			if err == nil {
				err = into.take(g, number, rows, places)
			}
		}
		return err
	})
}

func (t *table) newGathered(number, rows int) *gathered {
	g := &gathered{codes: make([]uint32, rows), seen: make([]vtab.Value, 1)}
	if number < len(t.set.columns) {
		if g.column = t.set.columns[number]; t.sizes[number].raw && g.kind != text {
			g.raw = make([]int64, rows)
		}
	}
	return g
}

// eachKept calls do with rows that the filters keep, next to each other in a group.
func (c *cursor) eachKept(do func(g *groupReader, rows []int32) error) error {
	c.number, c.row, c.batch, c.end = -1, -1, batch{}, false
	for {
		if err := c.nextKept(); err != nil || c.end {
			return err
		}
		g, err := c.group()
		if err != nil {
			return err
		}
		if err := do(g, c.batch.rows); err != nil {
			return err
		}
		c.batch.rows = c.batch.rows[:0]
	}
}

// eachCode calls do with the number of the value of each row. The vector is nil if the file
// lacks the column.
func (g *groupReader) eachCode(number int, rows []int32, do func(v *vector, code int32)) error {
	r, err := g.column(number)
	if err != nil {
		return err
	}
	if r == nil {
		for range rows {
			do(nil, -1)
		}
		return nil
	}
	var v *vector
	for _, row := range rows {
		if v == nil || int64(row) >= v.end {
			if v, err = r.vector(int64(row)); err != nil {
				return damaged(g.source.File, err)
			}
		}
		do(v, v.codes[int64(row)-v.first])
	}
	return nil
}
