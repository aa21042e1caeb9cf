package profile

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/rows"
)

// test is a testing.TB or a rapid.T.
type test interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// value is a value of a row for the recount.
type value struct {
	text string
	json bool // not a text
}

// recounted is a column, counted with everything in memory and packages of others.
type recounted struct {
	present, null, empty int64
	values               map[value]int64
	kinds                Kinds
	beyond, tooLong      int64
}

// recount counts rows in which names may be absent.
type recount struct {
	rows    int64
	columns map[string]*recounted
	events  map[string]int64
	others  int64
	f       Frustration
	e       Errors
	pairs   map[string]bool
}

func newRecount() *recount {
	return &recount{columns: map[string]*recounted{}, events: map[string]int64{}, pairs: map[string]bool{}}
}

// add counts a row: columns with their JSON. Cells of a CSV are given as JSON too.
func (r *recount) add(t test, row map[string]json.RawMessage) {
	t.Helper()
	r.rows++
	texts := map[string]string{} // values that are neither null nor empty
	for name, raw := range row {
		c := r.columns[name]
		if c == nil {
			c = &recounted{values: map[value]int64{}}
			r.columns[name] = c
		}
		c.present++
		if text, ok := c.add(t, rows.TypeOf(name), raw); ok {
			texts[name] = text
		}
	}
	r.facts(texts)
}

func (c *recounted) add(t test, typ rows.Type, raw json.RawMessage) (text string, ok bool) {
	t.Helper()
	switch raw[0] {
	case 'n':
		c.null++
		return "", false
	case '"':
		if err := json.Unmarshal(raw, &text); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			c.empty++
			return "", false
		}
		c.values[value{text, false}]++
		if _, _, isTime := rows.ParseTime(text); isTime && typ == rows.Time {
			c.kinds.Time++
		} else {
			c.kinds.String++
		}
		return text, true
	case '[', '{':
		if strings.TrimSpace(string(raw[1:len(raw)-1])) == "" {
			c.empty++
			return "", false
		}
		c.kinds.add(map[byte]Kinds{'[': {List: 1}, '{': {Object: 1}}[raw[0]])
	case 't', 'f':
		c.kinds.Bool++
	default:
		c.addNumber(t, string(raw))
	}
	c.values[value{string(raw), true}]++
	return string(raw), raw[0] != '[' && raw[0] != '{'
}

func (c *recounted) addNumber(t test, text string) {
	t.Helper()
	if len(text) > LongestValue {
		c.tooLong++
	}
	if strings.ContainsAny(text, ".eE") {
		c.kinds.Real++
		return
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		t.Fatalf("%.50s is not an integer", text)
	}
	c.kinds.Integer++
	if !n.IsInt64() {
		c.beyond++
	}
}

// facts counts what Fullstory found in a row.
func (r *recount) facts(row map[string]string) {
	kind := row["EventType"]
	if len(kind) > LongestValue {
		r.others++
	} else if kind != "" {
		r.events[kind]++
	}
	if n := whole(row["EventModFrustrated"]); n > 0 {
		r.f.RageClickRows++
		if n == 1 {
			r.f.RageClicks++
		}
		r.f.LongestRageClick = max(r.f.LongestRageClick, n)
	}
	if whole(row["EventModDead"]) == 1 {
		r.f.DeadClicks++
	}
	mark := whole(row["EventModError"])
	if mark < 0 || mark > 3 {
		mark = 4
	}
	r.marks(kind, mark)
	for of, n := range map[string]*int64{
		"thrash": &r.f.Thrashes, "abandon": &r.f.Abandoned, "exception": &r.e.Exceptions, "click_error": &r.e.ClickErrors,
		"seen_error": &r.e.SeenErrors, "custom_error": &r.e.CustomErrors, "crashed": &r.e.Crashes,
	} {
		if kind == of {
			*n++
		}
	}
	if kind == "console_message" && row["EventSubType"] == "error" {
		r.e.ConsoleErrors++
	}
	switch whole(row["EventModSuspicious"]) {
	case 1:
		r.e.SQLInjections++
	case 2:
		r.e.XSS++
	}
	if row["UserId"] != "" && row["SessionId"] != "" {
		r.pairs[row["UserId"]+":"+row["SessionId"]] = true
	}
}

