package delta

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	pformat "github.com/parquet-go/parquet-go/format"
)

const (
	// indexedColumns is how many columns of a file have statistics in the log: the first ones,
	// as many as other writers of Delta take unless they are configured.
	indexedColumns = 32
	// prefix is how many characters of a text statistics have.
	prefix = 32
)

// Describe returns the columns and the statistics (see StatsOf) of a Parquet file, of which it
// reads the footer. It fails if the file is damaged or has columns other than those in Schema.
func Describe(file io.ReaderAt, size int64) (s Schema, stats string, err error) {
	defer func() { // the library may panic if the file is damaged
		if p := recover(); p != nil {
			err = fmt.Errorf("the Parquet file cannot be read: %.200q", fmt.Sprint(p))
		}
	}()
	f, err := parquet.OpenFile(file, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, "", err
	}
	for _, column := range f.Root().Columns() {
		c, ok := columnOf(column)
		if !ok {
			return nil, "", fmt.Errorf("%w: %.100q is %.100s", ErrSchema, column.Name(), column.String())
		}
		s = append(s, c)
	}
	return s, StatsOf(f), s.check()
}

// columnOf returns a column of a Parquet file. ok is false if its type is none of Schema.
func columnOf(column *parquet.Column) (c Column, ok bool) {
	c.Name = column.Name()
	if !column.Leaf() {
		inner := column.Columns() // a list has one repeated group, with one element
		if len(inner) != 1 || inner[0].Leaf() || !inner[0].Repeated() || len(inner[0].Columns()) != 1 {
			return c, false
		}
		c.List = true
		column = inner[0].Columns()[0]
	}
	if !column.Leaf() || column.Repeated() {
		return c, false
	}
	c.Type = typeOf(column.Type())
	return c, c.Type != ""
}

// typeOf returns the type of a leaf, or "".
func typeOf(t parquet.Type) Type {
	var logical pformat.LogicalTypeValue
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch t.Kind() {
	case parquet.Boolean:
		return Boolean
	case parquet.Double:
		return Double
	case parquet.ByteArray:
		if _, ok := logical.(*pformat.StringType); ok {
			return String
		}
	case parquet.Int64:
		switch l := logical.(type) {
		case nil:
			return Long
		case *pformat.IntType:
			if l.IsSigned && l.BitWidth == 64 {
				return Long
			}
		case *pformat.TimestampType:
			if _, micros := l.Unit.Value.(*pformat.MicroSeconds); micros && l.IsAdjustedToUTC {
				return Timestamp
			}
		}
	}
	return ""
}

// statistics are those of a file as the log has them.
type statistics struct {
	NumRecords int64                      `json:"numRecords"`
	MinValues  map[string]json.RawMessage `json:"minValues"`
	MaxValues  map[string]json.RawMessage `json:"maxValues"`
	NullCount  map[string]int64           `json:"nullCount"`
}

// StatsOf returns the statistics of a Parquet file for the log, as JSON: the number of rows, and
// of the first 32 columns the least and the largest value and how many are NULL, as far as the
// footer of the file says so. Bounds hold for all values, but need not be values: times are
// whole milliseconds, texts have 32 characters. Columns of booleans and of lists have no bounds.
// A footer does not show NaN, which Spark sorts above all numbers: the files must have none.
func StatsOf(f *parquet.File) string {
	s := statistics{f.NumRows(), map[string]json.RawMessage{}, map[string]json.RawMessage{}, map[string]int64{}}
	groups := f.Metadata().RowGroups
	for i, column := range f.Root().Columns() {
		if i == indexedColumns {
			break
		}
		c, ok := columnOf(column)
		if !ok {
			continue
		}
		leaf := column
		for !leaf.Leaf() {
			leaf = leaf.Columns()[0]
		}
		chunks := make([]*pformat.ColumnMetaData, len(groups))
		for g := range groups {
			chunks[g] = &groups[g].Columns[leaf.Index()].MetaData
		}
		s.add(c, chunks)
	}
	text, err := json.Marshal(s)
	if err != nil { // a map of JSON has none
		return ""
	}
	return string(text)
}

// add adds a column, which has a chunk in each group of rows.
func (s *statistics) add(c Column, chunks []*pformat.ColumnMetaData) {
	nulls, known := int64(0), true
	b := bounds{of: c.Type, ok: !c.List && c.Type != Boolean}
	for _, chunk := range chunks {
		n, ok := nullsOf(c, chunk)
		nulls, known = nulls+n, known && ok
		if empty := ok && n == chunk.NumValues; !empty {
			b.add(chunk.Statistics.MinValue, chunk.Statistics.MaxValue)
		}
	}
	if known {
		s.NullCount[c.Name] = nulls
	}
	if !b.ok || !b.any {
		return
	}
	if text, ok := b.least(); ok {
		s.MinValues[c.Name] = text
	}
	if text, ok := b.most(); ok {
		s.MaxValues[c.Name] = text
	}
}

