package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
)

// rowFile writes rows in an export's format. Rows leave in small blocks that
// are shuffled, always in the same way: nothing promises an order.
type rowFile struct {
	w      io.Writer
	format format
	rows   int64
	block  []byte   // the texts of rows
	places [][2]int // where each lies in block
	out    []byte
	random random
}

// blockRows is how many rows are shuffled at once.
const blockRows = 128

func newRowFile(w io.Writer, f format) *rowFile {
	return &rowFile{w: w, format: f, random: seeded('r')}
}

// begin writes what stands before the rows; header is that of CSV.
func (f *rowFile) begin(header []byte) error {
	switch f.format {
	case formatCSV:
		f.out = append(append(f.out, header...), "\r\n"...)
	case formatJSON:
		f.out = append(f.out, '[')
	}
	return f.emit()
}

// row adds a row, which encode appends.
func (f *rowFile) row(encode func(dst []byte) []byte) error {
	start := len(f.block)
	f.block = encode(f.block)
	f.places = append(f.places, [2]int{start, len(f.block)})
	if len(f.places) < blockRows {
		return nil
	}
	return f.flush()
}

func (f *rowFile) flush() error {
	for left := len(f.places); left > 0; left-- {
		i := f.random.below(int64(left))
		text := f.block[f.places[i][0]:f.places[i][1]]
		f.places[i] = f.places[left-1]
		f.rows++
		switch f.format {
		case formatJSON:
			if f.rows > 1 {
				f.out = append(f.out, ',')
			}
			f.out = append(append(f.out, '\n'), text...)
		case formatCSV:
			f.out = append(append(f.out, text...), "\r\n"...)
		default:
			f.out = append(append(f.out, text...), '\n')
		}
	}
	f.block, f.places = f.block[:0], f.places[:0]
	return f.emit()
}

// end writes the rows that are left and what stands behind them.
func (f *rowFile) end() error {
	if err := f.flush(); err != nil {
		return err
	}
	if f.format == formatJSON {
		if f.rows > 0 {
			f.out = append(f.out, '\n')
		}
		f.out = append(f.out, ']')
	}
	return f.emit()
}

func (f *rowFile) emit() error {
	if len(f.out) == 0 {
		return nil
	}
	_, err := f.w.Write(f.out)
	f.out = f.out[:0]
	return err
}

// encoder turns rows into JSON objects or CSV records.
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

// append appends a row that lies on the page with this id; 0 is always another
// page than the last.
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

// csvCell appends a JSON value as a cell: texts as they are, null and an absent
// value as nothing, all else as JSON.
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