// marks counts the EventModError of a row, 4 being any other number.
func (r *recount) marks(kind string, mark int64) {
	for n, at := range map[int64]func(*ErrorKinds) *int64{
		1: func(e *ErrorKinds) *int64 { return &e.Unknown }, 2: func(e *ErrorKinds) *int64 { return &e.Console },
		3: func(e *ErrorKinds) *int64 { return &e.Exception }, 4: func(e *ErrorKinds) *int64 { return &e.Other },
	} {
		if mark == n {
			*at(&r.e.ByMark)++
		}
		if kind == "click" && mark == n || kind == "click_error" && max(1, mark) == n {
			*at(&r.f.ErrorClicks)++
		}
	}
}

// whole returns the integer that a text is, nine digits at most, and 0 for anything else.
func whole(text string) int64 {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || strings.ContainsAny(text, "+_") {
		return 0
	}
	const most = 999_999_999
	if !n.IsInt64() || n.Int64() > most || n.Int64() < -most {
		return int64(n.Sign()) * most
	}
	return n.Int64()
}

// check compares a profile with the recount.
func (r *recount) check(t test, p Profile) {
	t.Helper()
	if p.Rows != r.rows || len(p.Columns) != len(r.columns) {
		t.Errorf("%d rows, %d columns; want %d, %d", p.Rows, len(p.Columns), r.rows, len(r.columns))
	}
	events := map[string]int64{}
	for _, e := range p.Events {
		events[e.Type] = e.Rows
	}
	if diff := cmp.Diff(r.events, events); diff != "" || p.OtherEvents != r.others {
		t.Errorf("events: %s", diff)
	}
	if diff := cmp.Diff(r.f, p.Frustration); diff != "" {
		t.Errorf("frustration: %s", diff)
	}
	if diff := cmp.Diff(r.e, p.Errors); diff != "" {
		t.Errorf("errors: %s", diff)
	}
	near(t, "sessions", p.Sessions, len(r.pairs))
	for i := range p.Columns {
		c := &p.Columns[i]
		want := r.columns[c.Name]
		if want == nil {
			t.Errorf("there is a column %q", c.Name)
			continue
		}
		want.check(t, c)
	}
}

// near checks an estimate: six standard errors are never exceeded.
func near(t test, what string, d Distinct, want int) {
	t.Helper()
	if got := float64(d.Estimate()); math.Abs(got-float64(want)) > 1+6*0.01625*float64(want) {
		t.Errorf("%s: %v distinct, want %d", what, got, want)
	}
}

func (c *recounted) check(t test, got *Column) {
	t.Helper()
	exact := Column{
		Name: got.Name, Type: rows.TypeOf(got.Name), Present: c.present, Null: c.null, Empty: c.empty, Kinds: c.kinds,
		BeyondInt64: c.beyond, TooLong: c.tooLong,
	}
	c.ranges(&exact)
	bare := *got
	bare.Distinct, bare.Top, bare.OthersAtMost = Distinct{}, nil, 0
	if diff := cmp.Diff(exact, bare, cmp.AllowUnexported(Distinct{})); diff != "" {
		t.Errorf("%s: %s", got.Name, diff)
	}
	near(t, got.Name, got.Distinct, len(c.values))
	c.checkTop(t, got)
}

// checkTop checks the bounds of frequent values, and that none is missing which must be
// there.
func (c *recounted) checkTop(t test, got *Column) {
	t.Helper()
	listed := map[value]bool{}
	for _, v := range got.Top {
		for is, n := range c.values {
			same := is.text == v.Value
			if v.Cut != "" {
				same = len(is.text) > LongestValue && strings.HasPrefix(is.text, v.Value)
			}
			if same && !listed[is] && is.json == v.JSON && n <= v.Count && n >= v.Count-v.Error {
				listed[is] = true
				v.Count = -1
				break
			}
		}
		if v.Count != -1 {
			t.Errorf("%s: %q is said to occur %d times, at most %d too many; it does %d times", got.Name, v.Value, v.Count,
				v.Error, c.values[value{v.Value, v.JSON}])
		}
	}
	for is, n := range c.values {
		if !listed[is] && n > got.OthersAtMost {
			t.Errorf("%s: %q occurs %d times and is not listed; others at most %d", got.Name, is.text, n, got.OthersAtMost)
		}
	}
	if len(c.values) <= leastListed && len(got.Top) != len(c.values) {
		t.Errorf("%s: %d of %d values are listed", got.Name, len(got.Top), len(c.values))
	}
}