// nullsOf returns how many rows of a chunk are NULL. The nulls that the footer counts for a list
// are also those of its elements and empty lists; only a histogram of levels tells them apart.
func nullsOf(c Column, chunk *pformat.ColumnMetaData) (n int64, ok bool) {
	n = chunk.Statistics.NullCount
	if !c.List || n == 0 {
		return n, n >= 0 && n <= chunk.NumValues
	}
	if levels := chunk.SizeStatistics.DefinitionLevelHistogram; len(levels) > 1 {
		return levels[0], levels[0] >= 0 && levels[0] <= chunk.NumValues
	}
	return 0, false
}

// bounds are the least and the largest value of a column.
type bounds struct {
	of       Type
	ok       bool // all chunks so far had bounds
	any      bool // and there was one
	min, max int64
	low, top float64
	from, to string
}

// add takes the bounds of a chunk, as Parquet writes values.
func (b *bounds) add(least, most []byte) {
	first := !b.any
	b.any = true
	switch {
	case !b.ok:
	case b.of == String:
		// Without a largest text there are no bounds, or all are empty: nothing tells these apart.
		b.ok = len(most) > 0 && utf8.Valid(least) && utf8.Valid(most)
		widen(first, &b.from, &b.to, string(least), string(most))
	case len(least) != 8 || len(most) != 8:
		b.ok = false
	case b.of == Double:
		low := math.Float64frombits(binary.LittleEndian.Uint64(least))
		top := math.Float64frombits(binary.LittleEndian.Uint64(most))
		b.ok = !math.IsNaN(low) && !math.IsNaN(top)
		widen(first, &b.low, &b.top, low, top)
	default:
		widen(first, &b.min, &b.max, int64(binary.LittleEndian.Uint64(least)), int64(binary.LittleEndian.Uint64(most)))
	}
}

// widen widens bounds, which first sets.
func widen[T cmp.Ordered](first bool, least, most *T, low, top T) {
	if first {
		*least, *most = low, top
	}
	*least, *most = min(*least, low), max(*most, top)
}

// least returns the least value as the log has it.
func (b *bounds) least() (json.RawMessage, bool) {
	switch b.of {
	case Long:
		return strconv.AppendInt(nil, b.min, 10), true
	case Timestamp:
		return instant(floor(b.min))
	case Double:
		if b.low == 0 {
			return json.RawMessage("-0.0"), true // either zero
		}
		return double(b.low)
	case String:
		return quoted(cut(b.from))
	}
	return nil, false
}

// most returns the largest value as the log has it.
func (b *bounds) most() (json.RawMessage, bool) {
	switch b.of {
	case Long:
		return strconv.AppendInt(nil, b.max, 10), true
	case Timestamp:
		return instant(-floor(-b.max))
	case Double:
		if b.top == 0 {
			return json.RawMessage("0.0"), true
		}
		return double(b.top)
	case String:
		top, ok := above(b.to)
		if !ok {
			return nil, false
		}
		return quoted(top)
	}
	return nil, false
}

// floor returns the milliseconds of microseconds, rounded down. That of -micros rounds up.
func floor(micros int64) int64 {
	millis := micros / 1000
	if micros%1000 < 0 {
		millis--
	}
	return millis
}

// instant returns a time as the log has it. ok is false outside of the years 1 to 9999.
func instant(millis int64) (json.RawMessage, bool) {
	t := time.UnixMilli(millis).UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return nil, false
	}
	return t.AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), true
}

// double returns a number as JSON, which has no infinity.
func double(f float64) (json.RawMessage, bool) {
	text, err := json.Marshal(f)
	return text, err == nil
}

func quoted(text string) (json.RawMessage, bool) {
	raw, err := json.Marshal(text)
	return raw, err == nil
}

// cut returns the first characters of a text.
func cut(text string) string {
	n := 0
	for i := range text {
		if n++; n > prefix {
			return text[:i]
		}
	}
	return text
}

// above returns a text of few characters that no text with the same beginning is above, in the
// order of bytes. ok is false if there is none.
func above(text string) (string, bool) {
	short := cut(text)
	if short == text {
		return text, true
	}
	for short != "" {
		last, size := utf8.DecodeLastRuneInString(short)
		short = short[:len(short)-size]
		switch last {
		case utf8.MaxRune: // the one before must grow
			continue
		case 0xD7FF: // surrogates are not characters
			last = 0xDFFF
		}
		return short + string(last+1), true
	}
	return "", false
}
