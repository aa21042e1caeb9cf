package merge

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fullstory-export-mcp/rows"
)

var day = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// source returns a source with a content.
func source(t testing.TB, name, content string) Source {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, content)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return Source{Name: name, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed.Bytes())), nil
	}}
}

// merged returns the content that a merge writes, and its result.
func merged(t testing.TB, m *Merge) (string, Result) {
	var packed bytes.Buffer
	result, err := m.Write(context.Background(), &packed)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content), result
}

// small is a row of few different ones, so that files share them.
func small(n int) string {
	at := day.Add(time.Duration(n%30-3) * time.Hour).Format(time.RFC3339)
	return fmt.Sprintf(`{"EventStart":%q,"EventType":"e%d"}`, at, n)
}

// counts returns how often each line occurs.
func counts(lines []string) map[string]int {
	n := map[string]int{}
	for _, l := range lines {
		n[l]++
	}
	return n
}

func lines(content string) []string {
	return strings.FieldsFunc(content, func(r rune) bool { return r == '\n' })
}

// dayOf is a merge of NDJSON in one day.
func dayOf(sources ...Source) *Merge {
	return &Merge{
		Format: rows.NDJSON, TimeColumn: "EventStart", Start: day, End: day.Add(24 * time.Hour), Sources: sources,
	}
}

// TestProperties merges random files: each row occurs as often as in the file that has it most
// often, in whatever order the files come, and a merge with itself is the same. The report
// agrees, and so does a merge in parts.
func TestProperties(t *testing.T) {
	few := rapid.SampledFrom([]int{1, 4, 5, 6, 7, 28}) // the first and the last are of other days
	rapid.Check(t, func(r *rapid.T) {
		files := rapid.SliceOfN(rapid.SliceOfN(few, 0, 30), 1, 4).Draw(r, "files")
		sources, want, inside := drawn(t, files)
		content, result := merged(t, dayOf(sources...))
		got := lines(content)
		if fmt.Sprint(counts(got)) != fmt.Sprint(want) {
			r.Fatalf("merged %q, want %v", got, want)
		}
		if result.Rows != int64(len(got)) || result.Collapsed != int64(inside-len(got)) {
			r.Fatalf("%d rows of %d: %+v", len(got), inside, result)
		}
		swapped := slices.Clone(sources)
		rand.New(rand.NewPCG(1, uint64(inside))).Shuffle(len(swapped), func(i, j int) {
			swapped[i], swapped[j] = swapped[j], swapped[i]
		})
		if other, _ := merged(t, dayOf(swapped...)); fmt.Sprint(counts(lines(other))) != fmt.Sprint(want) {
			r.Fatalf("in another order it is %q", other)
		}
		once := source(t, "merged", content)
		if again, _ := merged(t, dayOf(append([]Source{once}, sources...)...)); again != content {
			r.Fatalf("merged with itself it is %q", again)
		}
		parts := dayOf(sources...)
		parts.limit = 3
		if other, same := merged(t, parts); other != content || fmt.Sprint(same) != fmt.Sprint(result) {
			r.Fatalf("in parts it is %q, %+v", other, same)
		}
	})
}

// drawn returns files of small rows, how often a merge of a day has each row, and how many rows
// of that day the files have together.
func drawn(t *testing.T, files [][]int) (sources []Source, want map[string]int, inside int) {
	want = map[string]int{}
	for i, file := range files {
		var all, ofDay []string
		for _, n := range file {
			all = append(all, small(n))
			if h := n%30 - 3; h >= 0 && h < 24 {
				ofDay = append(ofDay, small(n))
			}
		}
		inside += len(ofDay)
		for row, n := range counts(ofDay) {
			want[row] = max(want[row], n)
		}
		sources = append(sources, source(t, fmt.Sprint(i), strings.Join(all, "\n")))
	}
	return sources, want, inside
}

