package destination

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestValues loads values of every type and compares what PostgreSQL says they are with what
// is written here.
func TestValues(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFolder(t, t.TempDir())
	cases := []struct{ column, value, stored, want string }{
		{"UserId", "9007199254740993", "userid", "9007199254740993"},
		{"SessionId", "-9223372036854775808", "sessionid", "-9223372036854775808"},
		{"evt_a.b_int", "9223372036854775807", "evt_a__b_int", "9223372036854775807"},
		{"evt_real", "-0.0", "evt_real", "-0.0"},
		{"evt_a_real", "-2.5e-7", "evt_a_real", "-2.5e-07"},
		{"evt_b_real", "1.7976931348623157e308", "evt_b_real", "1.7976931348623157e+308"},
		{"evt_c_real", "5e-324", "evt_c_real", "5e-324"},
		{"evt_d_real", "0.1", "evt_d_real", "0.1"},
		{"evt_a_bool", "true", "evt_a_bool", "true"},
		{"evt_b_bool", "false", "evt_b_bool", "false"},
		{"EventStart", `"2026-10-01T12:00:00.123456+02:00"`, "eventstart", "2026-10-01 10:00:00.123456+00"},
		{"evt_a_date", `"0001-01-01T00:00:00Z"`, "evt_a_date", "0001-01-01 00:00:00+00"},
		{"evt_b_date", `"9999-12-31T23:59:59.999999Z"`, "evt_b_date", "9999-12-31 23:59:59.999999+00"},
		{"evt_a_str", `""`, "evt_a_str", ""},
		{"evt_b_str", `"a\tb\nc\rd\\e\b\f|'\"$1 \\N \\. {}"`, "evt_b_str", "a\tb\nc\rd\\e\b\f|'\"$1 \\N \\. {}"},
		{"evt_c_str", `"\\N"`, "evt_c_str", `\N`},
		{"evt_d_str", `"\u0000a\u0000"`, "evt_d_str", "\uFFFDa\uFFFD"},
		{"evt_e_str", `"Größe 😀 \uFFFD"`, "evt_e_str", "Größe 😀 \uFFFD"},
		{"evt_f_str", `"\\."`, "evt_f_str", `\.`},
		{"evt_a_strs", `["a\"b\\c","NULL",null,"{,}","","\u0000\n"]`, "evt_a_strs",
			`{"a\"b\\c","NULL",NULL,"{,}","","` + "\uFFFD\n" + `"}`},
		{"evt_b_strs", `[]`, "evt_b_strs", "{}"},
		{"evt_c_strs", `[null]`, "evt_c_strs", "{NULL}"},
		{"evt_a_ints", `[1,null,9223372036854775807]`, "evt_a_ints", "{1,NULL,9223372036854775807}"},
		{"evt_a_reals", `[1.5,null,-0.25]`, "evt_a_reals", "{1.5,NULL,-0.25}"},
		{"evt_a_bools", `[true,null,false]`, "evt_a_bools", "{t,NULL,f}"},
		{"evt_a_dates", `["2026-10-01T00:00:00.5Z",null]`, "evt_a_dates", `{"2026-10-01 00:00:00.5+00",NULL}`},
		{"_window", `"mine"`, "_window_732156bd", "mine"},
		{"odd name; DROP TABLE \"x\"", `"o"`, "odd_name__drop_table__x_", "o"},
		{"select", `"s"`, "select", "s"},
		{"evt_nested_int", `{"a":["\u0000"]}`, "_rest", `{"evt_nested_int":{"a":["\u0000"]}}`},
	}
	var fields []string
	for _, c := range cases {
		name := strings.ReplaceAll(c.column, `"`, `\"`)
		fields = append(fields, fmt.Sprintf(`"%s":%s`, name, c.value))
	}
	// The second row lacks all columns but one; bytes that are no UTF-8 become U+FFFD before.
	f.put(1, "{"+strings.Join(fields, ",")+"}\n{\"evt_a_str\":\"\xff\xfe\"}\n")
	d := opened(t, address(t))
	r := d.update(t, s.table(), f.convert())
	if r.Replaced != 3 || r.Rows != 2 || r.Loaded != 1 {
		t.Errorf("%+v, want 2 rows with 3 characters replaced", r)
	}
	for _, c := range cases {
		name := `"` + c.stored + `"`
		if got := s.text(name+"::text", "WHERE evt_a_str = ''"); got != c.want {
			t.Errorf("%s: %q, want %q", c.column, got, c.want)
		}
		if got := s.text(name+"::text", "WHERE evt_a_str <> ''"); got != "" && c.stored != "evt_a_str" {
			t.Errorf("%s of the other row is %q, want NULL", c.column, got)
		}
	}
	const want = "\uFFFD\uFFFD|20261001T000000Z_20261002T000000Z"
	if got := s.text("evt_a_str, _window", "WHERE evt_a_str <> ''"); got != want {
		t.Errorf("the other row has %q", got)
	}
}

