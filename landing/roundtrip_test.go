package landing

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"fullstory-export-mcp/rows"
)

// oddValues are values of JSON that a column may hold whatever its name promises.
var oddValues = []string{
	`null`, `true`, `false`, `""`, `"text"`, `"Größe 😀 \u00e9 \"q\" \\ \n\t"`, `"\ud83d\ude00"`,
	`"\ud800"`, `"a\udc00b"`,
	`0`, `-0`, `1`, `-1`, `42`, `9007199254740993`, `9223372036854775807`, `-9223372036854775808`, `9223372036854775808`,
	`-9223372036854775809`, `1e3`, `1.0`, `4.5`, `-0.0`, `0.1`, `1e400`, `1E-400`, `1.7976931348623157e308`,
	`123456789012345678901234567890`, `9007199254740992.0`, strings.Repeat("9", 400),
	`"2026-10-01T10:00:00Z"`, `"2026-10-01T10:00:00.123456Z"`, `"2026-10-01T10:00:00.1234567Z"`,
	`"2026-10-01T10:00:00.123456000Z"`, `"2026-10-01T12:00:00+02:00"`, `"2026-10-01T10:00:00"`, `"2026-02-30T00:00:00Z"`,
	`"0001-01-01T00:00:00Z"`, `"0000-12-31T00:00:00Z"`, `"0001-01-01T00:00:00+01:00"`, `"9999-12-31T23:59:59.999999Z"`,
	`"9999-12-31T23:59:59-01:00"`, `"2016-12-31T23:59:60Z"`, `"not a time"`,
	`[]`, `["a","b"]`, `[1,2,9007199254740993]`, `[1.5,null,-2]`, `[true,false,null]`, `[null]`, `[[1]]`, `{"a":1}`, `{}`,
	`["2026-10-01T10:00:00Z",null,"2026-10-01T10:00:00.5Z"]`, `["\ud800"]`, `[ 1 , 2 ]`, `[1,"x"]`,
	`{"a":{"b":["c\u0001"]}}`,
}

// names are columns of every kind.
var names = []string{
	"IndvId", "UserId", "EventStart", "EventType", "EventCumulativeLayoutShift", "PageUrl", "PageNumEvents",
	"Created", "Uid", "TotalSec", "UserVars", "NewField", "evt_order.total_real", "evt_a_str", "evt_a_int", "evt_a_real",
	"evt_a_bool",
	"evt_a_date", "user_a_strs", "user_a_ints", "user_a_reals", "user_a_bools", "user_a_dates", "page_größe_str", "evt_x",
	"evt_Case_str", "evt_case_str", "evt_a.b_int", "evt_a__b_int", "day", "_rest", "1st", "",
}

// randomRows returns rows that have some of the names with odd values.
func randomRows(random *rand.Rand, n int) (plain []string) {
	for range n {
		var members []string
		for _, name := range names {
			if random.IntN(3) > 0 {
				members = append(members, string(quoted(name))+":"+oddValues[random.IntN(len(oddValues))])
			}
			if random.IntN(40) == 0 { // a second time
				members = append(members, string(quoted(name))+" : "+oddValues[random.IntN(len(oddValues))])
			}
		}
		random.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		plain = append(plain, "{"+strings.Join(members, ",")+"}")
	}
	return plain
}

// fits returns what a column has for a value that encoding/json has decoded, by the rules
// that docs/parquet.md states. ok is false if the value does not fit.
func fits(c column, v any, csv bool) (stored any, ok bool) {
	if c.list {
		return fitsList(c, v, csv)
	}
	text, isText := v.(string)
	isText = isText && !csv
	switch c.kind {
	case instant:
		if s, is := v.(string); is {
			return instantOf(s)
		}
	case whole, decimal, truth:
		return fitsScalar(c.kind, v, csv)
	case document:
		_, object := v.(map[string]any)
		if s, is := v.(string); is {
			object = strings.HasPrefix(s, "{") && json.Valid([]byte(s))
		}
		return v, object
	case anything:
		switch v.(type) {
		case json.Number, bool:
			return fmt.Sprint(v), true
		}
		fallthrough
	default:
		return v, csv || isText && !strings.Contains(text, "\uFFFD") // the half of a pair
	}
	return nil, false
}

