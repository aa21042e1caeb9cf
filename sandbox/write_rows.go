package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
)

// arrayLayout is where the lines of an array of rows end.
type arrayLayout struct{ open, between, close string }

// arrayLayoutOf returns the layout of FORMAT_JSON. The usual one, a single line, is
// that of Fullstory's own sample files.
func arrayLayoutOf(c Config) arrayLayout {
	switch {
	case c.has(jsonLineEnds):
		return arrayLayout{"[", ",\n", "]"}
	case c.has(jsonLines):
		return arrayLayout{"[\n", ",\n", "\n]"}
	}
	return arrayLayout{"[", ",", "]"}
}

// append appends what precedes the row with this number, counted from 0.
func (l arrayLayout) append(dst []byte, row int64) []byte {
	if row == 0 {
		return append(dst, l.open...)
	}
	return append(dst, l.between...)
}

// end appends what follows that many rows. Without rows the array is [].
func (l arrayLayout) end(dst []byte, rows int64) []byte {
	if rows == 0 {
		return append(dst, "[]"...)
	}
	return append(dst, l.close...)
}

// rowFile writes rows in an export's format. It writes them in small blocks that it
// shuffles, always in the same way, because the API does not promise an order.
type rowFile struct {
	w      io.Writer
	format format
	array  arrayLayout
	rows   int64
	block  []byte   // the texts of the rows not yet written
	places [][2]int // start and end of each in block
	out    []byte
	random random
}

// blockRows is how many rows are shuffled at once.
const blockRows = 128

func (d *data) newRowFile(w io.Writer, f format) *rowFile {
	return &rowFile{w: w, format: f, array: d.array, random: seeded('r')}
}

// begin writes what precedes the rows; header is used for CSV only.
func (f *rowFile) begin(header []byte) error {
	if f.format == formatCSV {
		f.out = append(append(f.out, header...), "\r\n"...)
	}
	return f.emit()
}

// row adds a row; encode appends its text to dst.
func (f *rowFile) row(encode func(dst []byte) []byte) error {
	start := len(f.block)
	f.block = encode(f.block)
	f.places = append(f.places, [2]int{start, len(f.block)})
	if len(f.places) < blockRows {
		return nil
	}
	return f.flush()
}

// flush writes the rows of the block, in random order.
func (f *rowFile) flush() error {
	for left := len(f.places); left > 0; left-- {
		i := f.random.below(int64(left))
		text := f.block[f.places[i][0]:f.places[i][1]]
		f.places[i] = f.places[left-1]
		switch f.format {
		case formatJSON:
			f.out = append(f.array.append(f.out, f.rows), text...)
		case formatCSV:
			f.out = append(append(f.out, text...), "\r\n"...)
		default:
			f.out = append(append(f.out, text...), '\n')
		}
		f.rows++
	}
	f.block, f.places = f.block[:0], f.places[:0]
	return f.emit()
}

// end writes the remaining rows and what follows them.
func (f *rowFile) end() error {
	if err := f.flush(); err != nil {
		return err
	}
	if f.format == formatJSON {
		f.out = f.array.end(f.out, f.rows)
	}
	return f.emit()
}

// emit hands the buffered output to w.
func (f *rowFile) emit() error {
	if len(f.out) == 0 {
		return nil
	}
	_, err := f.w.Write(f.out)
	f.out = f.out[:0]
	return err
}

// encoder encodes rows as JSON objects or CSV records. It keeps the JSON of a page's
// columns, which are the same in all of its rows. It is not safe for concurrent use.
type encoder[R any] struct {
	csv     bool
	columns []column[R]
	header  []byte   // of CSV
	keys    [][]byte // of JSON: ,"Name":
	pages   []int    // columns that are the same on a whole page
	others  []int

	page int64  // PageId of the page whose columns are in kept
	kept []byte // JSON of the pages columns
	cell []byte
}

// newEncoder returns an encoder of these columns. Columns of whole pages come first in
// a JSON row, so that their text can be reused; CSV keeps the given order.
func newEncoder[R any](columns []column[R], f format) *encoder[R] {
	enc := &encoder[R]{csv: f == formatCSV, columns: columns}
	for i, c := range columns {
		if i > 0 {
			enc.header = append(enc.header, ',')
		}
		enc.header = csvCell(enc.header, quoted(nil, c.name))
		enc.keys = append(enc.keys, append(quoted([]byte{','}, c.name), ':'))
		switch {
		case c.show == nil:
		case c.constant == samePage:
			enc.pages = append(enc.pages, i)
		default:
			enc.others = append(enc.others, i)
		}
	}
	return enc
}

// append appends a row on the page with this id; 0 means that the row shares no page
// with the last.
func (c *encoder[R]) append(dst []byte, row R, on int64) []byte {
	if c.csv {
		return c.record(dst, row)
	}
	if on == 0 || on != c.page {
		c.page, c.kept = on, c.members(c.kept[:0], row, c.pages)
	}
	start := len(dst)
	dst = append(dst, c.kept...)
	dst = c.members(dst, row, c.others)
	if len(dst) == start {
		return append(dst, "{}"...)
	}
	dst[start] = '{' // in place of the first comma
	return append(dst, '}')
}

// members appends columns as JSON members, each with a leading comma. It leaves out
// absent values.
func (c *encoder[R]) members(dst []byte, row R, columns []int) []byte {
	for _, i := range columns {
		before := len(dst)
		dst = append(dst, c.keys[i]...)
		key := len(dst)
		if dst = c.columns[i].show(dst, row); len(dst) == key {
			dst = dst[:before] // absent
		}
	}
	return dst
}

// record appends a row as a CSV record; absent values are empty cells.
func (c *encoder[R]) record(dst []byte, row R) []byte {
	for i, column := range c.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		if column.show == nil {
			continue
		}
		c.cell = column.show(c.cell[:0], row)
		dst = csvCell(dst, c.cell)
	}
	return dst
}

// csvCell appends a JSON value as a cell: a text without its JSON escapes, null and
// an absent value as an empty cell, and everything else as JSON. It quotes the cell
// where necessary.
func csvCell(dst, value []byte) []byte {
	if bytes.Equal(value, []byte("null")) {
		return dst
	}
	if len(value) > 0 && value[0] == '"' {
		if bytes.IndexByte(value, '\\') < 0 {
			value = value[1 : len(value)-1]
		} else {
			var text string
			if json.Unmarshal(value, &text) == nil {
				value = []byte(text)
			}
		}
	}
	if !bytes.ContainsAny(value, ",\"\r\n") && !bytes.HasPrefix(value, []byte(" ")) {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for _, c := range value {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