// TestEqualRows has rows that are equal, though they are written in another way, in NDJSON and as
// the record of a CSV where there is one.
func TestEqualRows(t *testing.T) {
	for _, c := range []struct {
		rows []string // of NDJSON
		csv  string
	}{
		{[]string{`{"EventType":"click","PageUrl":"/a"}`, `{ "PageUrl" : "/a", "EventType":"click" }`,
			`{"EventType":"\u0063lick","PageUrl":"\/a"}`}, "EventType,PageUrl\nclick,/a\n"},
		{[]string{`{"UserEmail":"","EventType":"x"}`, `{"UserEmail":null,"EventType":"x"}`, `{"EventType":"x"}`},
			"EventType,UserEmail\nx,\n"},
		{[]string{`{"UserId":9007199254740993}`, `{"UserId":9007199254740993.0}`, `{"UserId":9.007199254740993e15}`,
			`{"UserId":90071992547409930E-1}`}, "UserId\n9007199254740993\n"},
		{[]string{`{"evt_a_real":-0.5}`, `{"evt_a_real":-5e-1}`, `{"evt_a_real":-0.50}`}, "evt_a_real\n-0.5\n"},
		{[]string{`{"TotalSec":0}`, `{"TotalSec":-0}`, `{"TotalSec":0.0e9}`}, "TotalSec\n0\n"},
		{[]string{`{"EventStart":"2026-10-01T10:00:00Z"}`, `{"EventStart":"2026-10-01T12:00:00.000+02:00"}`,
			`{"EventStart":"2026-10-01 10:00:00"}`}, "EventStart\n2026-10-01T10:00:00.0Z\n"},
		{[]string{`{"evt_a_bool":true}`}, "evt_a_bool\ntrue\n"},
		{[]string{`{"evt_a_strs":["a","b"]}`, `{"evt_a_strs":[ "a", "\u0062" ]}`, `{"evt_a_strs":"[\"a\",\"b\"]"}`},
			"evt_a_strs\n\"[\"\"a\"\",\"\"b\"\"]\"\n"},
		{[]string{`{"UserVars":{"a":1,"b":{"c":[2,null]}}}`, `{"UserVars":"{\"b\":{\"c\":[2.0,null]},\"a\":1}"}`},
			"UserVars\n\"{\"\"a\"\":1,\"\"b\"\":{\"\"c\"\":[2,null]}}\"\n"},
		{[]string{`{"PageUrl":"a"}`, `{"PageUrl":"b","PageUrl":"a"}`}, ""}, // of a column given twice the last value counts
	} {
		want := hashOf(t, c.rows[0], rows.NDJSON)
		for _, row := range c.rows[1:] {
			if hashOf(t, row, rows.NDJSON) != want || hashOf(t, "["+row+"]", rows.JSON) != want {
				t.Errorf("%s is not %s", row, c.rows[0])
			}
		}
		if c.csv != "" && hashOf(t, c.csv, rows.CSV) != want {
			t.Errorf("%q is not %s", c.csv, c.rows[0])
		}
	}
}

