package landing

import "github.com/parquet-go/parquet-go"

const (
	// batch is how many values go to the library at once.
	batch = 64
	// batchText is how many bytes of text do.
	batchText = 64 << 10
	// pageText is how many bytes of text a page has at most before the next begins. The
	// library counts only the indexes of texts that are in a dictionary.
	pageText = 1 << 20
)

// columnWriter collects the values of one column. Rows that lack the column are added when
// the next row has it, so that they cost little.
type columnWriter struct {
	kind
	list       bool
	out        *parquet.ColumnWriter
	index      int      // of the column in the file
	most       *longest // shared by the columns of a file
	rows       int64    // of the group that are in values or in out
	values     []parquet.Value
	nulls      []parquet.Value // of rows that lack the column; shared by the columns of a file
	texts      []byte          // of values
	page       int             // bytes of text in out since its last page began
	length     int             // of the longest text of the group
	dictionary *dictionary     // nil if the column has none

	lastTime   []byte
	lastMicros int64
}

// longest bounds the texts of the statistics of a file, which hold the first and the last
// text of each column and group and are in memory until the file ends.
type longest struct {
	text int // the longest text, in bytes, that a column of texts takes
	kept int // bytes of statistics so far, at most
}

const (
	// mostText is the longest text in a column of texts.
	mostText = 1 << 20
	// mostKept is after how many bytes of statistics fewTexts is the longest. Real files
	// stay below: it is a group of 100 columns whose longest texts have 160 kB.
	mostKept = 32 << 20
	fewText  = 1 << 10
)

// keep counts the statistics of a text that is longer than those before.
func (l *longest) keep(more int) {
	if l.kept += 2 * more; l.kept > mostKept {
		l.text = fewText
	}
}

func (w *columnWriter) addInt(n int64, repeated int) {
	if w.dictionary != nil {
		w.dictionary.number(n)
	}
	w.put(parquet.Int64Value(n), repeated)
}

func (w *columnWriter) addDouble(f float64, repeated int) {
	w.put(parquet.DoubleValue(f), repeated)
}

func (w *columnWriter) addBool(b bool, repeated int) {
	w.put(parquet.BooleanValue(b), repeated)
}

// addBytes adds a text, of which it takes a copy.
func (w *columnWriter) addBytes(s []byte, repeated int) {
	if len(s) > w.length && w.kind != document {
		w.most.keep(len(s) - w.length)
		w.length = len(s)
	}
	if w.dictionary != nil {
		w.dictionary.text(s)
	}
	from := len(w.texts)
	w.texts = append(w.texts, s...)
	w.page += len(s)
	w.put(parquet.ByteArrayValue(w.texts[from:]), repeated)
}

// put adds a value. The definition level says that it is there.
func (w *columnWriter) put(v parquet.Value, repeated int) {
	level := 1
	if w.list {
		level = 3
	}
	w.values = append(w.values, v.Level(repeated, level, w.index))
}

// addNull adds what is not there: in a column of lists, level 0 is the list, 1 its first
// element and 2 the value of an element. The zero Value is level 0.
func (w *columnWriter) addNull(repeated, level int) {
	w.values = append(w.values, parquet.Value{}.Level(repeated, level, w.index))
}

// lack adds the rows up to a row of the group, which all lack the column.
func (w *columnWriter) lack(row int64) error {
	n := row - w.rows
	w.rows = row
	if n < batch/2 {
		for range n {
			w.values = append(w.values, parquet.Value{})
		}
		return nil
	}
	if err := w.write(); err != nil {
		return err
	}
	for n > 0 {
		run := w.nulls[:min(n, int64(len(w.nulls)))]
		if _, err := w.out.WriteRowValues(run); err != nil {
			return err
		}
		n -= int64(len(run))
	}
	return nil
}

// added counts a row to which add has added a value.
func (w *columnWriter) added() error {
	w.rows++
	if len(w.values) < batch && len(w.texts) < batchText {
		return nil
	}
	return w.write()
}

// write passes the values on.
func (w *columnWriter) write() error {
	if len(w.values) == 0 {
		return nil
	}
	_, err := w.out.WriteRowValues(w.values)
	if err == nil && w.page >= pageText {
		w.page = 0
		err = w.out.Flush()
	}
	w.values = w.values[:0]
	if cap(w.values) > 8*batch { // after a long list
		w.values = nil
	}
	w.texts = w.texts[:0]
	if cap(w.texts) > 4*batchText {
		w.texts = nil
	}
	return err
}

// endGroup writes what is left of a group of rows.
func (w *columnWriter) endGroup(rows int64) error {
	if err := w.lack(rows); err != nil {
		return err
	}
	err := w.write()
	w.rows, w.page, w.length = 0, 0, 0
	if w.dictionary != nil {
		w.dictionary.reset()
	}
	return err
}