// TestSums loads random rows of three windows, and compares counts and sums.
func TestSums(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	s := newServer(t)
	f := newFolder(t, t.TempDir())
	d := opened(t, address(t))
	var users, micros big.Int
	count, texts, elements := 0, 0, 0
	for day := 1; day <= 3; day++ {
		var b strings.Builder
		for i := range 1000 + random.IntN(4000) {
			user := random.Int64()
			at := time.Date(2026, 10, day, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.Int64N(86_400e6)) * 1000)
			text := strings.Repeat("ä\\\t", random.IntN(5))
			fmt.Fprintf(&b, `{"UserId":%d,"EventStart":%q,"PageUrl":%s,"evt_l_ints":[%s1]}`+"\n",
				user, at.Format(time.RFC3339Nano),
				strings.ReplaceAll(fmt.Sprintf("%q", text), `\u00e4`, "ä"), strings.Repeat("2,", i%4))
			users.Add(&users, big.NewInt(user))
			micros.Add(&micros, big.NewInt(at.UnixMicro()))
			count, texts, elements = count+1, texts+len(text), elements+i%4+1
		}
		f.put(day, b.String())
	}
	d.update(t, s.table(), f.convert())
	got := s.text(`count(*), sum(userid), sum((extract(epoch FROM eventstart) * 1000000)::numeric(20)),
		sum(octet_length(pageurl)), sum(cardinality(evt_l_ints))`, "")
	if want := fmt.Sprintf("%d|%s|%s|%d|%d", count, &users, &micros, texts, elements); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	windows, err := d.List(t.Context(), s.table())
	if err != nil || len(windows) != 3 || windows[2].Rows != int64(len(strings.Split(s.text("string_agg('x', ',')",
		"WHERE _window = '20261003T000000Z_20261004T000000Z'"), ","))) ||
		!windows[2].Start.Equal(time.Date(2026, 10, 3, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", windows, err)
	}
}

// TestUpdate replaces, adds and removes windows, with columns that earlier ones lacked.
func TestUpdate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFolder(t, t.TempDir())
	d := opened(t, address(t))
	check := func(what string, want Result, table string) {
		t.Helper()
		files := f.convert()
		if diff := cmp.Diff(want, d.update(t, s.table(), files)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		again := want
		again.Loaded, again.Skipped, again.Removed = 0, len(files), 0
		if diff := cmp.Diff(again, d.update(t, s.table(), files)); diff != "" {
			t.Errorf("%s, again: %s", what, diff)
		}
		rows := "string_agg(left(_window, 8) || ' ' || userid, ',' ORDER BY _window, userid)"
		if got := s.text(rows, ""); got != table {
			t.Errorf("%s: %s, want %s", what, got, table)
		}
	}
	f.put(1, "{\"UserId\":1}\n{\"UserId\":2}\n")
	f.put(2, "{\"UserId\":3}\n")
	check("new", Result{Loaded: 2, Rows: 3}, "20261001 1,20261001 2,20261002 3")
	f.put(1, "{\"UserId\":5}\n")
	check("replaced", Result{Loaded: 1, Skipped: 1, Rows: 2}, "20261001 5,20261002 3")
	f.put(3, `{"UserId":6,"evt_new_str":"x"}`+"\n")
	check("a column is added", Result{Loaded: 1, Skipped: 2, Rows: 3}, "20261001 5,20261002 3,20261003 6")
	if got := s.text("count(evt_new_str), max(evt_new_str)", ""); got != "1|x" {
		t.Errorf("the new column has %s", got)
	}
	f.remove("20261002T000000Z_20261003T000000Z.ndjson.gz")
	f.put(1, "") // no rows
	check("removed, and empty", Result{Loaded: 1, Skipped: 1, Removed: 1, Rows: 1}, "20261003 6")
	s.exec("DROP TABLE " + s.table())
	check("dropped", Result{Loaded: 2, Rows: 1}, "20261003 6")
}

// TestTwice loads the same windows by eight at once: each is loaded once, and each row is there
// once. They make the table at once as well.
func TestTwice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFolder(t, t.TempDir())
	for day := 1; day <= 3; day++ {
		f.put(day, strings.Repeat(fmt.Sprintf(`{"UserId":%d}`, day)+"\n", 500))
	}
	files := f.convert()
	var all sync.WaitGroup
	var lock sync.Mutex
	loaded := 0
	for range 8 {
		d := opened(t, address(t))
		all.Go(func() {
			r, err := d.Update(t.Context(), s.table(), filesAt(files...), nil)
			if err != nil {
				t.Error(err)
			}
			lock.Lock()
			defer lock.Unlock()
			loaded += r.Loaded
		})
	}
	all.Wait()
	if got := s.text("count(*), sum(userid)", ""); got != "1500|3000" || loaded != 3 {
		t.Errorf("%s after %d loads, want 1500|3000 after 3", got, loaded)
	}
}

// TestCancelled ends the context of a load while rows are sent.
func TestCancelled(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFolder(t, t.TempDir())
	d := opened(t, address(t))
	f.put(1, "{\"UserId\":1}\n")
	d.update(t, s.table(), f.convert())
	f.put(1, strings.Repeat("{\"UserId\":2}\n", 200_000))
	files := f.convert()
	// The table is locked, so that the load waits in its transaction.
	tx, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE "+s.table()+" IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := d.Update(ctx, s.table(), filesAt(files[0]), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that of the context", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.text("count(*), sum(userid)", ""); got != "1|1" {
		t.Errorf("%s, want the row from before", got)
	}
	if r := d.update(t, s.table(), files); r.Loaded != 1 || s.text("count(*), sum(userid)", "") != "200000|400000" {
		t.Errorf("the next load: %+v", r)
	}
}
