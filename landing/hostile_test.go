package landing

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"fullstory-export-mcp/rows"
)

// converted returns the rows of NDJSON as Parquet has them.
func converted(t *testing.T, plain string) []map[string]any {
	t.Helper()
	packed := zipped(t, plain)
	var out bytes.Buffer
	toParquet(t, packed, columnsOf(columnsIn(t, packed)), &out)
	return parquetRows(t, out.Bytes())
}

// TestTooManyColumns rejects the rows of more columns than a file may have, and puts those
// of several files beyond the limit into _rest.
func TestTooManyColumns(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("evt_%05d_int", i))
	}
	row := func(names []string) string {
		return `{"` + strings.Join(names, `":1,"`) + `":1}`
	}
	var damaged *rows.Error
	_, err := rows.EachRow(bytes.NewReader(zipped(t, row(names))), "", func(rows.Row) error { return nil })
	if !errors.As(err, &damaged) || !damaged.TooLarge {
		t.Errorf("10,000 columns: %v", err)
	}
	_, err = rows.EachRow(bytes.NewReader(zipped(t, row([]string{strings.Repeat("x", 1<<20)}))), "",
		func(rows.Row) error { return nil })
	if !errors.As(err, &damaged) {
		t.Errorf("a name of 1 MiB: %v", err)
	}
	set := columnsOf(names)
	if len(set.columns) != mostColumns || len(set.inRest) != 10_000-mostColumns {
		t.Fatalf("%d columns, %d in _rest", len(set.columns), len(set.inRest))
	}
	var out bytes.Buffer
	toParquet(t, zipped(t, row(names[mostColumns-10:mostColumns+10])), set, &out)
	got := parquetRows(t, out.Bytes())[0]
	if rest, _ := got[restColumn].(string); len(got) != 11 || strings.Count(rest, ":1") != 10 {
		t.Errorf("columns %v", got)
	}
}

// TestInvalidText has U+FFFD for each byte that is not UTF-8, and keeps half of a pair as
// it is written.
func TestInvalidText(t *testing.T) {
	t.Parallel()
	got := converted(t, "{\"evt_a_str\":\"a\xff\xfeb\",\"evt_b_strs\":[\"\xc3\"],\"EventType\":{\"x\":\"\xff\"}}\n"+
		`{"evt_a_str":"\ud800","evt_b_strs":["\udc00",1]}`)
	want := []string{
		`map[_rest:{"EventType":{"x":"` + "\uFFFD" + `"}} evt_a_str:a` + "\uFFFD\uFFFD" + `b evt_b_strs:[` + "\uFFFD" + `]]`,
		`map[_rest:{"evt_a_str":"\ud800","evt_b_strs":["\udc00",1]}]`,
	}
	for i := range want {
		if text := fmt.Sprint(got[i]); text != want[i] {
			t.Errorf("row %d is %s, want %s", i, text, want[i])
		}
	}
}

// TestLongValues keeps lists and texts that are too long for their columns in _rest, also
// those that are only too long after many others.
func TestLongValues(t *testing.T) {
	t.Parallel()
	list := "[" + strings.Repeat("1,", mostElements) + "1]"
	long := strings.Repeat("x", mostText+1)
	got := converted(t, `{"evt_a_ints":`+list+`}`+"\n"+`{"evt_a_ints":`+list[:len(list)-3]+`]}`+"\n"+
		`{"evt_b_str":"`+long+`"}`+"\n"+`{"evt_b_str":"`+long[1:]+`"}`)
	if rest, _ := got[0][restColumn].(string); rest != `{"evt_a_ints":`+list+`}` {
		t.Errorf("a long list: %.40q", rest)
	}
	if all, _ := got[1]["evt_a_ints"].([]any); len(all) != mostElements {
		t.Errorf("%d elements", len(all))
	}
	if rest, _ := got[2][restColumn].(string); rest != `{"evt_b_str":"`+long+`"}` || got[3]["evt_b_str"] != long[1:] {
		t.Errorf("a long text: %.40q", rest)
	}

	var plain strings.Builder
	for i := range 40 { // 40 columns with a text of 800 kB each
		fmt.Fprintf(&plain, `{"evt_%d_str":"%s"}`+"\n", i, long[:800<<10])
	}
	plain.WriteString(`{"evt_0_str":"` + long[:fewText+1] + `","evt_1_str":"` + long[:fewText] + `"}`)
	got = converted(t, plain.String())
	last := got[len(got)-1]
	if len(last) != 2 || last[restColumn] == nil || last["evt_1_str"] != long[:fewText] {
		t.Errorf("after many long texts: %d columns", len(last))
	}
}

// TestBounds checks that no page of a column can be skipped wrongly: the bounds of JSON
// texts are true of all of them.
func TestBounds(t *testing.T) {
	t.Parallel()
	var plain strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&plain, `{"EventType":[%d,"%s"],"evt_a_int":%d}`+"\n", i, strings.Repeat("y", 500), i)
	}
	packed := zipped(t, plain.String())
	var out bytes.Buffer
	toParquet(t, packed, columnsOf([]string{"EventType", "evt_a_int"}), &out)
	f, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	index, err := f.RowGroups()[0].ColumnChunks()[2].ColumnIndex()
	if err != nil || index.NumPages() < 2 {
		t.Fatal(err, index)
	}
	for i := range index.NumPages() {
		if index.NullPage(i) || index.MinValue(i).String() > `{"` || index.MaxValue(i).String() <= `{"~` {
			t.Errorf("page %d: %q to %q", i, index.MinValue(i), index.MaxValue(i))
		}
	}
	none, err := f.RowGroups()[0].ColumnChunks()[0].ColumnIndex()
	if err != nil || !none.NullPage(0) {
		t.Errorf("%v: a column without values has bounds", err)
	}
}

// TestRealRows converts the sample of real rows, if that is here.
func TestRealRows(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../shared/data/fullstory-events-sample.json")
	if err != nil {
		t.Skipf("the sample of real rows is not here: %v", err)
	}
	packed := zipped(t, string(raw))
	set := columnsOf(columnsIn(t, packed))
	var out bytes.Buffer
	toParquet(t, packed, set, &out)
	got := parquetRows(t, out.Bytes())
	want := jsonRows(t, string(raw))
	compare(t, set, got, want, make([]string, len(want)), false)
	if len(set.inRest) > 0 {
		t.Errorf("in _rest are %v", set.inRest)
	}
	for _, row := range got {
		if row[restColumn] != nil {
			t.Errorf("%v fits no column", row[restColumn])
		}
	}
	t.Logf("%d rows of %d columns", len(got), len(set.columns))
}
