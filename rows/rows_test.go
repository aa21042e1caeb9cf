package rows

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReadRows(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	for _, test := range []struct {
		name, format, plain string
		rows                int64
		columns             []string
		fails               string
	}{
		{"lines", NDJSON, "{\"a\":1}\n{\"b\":2,\"a\":3}\n", 2, []string{"a", "b"}, ""},
		{"no last newline", NDJSON, "{\"a\":1}\n{\"a\":1}", 2, []string{"a"}, ""},
		{"CRLF, blank lines, BOM", NDJSON, "\ufeff{\"a\":1}\r\n\r\n {\"a\":1} \n\n", 2, []string{"a"}, ""},
		{"escaped key", NDJSON, `{"a\u0062\"":1}` + "\n" + `{"ab\"":2}`, 2, []string{`ab"`}, ""},
		{"long row", NDJSON, `{"a":"` + long + `"}` + "\n" + `{"a":1}`, 2, []string{"a"}, ""},
		{"empty lines", NDJSON, "", 0, nil, ""},
		{"array", JSON, ` [ {"a":1} , {"a":[1,{"x":null}]} ] ` + "\n", 2, []string{"a"}, ""},
		{"empty array", JSON, "[]", 0, nil, ""},
		{"empty array file", JSON, "", 0, nil, ""},
		{"array not closed", JSON, `[{"a":1}`, 1, nil, "does not end"},
		{"array with a comma too many", JSON, `[{"a":1},]`, 1, nil, "not a JSON object"},
		{"array without a comma", JSON, `[{"a":1}{"a":1}]`, 1, nil, "other than a comma"},
		{"array with a comma first", JSON, `[,{"a":1}]`, 0, nil, "not a JSON object"},
		{"two arrays", JSON, `[][]`, 0, nil, "followed by something else"},
		{"array of numbers", JSON, `[1]`, 0, nil, "not a JSON object"},
		{"lines as an array", JSON, `{"a":1}`, 0, nil, "does not begin with an array"},
		{"csv", CSV, "a,b\r\n1,\"x\r\ny\"\r\n2,\"\"\"\"\r\n", 2, []string{"a", "b"}, ""},
		{"csv header", CSV, "a,b\n", 0, []string{"a", "b"}, ""},
		{"csv empty", CSV, "", 0, nil, ""},
		{"csv of unequal rows", CSV, "a,b\n1\n", 0, nil, "wrong number of fields"},
		{"csv with an open quote", CSV, "a,b\n1,\"2\n", 0, nil, "quote"},
		{"detected: lines", "", ` {"a":1}`, 1, []string{"a"}, ""},
		{"detected: array", "", `[{"a":1}]`, 1, []string{"a"}, ""},
		{"detected: csv", "", "a,b\n1,2\n", 1, []string{"a", "b"}, ""},
		{"another format", "FORMAT_XML", "x", 0, nil, "\"FORMAT_XML\" is not known"},
	} {
		for how, r := range readers(test.plain) {
			if how == "byte by byte" && len(test.plain) > 1<<20 {
				continue
			}
			got, err := readRows(r, Rules{Format: test.format})
			var content *Error
			switch {
			case test.fails != "":
				if !errors.As(err, &content) || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("%s, %s: got %v, want: … %s", test.name, how, err, test.fails)
				}
			case err != nil || got.Rows != test.rows || !slices.Equal(got.Columns, test.columns):
				t.Errorf("%s, %s: got %d rows, columns %q, %v", test.name, how, got.Rows, got.Columns, err)
			}
		}
	}
}

