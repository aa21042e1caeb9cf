package query

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"modernc.org/sqlite"
)

// world is a table in files, and the same table as SQLite stores it.
type world struct {
	files   []File
	columns []testColumn // of the table, without the special ones
	on, off *database    // the table with and without push-down
	plain   *sql.DB
}

// worldColumns are the columns of the files of a world. Their names say what is in them.
func worldColumns() []testColumn {
	return []testColumn{
		{"id", whole, false}, {"few", whole, false}, {"wide", whole, false}, {"at", instant, false}, {"near", instant, false},
		{"type", text, false}, {"url", text, false}, {"odd", text, false}, {"amount", decimal, false}, {"paid", truth, false},
		{"tags", text, true}, {"nums", whole, true}, {"gone", text, false}, {"_rest", text, false},
	}
}

// odd are texts that SQLite may compare in other ways than by their bytes.
func odd() []string {
	return []string{"", "404", "404.0", " 404", "4e2", "+1", "-5", ".5", "2026-10-03", "2026-10-03T10:00:00Z",
		"2026-10-03 10:00:00.000000", "2026-10-03T12:00:00+02:00", "2026", "abc", "ABC", "abc\x00d", "é", "\U0010FFFF",
		"null",
		"a very long text that has the same start 1", "a very long text that has the same start 2", "~", "9", ":"}
}

const worldStart = 1790985600000000 // 2026-10-03 00:00:00

// newWorld makes a world of n rows.
func newWorld(t testing.TB, r *rand.Rand, n int) *world {
	t.Helper()
	folder, all := t.TempDir(), worldColumns()
	w := &world{columns: all}
	var rows [][]any
	id := 0
	for i, f := range []testFile{
		{day: "2026-10-03", bulk: "a", groups: n/9 + 1, page: 200, dict: 300},
		{day: "2026-10-04", bulk: "a", groups: n, page: 4000, dict: 1 << 20},
		{day: "2026-10-04", bulk: "b", groups: n/5 + 1, page: 64, dict: 64},
		{day: "", bulk: "b", groups: n, page: 1000, dict: 100},
	} {
		f.columns = all
		if i == 2 { // it lacks a column, and has them in another order
			f.columns = append([]testColumn{all[5]}, append(append([]testColumn{}, all[:5]...), all[6:12]...)...)
		}
		for range n / 4 {
			row := worldRow(r, id)
			id++
			full := append(append([]any{}, row...), any(nil), any(nil))
			if f.day != "" {
				full[len(row)] = f.day
			}
			full[len(row)+1] = f.bulk
			if i == 2 {
				f.rows = append(f.rows, append([]any{row[5]}, append(append([]any{}, row[:5]...), row[6:12]...)...))
				full[12], full[13] = nil, nil
			} else {
				f.rows = append(f.rows, row)
			}
			rows = append(rows, full)
		}
		w.files = append(w.files, f.write(t, folder))
	}
	w.on, w.off = openWorld(t, w.files, true), openWorld(t, w.files, false)
	w.plain = w.store(t, rows)
	return w
}

func openWorld(t testing.TB, files []File, pushDown bool) *database {
	t.Helper()
	tab, err := openTable(t.Context(), files, nil)
	if err != nil {
		t.Fatal(err)
	}
	tab.pushDown = pushDown
	d, err := openDatabase(t.Context(), tab)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close(); tab.close() })
	return d
}

// worldRow returns a row. Rows next to each other are alike in some columns, so that pages
// have bounds, and in places a column is NULL for a while.
func worldRow(r *rand.Rand, id int) []any {
	null := func(v any) any {
		if (id/50)%7 == 3 || r.IntN(12) == 0 {
			return nil
		}
		return v
	}
	list := func(one func() any) any {
		if r.IntN(4) == 0 {
			return nil
		}
		l := []any{}
		for range r.IntN(4) {
			l = append(l, one())
		}
		return l
	}
	wide := []int64{math.MinInt64, math.MaxInt64, 1 << 53, 1<<53 + 1, -(1 << 53) - 1, 0, 1, -1}
	amounts := []float64{0, 1, 0.5, -1.5, 1 << 53, 1e300, -1e300, 9.223372036854775807e18, 404}
	var rest any
	if r.IntN(20) == 0 {
		rest = `{"x":1}`
	}
	return []any{
		int64(id), null(int64(id / 40 % 30)), null(wide[r.IntN(len(wide))]),
		null(int64(worldStart + id*1_000_003)), null(int64(worldStart + r.IntN(5)*36_000_000_000)),
		null([]string{"click", "navigate", "load", "custom", ""}[r.IntN(5)]),
		null(fmt.Sprintf("https://example.com/%d/%s", id/97%23, strings.Repeat("x", r.IntN(3)))),
		null(odd()[r.IntN(len(odd()))]),
		null(amounts[r.IntN(len(amounts))]), null(r.IntN(2) == 0),
		list(func() any { return null([]string{"a", "b", ""}[r.IntN(3)]) }),
		list(func() any { return null(int64(r.IntN(3))) }),
		null("gone"), rest,
	}
}

// store makes the table as SQLite stores it.
func (w *world) store(t testing.TB, rows [][]any) *sql.DB {
	t.Helper()
	d := &sqlite.Driver{}
	if err := d.RegisterCollationUtf8(timeCollation, compareTimes); err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector{d})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	set := columnSet{}
	for _, c := range w.columns {
		set.columns = append(set.columns, column{name: c.name, kind: c.kind, list: c.list})
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(strings.Replace(set.declaration(), "TABLE x", "TABLE rows", 1)); err != nil {
		t.Fatal(err)
	}
	insert, err := tx.Prepare("INSERT INTO rows VALUES (" + strings.TrimSuffix(strings.Repeat("?,", len(w.columns)+2),
		",") + ")")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		stored := append([]any{}, row...)
		for i, c := range w.columns {
			stored[i] = storedValue(c, row[i])
		}
		if _, err := insert.Exec(stored...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec("CREATE INDEX few ON rows(few)"); err != nil { // else joins take long
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return db
}

// storedValue returns a value as SQL should see it, made in another way than the table does.
func storedValue(c testColumn, v any) any {
	switch v := v.(type) {
	case []any:
		var parts []string
		for _, e := range v {
			switch e := e.(type) {
			case nil:
				parts = append(parts, "null")
			case string:
				parts = append(parts, `"`+e+`"`)
			default:
				parts = append(parts, fmt.Sprint(e))
			}
		}
		return "[" + strings.Join(parts, ",") + "]"
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case int64:
		if c.kind == instant {
			return time.UnixMicro(v).UTC().Format("2006-01-02 15:04:05.000000")
		}
	}
	return v
}

// rowsOf runs SQL and returns its rows as texts.
func rowsOf(ctx context.Context, q interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, text string) (found []string, err error) {
	rows, err := q.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		found = append(found, fmt.Sprintf("%#v", values))
	}
	return found, rows.Err()
}