// TestOtherRows has rows that all differ.
func TestOtherRows(t *testing.T) {
	seen := map[Hash]string{}
	add := func(content, format string) {
		hash := hashOf(t, content, format)
		if other, twice := seen[hash]; twice {
			t.Errorf("%q has the hash of %q", content, other)
		}
		seen[hash] = content
	}
	for _, row := range []string{
		`{}`, `{"a":"x"}`, `{"b":"x"}`, `{"a":"xb"}`, `{"a":"x","b":"x"}`, `{"ab":"x"}`, `{"a":1}`, `{"a":"1"}`, `{"a":-1}`,
		`{"a":true}`, `{"a":"true"}`, `{"a":false}`, `{"a":0}`, `{"a":[]}`, `{"a":{}}`, `{"a":[null]}`, `{"a":[""]}`,
		`{"a":[[]]}`, `{"a":["x","y"]}`, `{"a":["y","x"]}`, `{"a":["xy"]}`, `{"a":{"x":1}}`, `{"a":{"x":"1"}}`,
		`{"a":{"x":null}}`, `{"a":"{}"}`, `{"a":"null"}`, `{"a":" "}`, `{"a":"2026-10-01T10:00:00Z"}`,
		`{"a":"2026-10-01T12:00:00+02:00"}`, `{"UserId":9007199254740992}`, `{"UserId":9007199254740993}`,
		`{"UserId":"9007199254740993"}`, `{"UserId":1e400}`, `{"UserId":1e401}`, `{"UserId":1e99999999999999999999}`,
		`{"UserId":1e99999999999999999998}`, `{"EventStart":"2026-10-01T10:00:00Z"}`,
		`{"EventStart":"2026-10-01T10:00:00.000000001Z"}`, `{"EventStart":"soon"}`, `{"a":"\ud800"}`, `{"a":"\ud801"}`,
		`{"a":"\ufffd"}`, `{"UserVars":{"\ud800":1}}`, `{"UserVars":{"\ud801":1}}`, `{"UserVars":{"\ufffd":1}}`,
		"{\"a\":\"\xff\"}", "{\"a\":\"\xfe\"}", "{\"a\":\"\xff\\n\"}", "{\"a\":\"\xfe\\n\"}", `{"a":"\u0000"}`,
		`{"a":"\u0000\u0000"}`,
		"{\"UserVars\":{\"\xff\":1}}", "{\"UserVars\":{\"\xfe\":1}}",
		`{"a":` + strings.Repeat("[", 80) + `1` + strings.Repeat("]", 80) + `}`,
		`{"a":` + strings.Repeat("[", 80) + `2` + strings.Repeat("]", 80) + `}`,
		`{"UserId":` + strings.Repeat("1", 45) + `}`, `{"UserId":-` + strings.Repeat("1", 49) + `}`,
	} {
		add(row, rows.NDJSON)
	}
	add("PageUrl\n1\n", rows.CSV) // not the number 1, as the column is one of texts
	add("PageUrl\n1.0\n", rows.CSV)
	add("UserId\n01\n", rows.CSV) // no number of JSON
}

// hashOf returns the hash of the only row of a file.
func hashOf(t *testing.T, content, format string) (hash Hash) {
	t.Helper()
	file, err := source(t, "file", content).Open()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	h := &Hasher{}
	_, err = rows.EachRow(file, format, func(r rows.Row) error {
		n++
		hash = h.Row(r)
		return nil
	})
	if err != nil || n != 1 {
		t.Fatalf("%q: %d rows, %v", content, n, err)
	}
	return hash
}

// TestFormats merges each format into files that can be read again.
func TestFormats(t *testing.T) {
	for _, c := range []struct{ format, a, b, want string }{
		{rows.NDJSON, `{"EventStart":"2026-10-01T10:00:00Z"} ` + "\n",
			` {"EventStart":"2026-10-01T10:00:00Z" }` + "\n" + `{"EventStart":"2026-10-01T11:00:00Z"}`,
			`{"EventStart":"2026-10-01T10:00:00Z"}` + "\n" + `{"EventStart":"2026-10-01T11:00:00Z"}` + "\n"},
		{rows.JSON, `[{"EventStart":"2026-10-01T10:00:00Z"}]`,
			"[\n{\n\"EventStart\"\n:\"2026-10-01T11:00:00Z\"},{\"EventStart\":\"2026-10-01T10:00:00.0Z\"}]",
			"[" + `{"EventStart":"2026-10-01T10:00:00Z"}` + ",\n" + `{"EventStart":"2026-10-01T11:00:00Z"}` + "]\n"},
		{rows.JSON, `[]`, ` [ ] `, "[]\n"},
		{rows.CSV, "EventStart,a\r\n2026-10-01T10:00:00Z,\"x, \"\"y\"\"\nz\"\r\n",
			"b,EventStart\n,2026-10-02T10:00:00Z\n\" c\",2026-10-01T11:00:00Z\n",
			"EventStart,a,b\n2026-10-01T10:00:00Z,\"x, \"\"y\"\"\nz\",\n2026-10-01T11:00:00Z,,\" c\"\n"},
		{rows.CSV, "EventStart\n", "", "EventStart\n"},
		{rows.CSV, "", "", ""},
		{rows.NDJSON, "", "", ""},
	} {
		m := dayOf(source(t, "a", c.a), source(t, "b", c.b))
		m.Format = c.format
		if got, _ := merged(t, m); got != c.want {
			t.Errorf("%s: %q, want %q", c.format, got, c.want)
		}
	}
	m := &Merge{Format: rows.CSV, Sources: []Source{source(t, "a", "a\n\nx\n\n")}}
	m.Sources[0].Whole = true // blank lines are rows of one empty cell
	if got, r := merged(t, m); got != "a\n\nx\n\n" || r.Rows != 3 {
		t.Errorf("blank lines: %q, %+v", got, r)
	}
	if got, r := merged(t, dayOf(Source{Name: "of 0 bytes"})); got != "" || r.Rows != 0 {
		t.Errorf("an empty file: %q, %+v", got, r)
	}
}

