package destination

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"fullstory-export-mcp/columnar"
)

// WindowColumn is the column that says of which window a row is.
const WindowColumn = "_window"

// Rule returns the rule of the names of columns in PostgreSQL: in lower case and of at most 63
// bytes, so that they can be read without quotes.
func Rule() columnar.Rule { return columnar.Rule{Fold: strings.ToLower, Most: LongestName} }

// Names returns the names of the columns of a file in a table.
func Names(columns []columnar.Column) []string { return Rule().Names(columns, WindowColumn) }

// Type returns the type of a column in PostgreSQL, as it calls it.
func Type(c columnar.Column) string {
	name := map[columnar.Kind]string{
		columnar.Whole: "bigint", columnar.Decimal: "double precision", columnar.Truth: "boolean",
		columnar.Instant: "timestamp with time zone", columnar.Text: "text",
	}[c.Kind]
	if c.List {
		return name + "[]"
	}
	return name
}

// columnsOf returns the columns of leaves.
func columnsOf(leaves []columnar.Leaf) []columnar.Column {
	columns := make([]columnar.Column, len(leaves))
	for i, l := range leaves {
		columns[i] = l.Column
	}
	return columns
}

// Copied counts what CopyText wrote.
type Copied struct {
	Rows int64
	// Replaced is how many characters became U+FFFD: U+0000, and bytes that are not UTF-8, which
	// PostgreSQL cannot store.
	Replaced int64
}

// CopyText writes the rows of a file as COPY reads them with FORMAT text, HEADER MATCH and
// ENCODING 'UTF8'. columns are the columns of the table in their order: names of Names, and
// WindowColumn, which gets the name of the window. A column that the file lacks is NULL. Without
// columns, they are WindowColumn and all of the file. It needs the memory that columnar.File.Each
// does.
func CopyText(ctx context.Context, w io.Writer, f *columnar.File, columns []string) (Copied, error) {
	names := Names(columnsOf(f.Columns))
	if len(columns) == 0 {
		columns = append([]string{WindowColumn}, names...)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	c := copier{window: f.Window}
	for _, name := range columns {
		i := slices.Index(names, name)
		if c.places = append(c.places, i); i < 0 && name == WindowColumn {
			c.places[len(c.places)-1] = windowPlace
		}
	}
	most := 0
	for _, l := range f.Columns {
		most = max(most, l.Index)
	}
	c.byLeaf = slices.Repeat([]int{-1}, most+1)
	for i, l := range f.Columns {
		c.byLeaf[l.Index] = i
	}
	c.leaves, c.cells = f.Columns, make([][]parquet.Value, len(f.Columns))
	for i, name := range columns {
		c.line = appendCopy(appendTab(c.line, i), name)
	}
	if _, err := out.Write(append(c.line, '\n')); err != nil {
		return Copied{}, err
	}
	err := f.Each(ctx, func(row parquet.Row) error {
		if err := c.row(row); err != nil {
			return err
		}
		c.copied.Rows++
		_, err := out.Write(c.line)
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	return c.copied, err
}

// windowPlace is the place of WindowColumn.
const windowPlace = -2

// copier makes lines of COPY.
type copier struct {
	window string
	places []int // for each column the number of its leaf; -1: none
	leaves []columnar.Leaf
	byLeaf []int // numbers in leaves, by index of the leaf
	cells  [][]parquet.Value
	line   []byte
	list   []byte
	copied Copied
}

// row makes the line of a row.
func (c *copier) row(row parquet.Row) error {
	clear(c.cells)
	row.Range(func(i int, values []parquet.Value) bool {
		if i < len(c.byLeaf) && c.byLeaf[i] >= 0 {
			c.cells[c.byLeaf[i]] = values
		}
		return true
	})
	c.line = c.line[:0]
	for i, place := range c.places {
		c.line = appendTab(c.line, i)
		switch {
		case place == windowPlace:
			c.line = append(c.line, c.window...)
		case place < 0 || len(c.cells[place]) == 0 || c.cells[place][0].DefinitionLevel() == 0:
			c.line = append(c.line, `\N`...)
		default:
			if err := c.value(c.leaves[place], c.cells[place]); err != nil {
				return err
			}
		}
	}
	c.line = append(c.line, '\n')
	return nil
}

func appendTab(b []byte, i int) []byte {
	if i > 0 {
		return append(b, '\t')
	}
	return b
}

// value appends a value to the line.
func (c *copier) value(l columnar.Leaf, values []parquet.Value) (err error) {
	if !l.List {
		if l.Kind == columnar.Text {
			c.line = appendCopy(c.line, c.text(values[0]))
			return nil
		}
		c.line, err = appendPlain(c.line, l.Kind, values[0])
		return err
	}
	c.list = append(c.list[:0], '{')
	for i, v := range values {
		if i > 0 {
			c.list = append(c.list, ',')
		}
		switch {
		case v.DefinitionLevel() == 1 && len(values) == 1: // an empty list
		case v.IsNull():
			c.list = append(c.list, "NULL"...)
		case l.Kind == columnar.Text:
			c.list = appendElement(c.list, c.text(v))
		default:
			if l.Kind == columnar.Instant {
				c.list = append(c.list, '"')
			}
			if c.list, err = appendPlain(c.list, l.Kind, v); err != nil {
				return err
			}
			if l.Kind == columnar.Instant {
				c.list = append(c.list, '"')
			}
		}
	}
	c.line = appendCopy(c.line, string(append(c.list, '}')))
	return nil
}

// text returns a text that PostgreSQL can store.
func (c *copier) text(v parquet.Value) string {
	text := string(v.ByteArray())
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		if r == 0 || r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			r = utf8.RuneError
			c.copied.Replaced++
		}
		b.WriteRune(r)
	}
	return b.String()
}

// The first and the last microsecond of a time that package landing writes.
var (
	firstMicro = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	lastMicro  = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() - 1
)

// appendPlain appends a value that is no text.
func appendPlain(b []byte, k columnar.Kind, v parquet.Value) ([]byte, error) {
	switch k {
	case columnar.Whole:
		return strconv.AppendInt(b, v.Int64(), 10), nil
	case columnar.Truth:
		return strconv.AppendBool(b, v.Boolean()), nil
	case columnar.Instant:
		micros := v.Int64()
		if micros < firstMicro || micros > lastMicro {
			return nil, fmt.Errorf("%w: a time is not of the years 1 to 9999", columnar.ErrDamaged)
		}
		return time.UnixMicro(micros).UTC().AppendFormat(b, "2006-01-02 15:04:05.999999+00"), nil
	}
	switch f := v.Double(); {
	case math.IsInf(f, 1):
		return append(b, "Infinity"...), nil
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...), nil
	case math.IsNaN(f):
		return append(b, "NaN"...), nil
	default:
		return strconv.AppendFloat(b, f, 'g', -1, 64), nil
	}
}

// appendElement appends a text as an element of an array.
func appendElement(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// appendCopy appends a value with the escapes of COPY.
func appendCopy(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case '\\':
			b = append(b, `\\`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, s[i])
		}
	}
	return b
}