func fitsScalar(k kind, v any, csv bool) (any, bool) {
	if s, is := v.(string); is && csv {
		switch s {
		case "true", "false":
			v = s == "true"
		default:
			var n json.Number
			d := json.NewDecoder(strings.NewReader(s))
			d.UseNumber()
			if d.Decode(&n) != nil || n.String() != s {
				return nil, false
			}
			v = n
		}
	}
	switch n := v.(type) {
	case bool:
		return n, k == truth
	case json.Number:
		i, err := strconv.ParseInt(n.String(), 10, 64)
		if k == whole {
			return i, err == nil && n.String() != "-0"
		}
		f, failed := strconv.ParseFloat(n.String(), 64)
		exact := true
		if !strings.ContainsAny(n.String(), ".eE") {
			want, _ := new(big.Int).SetString(n.String(), 10)
			got, _ := big.NewFloat(f).Int(nil)
			exact = failed == nil && want.Cmp(got) == 0 && (err == nil || len(n) <= 15)
		}
		return f, k == decimal && failed == nil && exact
	}
	return nil, false
}

func fitsList(c column, v any, csv bool) (any, bool) {
	if s, is := v.(string); is && csv {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if d.Decode(&v) != nil {
			return nil, false
		}
	}
	list, ok := v.([]any)
	all := []any{}
	for _, e := range list {
		stored, fit := any(nil), true
		if e != nil {
			stored, fit = fits(column{kind: c.kind}, e, false)
		}
		all, ok = append(all, stored), ok && fit
	}
	return all, ok
}

// compare fails unless the rows of a Parquet file are those that encoding/json or
// encoding/csv read.
func compare(t *testing.T, set columnSet, got, want []map[string]any, raw []string, csv bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	bySource := map[string]column{}
	for _, c := range set.columns {
		bySource[c.source] = c
	}
	differences := 0
	for i, row := range want {
		expected, rest := stores(bySource, row, csv)
		given := map[string]any{}
		if s, ok := got[i][restColumn].(string); ok {
			given = jsonRows(t, s)[0]
			delete(got[i], restColumn)
		}
		for name, v := range got[i] { // the text of an object may be written in several ways
			if object, is := expected[name].(map[string]any); is {
				if !reflect.DeepEqual(jsonRows(t, v.(string))[0], object) {
					t.Errorf("row %d has %s %s", i, name, v)
				}
				expected[name] = v
			}
		}
		if !reflect.DeepEqual(got[i], expected) || !reflect.DeepEqual(given, rest) {
			if differences++; differences < 4 {
				t.Errorf("row %d\n got %v\nwant %v\n got rest %v\nwant rest %v\n%s", i, got[i], expected, given, rest, raw[i])
			}
		}
	}
}

// stores returns the columns that have the values of a row, and the values in _rest.
func stores(bySource map[string]column, row map[string]any, csv bool) (expected, rest map[string]any) {
	expected, rest = map[string]any{}, map[string]any{}
	for name, v := range row {
		c, known := bySource[name]
		stored, ok := fits(c, v, csv)
		switch {
		case v == nil:
		case known && ok:
			expected[c.name] = stored
		default:
			rest[name] = v
		}
	}
	return expected, rest
}

// TestRoundTrip writes rows with every kind of column and odd values in every format, reads
// the Parquet file back and compares it with what encoding/json and encoding/csv read.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	plain := randomRows(rand.New(rand.NewPCG(seed, 1)), 3000)
	for format, text := range map[string]string{
		rows.NDJSON: strings.Join(plain, "\n") + "\n",
		rows.JSON:   "[" + strings.Join(plain, ",\n") + "]",
		rows.CSV:    toCSV(t, plain),
	} {
		t.Run(format, func(t *testing.T) {
			packed := zipped(t, text)
			set := columnsOf(columnsIn(t, packed))
			var out bytes.Buffer
			toParquet(t, packed, set, &out)
			want := csvRows
			if format != rows.CSV {
				want = jsonRows
			}
			compare(t, set, parquetRows(t, out.Bytes()), want(t, text), plain, format == rows.CSV)
		})
	}
}

// toCSV writes rows of JSON as CSV: texts without quotes, the rest as JSON.
func toCSV(t *testing.T, plain []string) string {
	t.Helper()
	var b strings.Builder
	w := csv.NewWriter(&b)
	columns := names[:len(names)-1] // no empty name
	if err := w.Write(columns); err != nil {
		t.Fatal(err)
	}
	for _, line := range plain {
		var row map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		var cells []string
		for _, name := range columns {
			cell := string(row[name])
			var s string
			if json.Unmarshal(row[name], &s) == nil {
				cell = s
			}
			if !utf8.ValidString(cell) {
				t.Fatal(cell)
			}
			cells = append(cells, cell)
		}
		if err := w.Write(cells); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	return b.String()
}