// TestPlaces counts rows of other times, and without one.
func TestPlaces(t *testing.T) {
	content := strings.Join([]string{
		`{"EventStart":"2026-10-01T00:00:00Z"}`, `{"EventStart":"2026-10-02T00:00:00Z"}`, // the end is excluded
		`{"EventStart":"2026-09-30T23:59:59.999999999Z"}`, `{"EventType":"x"}`, `{"EventStart":null}`, `{"EventStart":"x"}`,
		`{"EventStart":7}`, `{"EventStart":""}`,
	}, "\n")
	m := dayOf(source(t, "a", content))
	got, r := merged(t, m)
	if got != `{"EventStart":"2026-10-01T00:00:00Z"}`+"\n" ||
		r.Sources[0] != (Taken{Inside: 1, Kept: 1, Outside: 2, Untimed: 5}) {
		t.Errorf("%q, %+v", got, r)
	}
	whole := source(t, "a", content)
	whole.Whole = true
	if _, r := merged(t, dayOf(whole, m.Sources[0])); r.Rows != 8 || r.Sources[1].Untimed != 5 || r.Collapsed != 1 {
		t.Errorf("with a file of the window: %+v", r)
	}
}

// written returns a file of small rows in a format.
func written(format string, numbers []int) string {
	if format == rows.CSV {
		content := "EventType,EventStart\n"
		for _, n := range numbers {
			content += fmt.Sprintf("e%d,%s\n", n, day.Add(time.Duration(n%30-3)*time.Hour).Format(time.RFC3339))
		}
		return content
	}
	var all []string
	for _, n := range numbers {
		all = append(all, small(n))
	}
	if format == rows.JSON {
		return "[" + strings.Join(all, ",") + "]"
	}
	return strings.Join(all, "\n")
}

