package landing

import (
	"encoding/json"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"fullstory-export-mcp/rows"
)

const (
	// groupRows is the most rows of a group. A day of 520,000 events, which takes 28 MB, is
	// one group: BigQuery wants them to have 16 MiB at least.
	groupRows = 1 << 19
	// groupBytes is how large the buffers of a group become before it ends, and checkBytes
	// after how many bytes of rows that is looked at.
	groupBytes = 80 << 20
	checkBytes = 4 << 20
	// pageBytes is the size of a page before compression, and pagesBytes that of the
	// buffers of the pages of all columns.
	pageBytes  = 256 << 10
	pagesBytes = 40 << 20
	leastPage  = 4 << 10
	// chunkBytes is what the smallest buffers of the pages of all columns take together.
	chunkBytes = 16 << 20
	mostChunk  = 32 << 10
	leastChunk = 1 << 10
	// dictionaryBytes is the size of a dictionary beyond which the texts or numbers of a
	// column are written as they are, until the group ends, and dictionariesBytes the
	// memory of all dictionaries that ends a group.
	dictionaryBytes   = 1 << 20
	dictionariesBytes = 48 << 20
)

// rowWriter writes rows into a Parquet file.
type rowWriter struct {
	out          *parquet.GenericWriter[any]
	columns      []*columnWriter
	rest         *columnWriter
	numbers      map[string]int // of columns, by the names that rows have
	byRow        []int          // of columns, by the numbers that rows have; -1: none
	most         longest
	early        early // rows before the file begins
	set          columnSet
	file         io.Writer
	options      []parquet.WriterOption
	total        int64    // rows
	group        int64    // rows of the group
	dictionaries int      // bytes of memory that the dictionaries of the group take, about
	base         int64    // size of the file when the group began
	unread       int      // bytes of rows since the size of the group was looked at
	left         []misfit // of the current row
	object       []byte   // the value of rest of the current row
}

// misfit is a value of a row that fits no column.
type misfit struct {
	name string
	raw  []byte
}

// newRowWriter returns a writer of a file that has these columns and metadata. Nothing is
// complete before close.
func newRowWriter(file io.Writer, set columnSet, metadata map[string]string) *rowWriter {
	n := len(set.columns) + 1
	w := &rowWriter{file: file, set: set, numbers: make(map[string]int, n), most: longest{text: mostText}}
	w.options = []parquet.WriterOption{
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.DataPageVersion(1), // the older one, which every reader has
		parquet.DataPageStatistics(false),
		parquet.PageBufferSize(max(leastPage, min(pageBytes, pagesBytes/n))),
		parquet.ColumnPageBuffers(parquet.NewChunkBufferPool(max(leastChunk, min(mostChunk, chunkBytes/n)))),
		parquet.DictionaryMaxBytes(dictionaryBytes),
		parquet.WriteBufferSize(256 << 10),
		parquet.SkipPageBounds(restColumn),
	}
	for i, c := range set.columns {
		w.numbers[c.source] = i
		if c.kind == document {
			w.options = append(w.options, parquet.SkipPageBounds(c.name))
		}
	}
	for key, value := range metadata {
		w.options = append(w.options, parquet.KeyValueMetadata(key, value))
	}
	return w
}

// number returns the column of a value of a row, or -1.
func (w *rowWriter) number(row rows.Row, m rows.Member) int {
	for n := len(w.byRow); n < len(row.Columns); n++ {
		number, ok := w.numbers[row.Columns[n]]
		if !ok {
			number = -1
		}
		w.byRow = append(w.byRow, number)
	}
	return w.byRow[m.Column]
}

// begin begins the file with the rows that were looked at.
func (w *rowWriter) begin() error {
	dictionary := append(w.early.dictionaries(w.set.columns, w.number), false)
	w.out = parquet.NewGenericWriter[any](w.file, append(w.options, w.set.schema(dictionary))...)
	outs, nulls := w.out.ColumnWriters(), make([]parquet.Value, 8*batch)
	for i, c := range append(slices.Clone(w.set.columns), column{name: restColumn, kind: document}) {
		w.columns = append(w.columns, &columnWriter{
			kind: c.kind, list: c.list, out: outs[i], index: i, most: &w.most,
			values: make([]parquet.Value, 0, 2*batch), nulls: nulls,
		})
		if dictionary[i] {
			w.columns[i].dictionary = newDictionary(&w.dictionaries)
		}
	}
	w.rest = w.columns[len(w.columns)-1]
	w.base = w.out.Size()
	for _, row := range w.early.rows {
		if err := w.write(row); err != nil {
			return err
		}
	}
	w.early = early{}
	return nil
}

// add adds a row.
func (w *rowWriter) add(row rows.Row) error {
	w.total++
	switch {
	case w.out != nil:
		return w.write(row)
	case w.early.add(row):
		return nil
	}
	return w.begin()
}

// write adds a row to the file.
func (w *rowWriter) write(row rows.Row) error {
	w.left = w.left[:0]
	for _, m := range row.Members {
		w.unread += len(m.Value)
		if len(m.Value) == 0 || !row.CSV && string(m.Value) == "null" {
			continue
		}
		if err := w.addMember(m, row); err != nil {
			return err
		}
	}
	if err := w.addRest(row.CSV); err != nil {
		return err
	}
	w.group++
	return w.endOfRow()
}

// addMember adds a value that is not null.
func (w *rowWriter) addMember(m rows.Member, row rows.Row) error {
	value := m.Value
	if row.Invalid {
		value = valid(value)
	}
	if number := w.number(row, m); number >= 0 {
		c := w.columns[number]
		if err := c.lack(w.group); err != nil {
			return err
		}
		if c.add(value, row.CSV) {
			return c.added()
		}
	}
	w.left = append(w.left, misfit{row.Columns[m.Column], value})
	return nil
}

// addRest adds the values that fit no column. Those of a CSV file become JSON texts.
func (w *rowWriter) addRest(csv bool) error {
	if len(w.left) == 0 {
		return nil
	}
	w.object = append(w.object[:0], '{')
	for i, m := range w.left {
		if i > 0 {
			w.object = append(w.object, ',')
		}
		w.object = append(append(w.object, quoted(m.name)...), ':')
		if csv {
			m.raw = quoted(string(m.raw))
		}
		w.object = append(w.object, m.raw...)
	}
	w.object = append(w.object, '}')
	if err := w.rest.lack(w.group); err != nil {
		return err
	}
	w.rest.addBytes(w.object, 0)
	return w.rest.added()
}

// quoted returns a text as JSON.
func quoted(s string) []byte {
	b, _ := json.Marshal(s) // a string has no error
	return b
}

// valid returns a text with U+FFFD in place of each byte that is not UTF-8.
func valid(s []byte) []byte { return []byte(string([]rune(string(s)))) }

// endOfRow ends the group if it has enough rows, or bytes in memory.
func (w *rowWriter) endOfRow() error {
	if w.group < groupRows && w.dictionaries < dictionariesBytes {
		if w.unread < checkBytes {
			return nil
		}
		w.unread = 0
		if w.out.Size()-w.base < groupBytes {
			return nil
		}
	}
	return w.endGroup()
}

func (w *rowWriter) endGroup() error {
	for _, c := range w.columns {
		if err := c.endGroup(w.group); err != nil {
			return err
		}
	}
	err := w.out.Flush()
	w.group, w.unread, w.base, w.dictionaries = 0, 0, w.out.Size(), 0
	return err
}

// close completes the file.
func (w *rowWriter) close() error {
	if w.out == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if err := w.endGroup(); err != nil {
		return err
	}
	return w.out.Close()
}