func TestTimes(t *testing.T) {
	r := Rules{TimeColumn: "EventStart", Start: from, End: until}
	for _, test := range []struct{ plain, first, last string }{
		{
			`{"EventStart":"2026-10-01T10:00:00Z"}` + "\n" + `{"EventStart":"2026-10-01T03:00:00.5+02:00"}`,
			"2026-10-01T01:00:00.5Z", "2026-10-01T10:00:00Z",
		},
		{
			`{"EventStart":null}` + "\n" + `{"x":{"EventStart":"1999-01-01T00:00:00Z"}}`,
			"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
		},
		{"EventStart,x\n2026-10-01T00:00:00Z,1\n,2\n", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		{"x,EventStart\n1,2026-10-02T00:00:00+02:00\n", "2026-10-01T22:00:00Z", "2026-10-01T22:00:00Z"},
	} {
		got, err := readRows(strings.NewReader(test.plain), r)
		first, last := got.First.Format(time.RFC3339Nano), got.Last.Format(time.RFC3339Nano)
		if err != nil || first != test.first || last != test.last {
			t.Errorf("%s: got %s to %s, %v, want %s to %s", test.plain, first, last, err, test.first, test.last)
		}
	}
	for _, plain := range []string{
		`{"EventStart":"2026-10-02T00:00:00Z"}`, `{"EventStart":"2026-10-01T00:00:00+02:00"}`,
		`{"EventStart":"2026-10-02T00:00:00\u005a"}`, "EventStart\n2026-10-02T00:00:00Z\n",
		`{"EventStart":"x"}`, `{"EventStart":5}`,
	} {
		if _, err := readRows(strings.NewReader(plain), r); err == nil {
			t.Errorf("%s was accepted", plain)
		}
	}
	open := Rules{TimeColumn: "EventStart"}
	if _, err := readRows(strings.NewReader(`{"EventStart":"1999-01-01T00:00:00Z"}`), open); err != nil {
		t.Errorf("an open window: %v", err)
	}
}

// TestHours counts instants by the hour, whatever their order.
func TestHours(t *testing.T) {
	var h hourCount
	begin := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)
	var last time.Time
	for _, minutes := range []int{0, 10, 200, 5, 29, 31, 200, 200} {
		at := begin.Add(time.Duration(minutes) * time.Minute)
		h.add(at)
		last = maxOf(last, at)
	}
	got := h.between(begin, last)
	text, err := got.MarshalText()
	if err != nil || string(text) != "4 1 0 3" {
		t.Errorf("got %s, %v", text, err)
	}
	var back Counts
	if err := back.UnmarshalText(text); err != nil || !slices.Equal(back, got) {
		t.Errorf("read back as %v, %v", back, err)
	}
	if err := back.UnmarshalText([]byte("1 x")); err == nil {
		t.Error("x was read as a number")
	}
	if none := h.between(time.Time{}, time.Time{}); none != nil {
		t.Errorf("without rows: %v", none)
	}
	if far := h.between(begin, begin.AddDate(3, 0, 0)); far != nil {
		t.Errorf("over years %d hours are counted", len(far))
	}
}

func maxOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// TestScannerAgrees compares the scanner with encoding/json over values that
// are mostly almost right.
func TestScannerAgrees(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	pieces := []string{
		`{`, `}`, `[`, `]`, `,`, `:`, `"a"`, `"b\n"`, `"\u00e9"`, `"\u12"`, `"\x"`, `1`, `-0.5e+3`, `01`, `1.`, `-`, `1e`,
		`true`, `false`, `nul`, `null`, ` `, "\n", "\"\x01\"", `"`, `\`, `"é"`, `{"a":1}`, `[1,2]`,
	}
	valid := 0
	for range 60_000 {
		var b strings.Builder
		b.WriteString(`{"k":`)
		for range 1 + random.IntN(6) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		b.WriteString(`}`)
		checkScanner(t, b.String())
		if json.Valid([]byte(b.String())) {
			valid++
		}
	}
	if valid < 1500 {
		t.Errorf("only %d of the values were valid", valid)
	}
}

func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":[1,2.5e-3,"x\"y\\",{"b":null}],"c":true}`, `{"a":"\ud83d\ude00"}`, `{"a" : -0 }`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.HasPrefix(s, "{") {
			checkScanner(t, s)
		}
	})
}

func checkScanner(t *testing.T, s string) {
	t.Helper()
	got := scanner{b: []byte(s)}
	var keys []string
	end, err := got.object(0, func(key, _ []byte) { keys = append(keys, text(key)) })
	ok := err == nil && strings.Trim(s[end:], " \t\r\n") == ""
	if ok != json.Valid([]byte(s)) {
		t.Fatalf("%q: the scanner accepts it: %v (%v), encoding/json: %v", s, ok, err, !ok)
	}
	if !ok {
		return
	}
	var want map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &want); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) != len(want) {
		t.Fatalf("%q: the scanner sees the keys %q", s, keys)
	}
}
