package query

import (
	"context"
	"errors"

	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestMain is the child of Run too: it is the program that Run finds.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == WorkerCommand {
		if err := Work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// zoo is a file with each type and its extremes.
func zoo() testFile {
	at := func(s string) int64 {
		t, err := time.Parse(timeForm, s)
		if err != nil {
			panic(err)
		}
		return t.UnixMicro()
	}
	return testFile{
		day: "2026-10-03", bulk: "zoo",
		columns: []testColumn{
			{"UserId", whole, false}, {"EventStart", instant, false}, {"EventType", text, false}, {"evt_total_real", decimal,
				false},
			{"evt_paid_bool", truth, false}, {"user_tags_strs", text, true}, {"user_ids_ints", whole, true},
			{"user_rates_reals", decimal, true}, {"user_flags_bools", truth, true}, {"user_seen_dates", instant, true},
			{"UserEmail", text, false}, {"evt_order__id_str", text, false}, {"_rest", text, false},
		},
		rows: [][]any{
			{int64(9007199254740993), at("2026-10-03 10:00:05.701000"), "click", 0.1, true,
				[]any{"a", "b\"c", nil, "<é>"}, []any{int64(9007199254740993), int64(-1)}, []any{1.0, 0.5, 1e300},
				[]any{true, false, nil}, []any{at("2026-10-03 10:00:05.701000")}, "ann@example.com", "o-1", `{"x":1}`},
			{int64(math.MinInt64), at("0001-01-01 00:00:00.000000"), "", math.Copysign(0, -1), false,
				[]any{}, []any{}, nil, []any{nil}, nil, "", "", nil},
			{int64(math.MaxInt64), at("9999-12-31 23:59:59.999999"), "null\x00byte", math.MaxFloat64, true,
				nil, []any{nil}, []any{}, nil, []any{}, "ann@example.com", "e\u202ed", "{}"},
			{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
		},
	}
}

// ask runs SQL in a child and returns the answer.
func ask(t testing.TB, files []File, sql string, change func(*Options)) (Result, error) {
	t.Helper()
	o := Options{Files: files, SQL: sql}
	if change != nil {
		change(&o)
	}
	return Run(t.Context(), o)
}

// one runs SQL that has one value.
func one(t testing.TB, files []File, sql string, change func(*Options)) any {
	t.Helper()
	r, err := ask(t, files, sql, change)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 {
		t.Fatalf("%s has rows %v, want one value", sql, r.Rows)
	}
	return r.Rows[0][0]
}

func TestTypes(t *testing.T) {
	files := []File{zoo().write(t, t.TempDir())}
	r, err := ask(t, files, "SELECT * FROM rows", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]any{
		{int64(9007199254740993), "2026-10-03 10:00:05.701000", "click", 0.1, int64(1), `["a","b\"c",null,"<é>"]`,
			"[9007199254740993,-1]", "[1.0,0.5,1e+300]", "[true,false,null]", `["2026-10-03 10:00:05.701000"]`,
			"ann@example.com", "o-1", `{"x":1}`, "2026-10-03", "zoo"},
		{int64(math.MinInt64), "0001-01-01 00:00:00.000000", "", 0.0, int64(0), "[]", "[]", nil, "[null]", nil, "", "", nil,
			"2026-10-03", "zoo"},
		{int64(math.MaxInt64), "9999-12-31 23:59:59.999999", "null\x00byte", math.MaxFloat64, int64(1), nil, "[null]", "[]",
			nil, "[]", "ann@example.com", "e\u202ed", "{}", "2026-10-03", "zoo"},
		{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, "2026-10-03", "zoo"},
	}
	if !reflect.DeepEqual(r.Rows, want) {
		t.Errorf("rows are\n%v\nwant\n%v", r.Rows, want)
	}
	if got := strings.Join(r.Columns, " "); !strings.HasPrefix(got, "UserId "+
		"EventStart") || !strings.HasSuffix(got, " day bulk") {
		t.Errorf("columns are %s", got)
	}
	for _, c := range []struct {
		sql  string
		want any
	}{
		{"SELECT count(*) FROM rows", int64(4)},
		{"SELECT count(*) FROM rows WHERE UserId = 9007199254740993", int64(1)},
		{"SELECT count(*) FROM rows WHERE UserId = 9007199254740992.0", int64(0)},
		{"SELECT count(*) FROM rows WHERE EventStart = '2026-10-03T12:00:05.701+02:00'", int64(1)},
		{"SELECT count(*) FROM rows WHERE EventStart >= '2026-10-03'", int64(2)},
		{"SELECT count(*) FROM rows WHERE EventStart BETWEEN '2026-10-03T10:00:05Z' AND '2026-10-04'", int64(1)},
		{"SELECT strftime('%H', EventStart) FROM rows WHERE EventType = 'click'", "10"},
		{"SELECT date(EventStart) FROM rows WHERE EventType = 'click'", "2026-10-03"},
		{"SELECT count(*) FROM rows WHERE evt_paid_bool", int64(2)},
		{"SELECT count(*) FROM rows, json_each(user_tags_strs)", int64(4)},
		{"SELECT sum(value) FROM rows, json_each(user_flags_bools)", int64(1)},
		{"SELECT typeof(value) FROM rows, json_each(user_rates_reals) LIMIT 1", "real"},
		{"SELECT count(*) FROM rows WHERE day = '2026-10-03' AND bulk = 'zoo'", int64(4)},
		{"SELECT count(*) FROM rows WHERE day = '2026-10-04'", int64(0)},
		{"SELECT json_extract(_rest, '$.x') FROM rows LIMIT 1", int64(1)},
		{"SELECT typeof(9e999)", "real"},
		{"SELECT 1.0", 1.0},
		{"SELECT x'00ff'", "x'00ff'"},
	} {
		if got := one(t, files, c.sql, nil); got != c.want {
			t.Errorf("%s is %#v, want %#v", c.sql, got, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	files := []File{zoo().write(t, t.TempDir())}
	for _, c := range []struct {
		sql     string
		limits  Limits
		rows    int
		columns int
		cut     string
	}{
		{"SELECT * FROM rows", Limits{}, 4, 15, ""},
		{"SELECT * FROM rows", Limits{Rows: 2}, 2, 15, "rows"},
		{"SELECT * FROM rows", Limits{Rows: 4}, 4, 15, ""},
		{"SELECT * FROM rows", Limits{Columns: 3}, 4, 3, "columns"},
		{"SELECT printf('%2001d', 1)", Limits{}, 1, 1, "cells"},
		{"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i, printf('%1000d', i) FROM n",
			Limits{}, 29, 2, "rows"},
	} {
		r, err := ask(t, files, c.sql, func(o *Options) { o.Limits = c.limits })
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Rows) != c.rows || len(r.Columns) != c.columns || strings.Join(r.Cut, " ") != c.cut {
			t.Errorf("%s with %+v has %d rows, %d columns, cut %q; want %d, %d, %q",
				c.sql, c.limits, len(r.Rows), len(r.Columns), r.Cut, c.rows, c.columns, c.cut)
		}
	}
}

// fails runs SQL and returns its error, which must be of a kind.
func fails(t *testing.T, files []File, sql string, kind Kind) string {
	t.Helper()
	r, err := ask(t, files, sql, nil)
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%.200s answers %v, %v; want an error of kind %s", sql, r.Rows, err, kind)
	}
	if e.Kind != kind {
		t.Errorf("%.200s fails with %s (%s), want %s", sql, e.Kind, e.Message, kind)
	}
	return e.Message
}

func TestMessages(t *testing.T) {
	files := []File{zoo().write(t, t.TempDir())}
	for _, c := range []struct {
		sql  string
		kind Kind
		want string
	}{
		{"SELECT EventTyp FROM rows", Invalid, "There is no column EventTyp. Did you mean EventType?"},
		{"SELECT r.useremial FROM rows r", Invalid, "There is no column r.useremial. Did you mean UserEmail?"},
		{`SELECT 1 FROM rows WHERE EventType = "klick!!"`, Invalid, "A text is written in single quotes"},
		{"SELECT 1 FROM events", Invalid, "There is no table events. There is one table: rows."},
		{"SELECT regexp_like(EventType, 'a') FROM rows", Invalid, "There is no function regexp_like."},
		{"SELEC 1", Denied, "The SQL is not a SELECT."},
		{"SELECT 1 +", Invalid, "SQLite does not accept the SQL: incomplete input."},
		{"SELECT 1; SELECT 2", Denied, "The SQL has several statements."},
		{"SELECT ?", Invalid, "Parameters such as ? are not supported."},
		{"SELECT 'a", Invalid, "A quote or a comment in the SQL does not end."},
		{"", Invalid, "The SQL is empty."},
		{"SELECT 'a' COLLATE nocase", Denied, "COLLATE is not supported."},
	} {
		if got := fails(t, files, c.sql, c.kind); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s\nwant %s", c.sql, got, c.want)
		}
	}
	for _, sql := range []string{"SELECT 1;", " /* a */ -- b\n SELECT ';' ; -- c", "WITH a AS (SELECT 1) SELECT * " +
		"FROM a;;"} {
		if _, err := ask(t, files, sql, nil); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestContext(t *testing.T) {
	files := []File{zoo().write(t, t.TempDir())}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, stop)
	began := time.Now()
	_, err := Run(ctx, Options{Files: files, SQL: endless})
	if !errors.Is(err, context.Canceled) || time.Since(began) > 5*time.Second {
		t.Errorf("a query that is cancelled ends with %v after %v", err, time.Since(began))
	}
}

// endless is SQL without an end.
const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"
