package query

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// testColumn is a column of a file that a test makes, with the types of package landing.
type testColumn struct {
	name string
	kind kind
	list bool
}

// testFile is a file that a test makes. A value is nil, int64 (also a time, in microseconds),
// float64, bool, string or []any of them.
type testFile struct {
	day, bulk string
	columns   []testColumn
	rows      [][]any
	groups    int // rows of a group
	page      int // bytes
	dict      int // bytes of a dictionary
}

func (c testColumn) node() parquet.Node {
	var n parquet.Node
	switch c.kind {
	case whole:
		n = parquet.Encoded(parquet.Int(64), &parquet.RLEDictionary)
	case decimal:
		n = parquet.Leaf(parquet.DoubleType)
	case truth:
		n = parquet.Leaf(parquet.BooleanType)
	case instant:
		n = parquet.Encoded(parquet.Timestamp(parquet.Microsecond), &parquet.RLEDictionary)
	default:
		n = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		if (column{name: c.name}).document() {
			n = parquet.String()
		}
	}
	if c.list {
		n = parquet.List(parquet.Optional(n))
	}
	return parquet.Optional(n)
}

// inOrder is the root of a schema whose fields keep their order.
type inOrder struct {
	parquet.Group
	fields []parquet.Field
}

func (o inOrder) Fields() []parquet.Field { return o.fields }
func (inOrder) GoType() reflect.Type      { return reflect.TypeFor[struct{}]() }

type namedField struct {
	parquet.Node
	name string
}

func (f namedField) Name() string                    { return f.name }
func (namedField) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// write writes the file into a folder.
func (f testFile) write(t testing.TB, folder string) File {
	t.Helper()
	root := inOrder{}
	for _, c := range f.columns {
		root.fields = append(root.fields, namedField{c.node(), c.name})
	}
	path := filepath.Join(folder, f.bulk+"-"+f.day+"-"+string(rune('a'+rand.IntN(26)))+".parquet")
	out, err := os.CreateTemp(folder, filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := parquet.NewWriter(out, parquet.NewSchema("rows", root), parquet.Compression(&parquet.Zstd),
		parquet.DataPageVersion(1), parquet.DataPageStatistics(false), parquet.PageBufferSize(max(f.page, 64)),
		parquet.DictionaryMaxBytes(int64(max(f.dict, 64))))
	columns := w.ColumnWriters()
	for i, row := range f.rows {
		for j, c := range f.columns {
			if _, err := columns[j].WriteRowValues(c.values(row[j], j)); err != nil {
				t.Fatal(err)
			}
		}
		if f.groups > 0 && i%f.groups == f.groups-1 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return File{Path: out.Name(), Day: f.day, Bulk: f.bulk}
}

// values returns a value as Parquet has it.
func (c testColumn) values(v any, index int) []parquet.Value {
	null := func(repeated, level int) parquet.Value { return parquet.Value{}.Level(repeated, level, index) }
	if !c.list {
		if v == nil {
			return []parquet.Value{null(0, 0)}
		}
		return []parquet.Value{parquetValue(v).Level(0, 1, index)}
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		return []parquet.Value{null(0, 0)}
	case len(list) == 0:
		return []parquet.Value{null(0, 1)}
	}
	var values []parquet.Value
	for i, e := range list {
		if e == nil {
			values = append(values, null(min(i, 1), 2))
		} else {
			values = append(values, parquetValue(e).Level(min(i, 1), 3, index))
		}
	}
	return values
}

func parquetValue(v any) parquet.Value {
	switch v := v.(type) {
	case int64:
		return parquet.Int64Value(v)
	case float64:
		return parquet.DoubleValue(v)
	case bool:
		return parquet.BooleanValue(v)
	}
	return parquet.ByteArrayValue([]byte(v.(string)))
}