// TestCut divides random files among random windows, as merges of each window alone do.
func TestCut(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		format := rapid.SampledFrom([]string{rows.NDJSON, rows.JSON, rows.CSV}).Draw(r, "format")
		numbers := rapid.SliceOfN(rapid.IntRange(0, 40), 0, 40).Draw(r, "rows")
		content := written(format, numbers)
		s := source(t, "file", content)
		var windows []Window
		for at := rapid.IntRange(-4, 4).Draw(r, "first"); at < 28; {
			length := rapid.IntRange(1, 9).Draw(r, "length")
			from := day.Add(time.Duration(at) * time.Hour)
			windows = append(windows, Window{from, from.Add(time.Duration(length) * time.Hour)})
			at += length + rapid.IntRange(0, 2).Draw(r, "gap")
		}
		parts, err := Cut(context.Background(), format, "EventStart", s, windows, 1<<20)
		if err != nil || len(parts) != len(windows) {
			r.Fatalf("%d parts: %v", len(parts), err)
		}
		for i, w := range windows {
			alone := &Merge{Format: format, TimeColumn: "EventStart", Start: w.Start, End: w.End, Sources: []Source{s}}
			want, a := merged(t, alone)
			of := &Merge{Format: format, TimeColumn: "EventStart", Start: w.Start, End: w.End, Sources: parts[i : i+1]}
			got, b := merged(t, of)
			if got != want || a.Rows != b.Rows || b.Sources[0].Inside != a.Sources[0].Inside {
				r.Fatalf("from %v: %q, %+v, want %q, %+v", w.Start, got, b, want, a)
			}
		}
	})
	untimed := source(t, "file", `{"EventType":"x"}`+"\n"+small(4))
	twoDays := []Window{{day, day.Add(48 * time.Hour)}}
	parts, err := Cut(context.Background(), rows.NDJSON, "EventStart", untimed, twoDays, 1<<20)
	if err != nil || parts[0].Untimed != 1 || parts[0].rows != 1 {
		t.Errorf("a row without a time: %+v, %v", parts, err)
	}
	var long []string
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		long = append(long, fmt.Sprintf(`{"EventStart":"2026-10-01T10:00:00Z","a":"%d"}`, random.Uint64()))
	}
	_, err = Cut(context.Background(), rows.NDJSON, "EventStart", source(t, "long", strings.Join(long, "\n")),
		twoDays, 100_000)
	if !errors.Is(err, ErrLarge) {
		t.Errorf("a large file: %v", err)
	}
}

// TestApart keeps all rows of sources that are of different times.
func TestApart(t *testing.T) {
	a, b := small(4)+"\n"+small(4), small(5)+"\n"+small(1)
	m := dayOf(source(t, "a", a), source(t, "b", b))
	m.Apart = true
	want := m.Sources
	got, r := merged(t, m)
	if other, s := merged(t, dayOf(want...)); got != other || fmt.Sprint(r) != fmt.Sprint(s) || r.Rows != 3 ||
		r.Sources[1] != (Taken{Inside: 1, Kept: 1, Outside: 1}) {
		t.Errorf("%q, %+v, want %q, %+v", got, r, other, s)
	}
}

// TestFailures ends a merge of a damaged file, of one that changes, and of one that takes too long.
func TestFailures(t *testing.T) {
	good := source(t, "good", small(5))
	for _, bad := range []string{"{", `[1]`, `{"a":1}{"b":2}`} {
		_, err := dayOf(good, source(t, "bad", bad)).Write(context.Background(), io.Discard)
		if _, damaged := errors.AsType[*rows.Error](err); !damaged {
			t.Errorf("%q: %v", bad, err)
		}
	}
	gone := errors.New("gone")
	m := dayOf(good, Source{Open: func() (io.ReadCloser, error) { return nil, gone }})
	if _, err := m.Decide(context.Background()); !errors.Is(err, gone) {
		t.Errorf("a file that is gone: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := dayOf(good, good).Decide(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("once it was cancelled: %v", err)
	}
	m = &Merge{Format: "FORMAT_XML", Sources: []Source{good}}
	if _, err := m.Write(context.Background(), io.Discard); err == nil {
		t.Error("an unknown format was written")
	}
}

// BenchmarkMerge merges two files of 20,000 rows of 40 columns.
func BenchmarkMerge(b *testing.B) {
	var content strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&content, `{"EventStart":%q`, day.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano))
		for c := range 40 {
			fmt.Fprintf(&content, `,"evt_v%d_str":"value %d of %d"`, c, c, i)
		}
		content.WriteString("}\n")
	}
	s := source(b, "a", content.String())
	b.SetBytes(int64(content.Len()) * 2)
	for b.Loop() {
		if _, err := dayOf(s, s).Decide(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
