package landing

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"

	"fullstory-export-mcp/rows"
)

// micro is a TIMESTAMP as it is stored.
type micro int64

// parquetRows reads a Parquet file: for each row the values that are not NULL, by column.
// Whole numbers are int64, times micro, texts string and lists []any.
func parquetRows(t testing.TB, file []byte) (found []map[string]any) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range f.RowGroups() {
		r := group.Rows()
		rows := make([]parquet.Row, 64)
		for {
			n, err := r.ReadRows(rows)
			for _, row := range rows[:n] {
				found = append(found, valuesOf(f, row))
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
	}
	return found
}

func valuesOf(f *parquet.File, row parquet.Row) map[string]any {
	fields, values := f.Root().Columns(), map[string]any{}
	row.Range(func(i int, of []parquet.Value) bool {
		name, list := fields[i].Name(), !fields[i].Leaf()
		leaf := fields[i]
		if list {
			leaf = leaf.Columns()[0].Columns()[0]
		}
		all := []any{}
		for _, v := range of {
			switch {
			case !list && v.IsNull(), list && v.DefinitionLevel() == 0:
				return true
			case list && v.DefinitionLevel() == 1: // an empty list
			default:
				all = append(all, goValue(leaf, v))
			}
		}
		if values[name] = all; !list {
			values[name] = all[0]
		}
		return true
	})
	return values
}

func goValue(leaf *parquet.Column, v parquet.Value) any {
	switch {
	case v.IsNull():
		return nil
	case v.Kind() == parquet.Int64 && strings.HasPrefix(leaf.Type().String(), "TIMESTAMP"):
		return micro(v.Int64())
	case v.Kind() == parquet.Int64:
		return v.Int64()
	case v.Kind() == parquet.Double:
		return v.Double()
	case v.Kind() == parquet.Boolean:
		return v.Boolean()
	}
	return string(v.ByteArray())
}

// jsonRows reads rows of NDJSON or of an array with encoding/json, numbers as written.
func jsonRows(t testing.TB, plain string) (found []map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(plain))
	d.UseNumber()
	if strings.HasPrefix(plain, "[") {
		if err := d.Decode(&found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	for d.More() {
		var row map[string]any
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		found = append(found, row)
	}
	return found
}

// csvRows reads rows of CSV: cells that are not empty, as texts.
func csvRows(t testing.TB, plain string) (found []map[string]any) {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(plain)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, cells := range all[1:] {
		row := map[string]any{}
		for i, cell := range cells {
			if cell != "" {
				row[all[0][i]] = cell
			}
		}
		found = append(found, row)
	}
	return found
}

// instantOf returns a time as the package time reads it, in microseconds.
func instantOf(text string) (micro, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, text); err == nil {
			at = at.UTC()
			return micro(at.UnixMicro()), at.Nanosecond()%1000 == 0 && at.Year() >= 1 && at.Year() <= 9999
		}
	}
	return 0, false
}

func zipped(t testing.TB, plain string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// columnsIn returns the columns of a gzip file.
func columnsIn(t testing.TB, packed []byte) []string {
	t.Helper()
	s, err := rows.EachRow(bytes.NewReader(packed), "", func(rows.Row) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return s.Columns
}

// toParquet writes the rows of a gzip file as Parquet.
func toParquet(t testing.TB, packed []byte, set columnSet, out io.Writer) {
	t.Helper()
	convertReader(t, bytes.NewReader(packed), set, out)
}

func convertReader(t testing.TB, packed io.Reader, set columnSet, out io.Writer) {
	t.Helper()
	w := newRowWriter(out, set, nil)
	if _, err := rows.EachRow(packed, "", w.add); err != nil {
		t.Fatal(err)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
}
