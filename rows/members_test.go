package rows

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestEachRow reads the values of rows in every format.
func TestEachRow(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*firstRead) // longer than what is read at once
	for name, c := range map[string]struct{ file, want string }{
		"lines":         {`{"a":1,"b":"x"}` + "\n" + `{"b":[1, 2],"c":null}` + "\n", `a=1 b="x"|b=[1, 2] c=null`},
		"an array":      {`[{"a":1},{"a":{"b":2}}]`, `a=1|a={"b":2}`},
		"twice":         {`{"a":1,"b":2,"a":3}` + "\n" + `{"b":4,"\u0061":5,"a":6}`, `a=3 b=2|b=4 a=6`},
		"no time":       {`{"":1}`, `=1`},
		"csv":           {"a,b\n1,\"x,\"\"\ny\"\n,2\n", "a=1 b=x,\"\ny|a= b=2"},
		"csv, twice":    {"a,b,a\n1,2,3\n", "a=3 b=2"},
		"csv, blank":    {"EventStart\nx\n\ny\n\n", "EventStart=x|EventStart=|EventStart=y|EventStart="},
		"several reads": {`{"a":"` + long + `","b":1}`, `a="` + long + `" b=1`},
		"nothing":       {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var all []string
			s, err := EachRow(bytes.NewReader(zip(t, c.file)), "", func(row Row) error {
				var members []string
				for _, m := range row.Members {
					members = append(members, row.Columns[m.Column]+"="+string(m.Value))
				}
				all = append(all, strings.Join(members, " "))
				if csv := strings.HasPrefix(name, "csv"); row.CSV != csv || row.Invalid {
					t.Errorf("the row is said to be CSV %v, invalid %v", row.CSV, row.Invalid)
				}
				return nil
			})
			if got := strings.Join(all, "|"); err != nil || got != c.want || s.Rows != int64(len(all)) {
				t.Errorf("%v, %d rows: %s, want %s", err, s.Rows, got, c.want)
			}
		})
	}
}

// TestEachRowFails stops at the first error of the caller, and reports a damaged file.
func TestEachRowFails(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	for _, file := range []string{"{}\n{}\n", "[{},{}]", "a,b\n1,2\n3,4\n", "a\n1\n\n"} {
		calls := 0
		_, err := EachRow(bytes.NewReader(zip(t, file)), "", func(Row) error { calls++; return stop })
		if err != stop || calls != 1 {
			t.Errorf("%q: %v after %d rows", file, err, calls)
		}
	}
	var damaged *Error
	_, err := EachRow(bytes.NewReader(zip(t, "{}\n{\"a\":}\n")), "", func(Row) error { return nil })
	if !errors.As(err, &damaged) || damaged.Line != 2 {
		t.Error(err)
	}
	invalid := 0
	for _, file := range []string{"{\"a\":\"\xff\"}", "a,b\n\xff,1\n"} {
		_, err := EachRow(bytes.NewReader(zip(t, file)), "", func(row Row) error {
			if row.Invalid {
				invalid++
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if invalid != 2 {
		t.Errorf("%d rows are not UTF-8, want 2", invalid)
	}
}

// TestText reads texts of JSON as written.
func TestText(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`""`: "", `"a"`: "a", `"a\n\u00e9\ud83d\ude00\""`: "a\né😀\"", `"é"`: "é",
		`"\ud800"`: "no", `"\ude00\ud83d"`: "no", `1`: "no", `null`: "no", `{"a":"b"}`: "no", `["a"]`: "no", ``: "no",
	} {
		text, ok := TextOf([]byte(raw))
		if !ok && want != "no" || ok && string(text) != want {
			t.Errorf("%s: %q, %v", raw, text, ok)
		}
	}
}

// TestElements reads the elements of arrays as written.
func TestElements(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`[]`: "", `[ ]`: "", `[1]`: "1|", `[ "a,]" , [2,{"b":3}] ,null]`: `"a,]"|[2,{"b":3}]|null|`,
		`[1,]`: "no", `[1`: "no", `[1]x`: "no", `[]x`: "no", `[`: "no", `{"a":1}`: "no", `x`: "no", ``: "no", `[01]`: "no",
	} {
		got := ""
		ok := Elements([]byte(raw), func(e []byte) bool { got += fmt.Sprintf("%s|", e); return true })
		if !ok && want != "no" || ok && got != want {
			t.Errorf("%s: %q, %v", raw, got, ok)
		}
	}
	calls := 0
	if Elements([]byte(`[1,2,3]`), func([]byte) bool { calls++; return calls < 2 }) || calls != 2 {
		t.Errorf("%d calls after the one that stops", calls)
	}
}

// TestNamelessColumn verifies rows whose column has no name, which is not the time column.
func TestNamelessColumn(t *testing.T) {
	t.Parallel()
	if _, _, damage, err := Verify(bytes.NewReader(zip(t, `{"":1}`)), Rules{}); damage != nil || err != nil {
		t.Error(damage, err)
	}
}