// ranges computes the ranges of a column.
func (c *recounted) ranges(of *Column) {
	for v := range c.values {
		_, _, isTime := rows.ParseTime(v.text)
		switch {
		case v.json && strings.ContainsAny(v.text[:1], "-0123456789") && len(v.text) <= LongestValue:
			of.Numbers = widen(of.Numbers, v.text, compareRats)
		case v.json:
		case isTime && of.Type == rows.Time:
			of.Times = widen(of.Times, v.text, compareTimes)
		default:
			of.Texts = widen(of.Texts, shortened(v.text), strings.Compare)
		}
	}
}

func shortened(text string) string {
	if len(text) <= LongestValue {
		return text
	}
	for text = text[:LongestValue]; !utf8.ValidString(text); {
		text = text[:len(text)-1]
	}
	return text
}

func compareTimes(a, b string) int {
	x, _, _ := rows.ParseTime(a)
	y, _, _ := rows.ParseTime(b)
	if x.Equal(y) {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}

func compareRats(a, b string) int {
	x, _ := new(big.Rat).SetString(a)
	y, _ := new(big.Rat).SetString(b)
	if c := x.Cmp(y); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func widen(r *Range, text string, compare func(a, b string) int) *Range {
	if r == nil {
		return &Range{text, text}
	}
	if compare(text, r.Min) < 0 {
		r.Min = text
	}
	if compare(text, r.Max) > 0 {
		r.Max = text
	}
	return r
}

// recountFile counts the rows of a file without package rows.
func recountFile(t test, format client.Format, plain []byte) *recount {
	t.Helper()
	r := newRecount()
	all := jsonRows
	if format == client.FormatCSV {
		all = csvRows
	}
	for row, err := range all(plain) {
		if err != nil {
			t.Fatal(err)
		}
		r.add(t, row)
	}
	return r
}

type rowsOf = iter.Seq2[map[string]json.RawMessage, error]

// jsonRows returns the objects of NDJSON or of an array.
func jsonRows(plain []byte) rowsOf {
	plain = bytes.TrimSpace(plain)
	return func(yield func(map[string]json.RawMessage, error) bool) {
		if bytes.HasPrefix(plain, []byte("[")) {
			var all []map[string]json.RawMessage
			err := json.Unmarshal(plain, &all)
			for _, row := range all {
				yield(row, err)
			}
			return
		}
		for d := json.NewDecoder(bytes.NewReader(plain)); d.More(); {
			var row map[string]json.RawMessage
			if err := d.Decode(&row); !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// csvRows returns the rows of a CSV.
func csvRows(plain []byte) rowsOf {
	return func(yield func(map[string]json.RawMessage, error) bool) {
		all, err := csv.NewReader(bytes.NewReader(plain)).ReadAll()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, record := range all[1:] {
			row := map[string]json.RawMessage{}
			for i, name := range all[0] {
				row[name] = cellJSON(rows.TypeOf(name), record[i])
			}
			yield(row, nil)
		}
	}
}

// cellJSON returns what a cell would be in JSON.
func cellJSON(typ rows.Type, cell string) json.RawMessage {
	raw := json.RawMessage(cell)
	is := func(types ...rows.Type) bool { return slices.Contains(types, typ) }
	switch {
	case cell != "" && !is(rows.Text, rows.Time) && json.Valid(raw) && cell[0] != '"' && cell != "null" &&
		(is(rows.Bool) == (cell == "true" || cell == "false")) &&
		(is(rows.Texts, rows.Integers, rows.Reals, rows.Bools, rows.Times) == (cell[0] == '[')) &&
		(is(rows.Object) == (cell[0] == '{')):
		return raw
	}
	text, _ := json.Marshal(cell)
	return text
}

// profiled returns the profile of a plain file, as it is read back from its JSON.
func profiled(t test, format client.Format, plain []byte) Profile {
	t.Helper()
	b := NewBuilder()
	if err := observed(plain, rows.Rules{Format: string(format), Observer: b}); err != nil {
		t.Fatal(err)
	}
	source := Source{Name: "f", Bytes: int64(len(plain)), SHA256: "x"}
	raw, err := b.Profile(&source).Encode()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(raw, source)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// observed reads a plain file with an Observer.
func observed(plain []byte, r rows.Rules) error {
	var packed bytes.Buffer
	pack(&packed, plain)
	_, _, damage, err := rows.Verify(&packed, r)
	if damage != nil {
		return damage
	}
	return err
}

// TestRecount compares the profiles of exports of the sandbox with a recount: all formats,
// both kinds of rows, and columns of every type.
func TestRecount(t *testing.T) {
	for _, format := range []client.Format{client.FormatNDJSON, client.FormatJSON, client.FormatCSV} {
		for _, kind := range []client.Type{client.TypeEvent, client.TypeIndividual} {
			t.Run(string(format)+" "+string(kind), func(t *testing.T) {
				r := eventsOf(from, until, format)
				r.Type = kind
				plain := unzip(t, exported(t, 120, r))
				p := profiled(t, format, plain)
				recountFile(t, format, plain).check(t, p)
				if kind == client.TypeEvent && (p.Frustration.RageClicks == 0 || p.Frustration.ErrorClicks.All() == 0 ||
					p.Frustration.DeadClicks == 0 || p.Errors.Exceptions == 0 || p.Sessions.Estimate() == 0) {
					t.Errorf("nothing was found: %+v %+v", p.Frustration, p.Errors)
				}
			})
		}
	}
}

// TestRecountReal compares the profile of real rows, where they are beside the project.
func TestRecountReal(t *testing.T) {
	path := filepath.Join("..", "..", "shared", "data", "fullstory-events-sample.json")
	plain, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no real rows: %s is absent", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	recountFile(t, client.FormatJSON, plain).check(t, profiled(t, client.FormatJSON, plain))
}

// TestRecountZoo counts rows with values of kinds that a column should not have.
func TestRecountZoo(t *testing.T) {
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	long := strings.Repeat("é", 200)
	var plain strings.Builder
	for i, values := range []string{
		`"n_int":1,"evt_a_int":9223372036854775807,"evt_b_real":1.5,"t":"a"`,
		`"n_int":null,"evt_a_int":9223372036854775808,"evt_b_real":4,"t":""`,
		`"evt_a_int":-9223372036854775808,"evt_b_real":4.0,"t":"\u0061"`,
		`"evt_a_int":-9223372036854775809,"evt_b_real":1e-400,"t":"\ud83d\ude00"`,
		`"evt_a_int":` + strings.Repeat("9", 400) + `,"evt_b_real":-1e400,"t":"` + long + `a"`,
		`"evt_a_int":"12","evt_b_real":0.1,"t":"` + long + `b"`,
		`"evt_a_int":9007199254740993,"evt_b_real":0.10,"t":12`,
		`"evt_a_int":9007199254740992,"evt_b_real":1E2,"t":[1,{"a":null}]`,
		`"evt_a_int":true,"evt_b_real":-0,"t":[ ]`,
		`"evt_a_int":{},"evt_b_real":-0.0,"t":{"x":"\u00e9"}`,
		`"evt_d_date":"2026-10-01T00:00:00Z","t":"\"\\\/\b\f\n\r\t"`,
		`"evt_d_date":"2026-10-01T02:00:00+02:00","user_x_strs":["a","b"]`,
		`"evt_d_date":"2026-09-30T23:59:59.999999999Z","user_x_strs":[]`,
		`"evt_d_date":"yesterday","user_x_strs":"a"`,
		`"page_b_bool":true`, `"page_b_bool":"true"`, `"page_b_bool":0`,
		`"a":1,"a":2`, `"a":"x","\u0061":null`,
	} {
		fmt.Fprintf(&plain, `{"EventStart":%q,%s}`+"\n", now.Add(time.Duration(i)*time.Second).Format(time.RFC3339), values)
	}
	p := profiled(t, client.FormatNDJSON, []byte(plain.String()))
	recountFile(t, client.FormatNDJSON, []byte(plain.String())).check(t, p)
	c := p.Column("evt_a_int")
	if want := (Range{"-9223372036854775809", "9223372036854775808"}); *c.Numbers != want || c.BeyondInt64 != 3 {
		t.Errorf("integers from %+v, %d beyond 64 bits", *c.Numbers, c.BeyondInt64)
	}
	if want := (Range{"-1e400", "1E2"}); *p.Column("evt_b_real").Numbers != want {
		t.Errorf("reals from %+v", *p.Column("evt_b_real").Numbers)
	}
	want := Range{"2026-09-30T23:59:59.999999999Z", "2026-10-01T02:00:00+02:00"}
	if *p.Column("evt_d_date").Times != want {
		t.Errorf("times from %+v", *p.Column("evt_d_date").Times)
	}
}
