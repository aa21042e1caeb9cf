package query

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	full    = flag.Bool("full", false, "run the long tests too")
	seed    = flag.Uint64("seed", 0, "of random tests; 0 takes one from the clock")
	queries = flag.Int("queries", 0, "random queries of TestDifferential; 0: 100, or 1,000 with -full")
)

// TestDifferential compares the answers of random SQL with and without push-down, and with
// those of the same table in SQLite.
func TestDifferential(t *testing.T) {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", s)
	r := rand.New(rand.NewPCG(s, 1))
	n := *queries
	if n == 0 {
		n = 50
		if *full {
			n = 1000
		}
	}
	answered := 0
	for n > 0 {
		w := newWorld(t, r, 1200)
		for range min(n, 100) {
			n--
			if compare(t, w, randomSQL(r), s) {
				answered++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d queries have rows", answered)
}

// compare compares the answers of SQL. It returns whether there are rows.
func compare(t *testing.T, w *world, text string, seed uint64) bool {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	want, err := rowsOf(ctx, w.plain, text)
	if err != nil {
		t.Fatalf("seed %d: %s: %v", seed, text, err)
	}
	for name, d := range map[string]*database{"on": w.on, "off": w.off} {
		got, err := rowsOf(ctx, d.conn, text)
		if err != nil {
			t.Errorf("seed %d: push-down %s: %s: %v", seed, name, text, err)
			continue
		}
		if strings.Contains(text, "ORDER BY") {
			for i := range min(len(got), len(want)) {
				if a, b := firstValue(got[i]), firstValue(want[i]); a != b {
					t.Errorf("seed %d: push-down %s: %s: row %d begins with %s, want %s", seed, name, text, i, a, b)
					break
				}
			}
		}
		slices.Sort(got)
		sorted := slices.Sorted(slices.Values(want))
		if !slices.Equal(got, sorted) {
			t.Errorf("seed %d: push-down %s: %s: %d rows, want %d: %s", seed, name, text, len(got), len(want),
				firstDifference(got, sorted))
		}
	}
	return len(want) > 0
}

// firstValue returns the value by which rows are ordered.
func firstValue(row string) string {
	value, _, _ := strings.Cut(row, ", ")
	return value
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return "lacks " + want[i]
		case i >= len(want):
			return "has also " + got[i]
		case got[i] != want[i]:
			return "has " + got[i] + ", want " + want[i]
		}
	}
	return ""
}

// scalar are columns that conditions are about.
var scalar = []string{"id", "few", "wide", "at", "near", "type", "url", "odd", "amount", "paid", "gone", "day", "bulk"}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomSQL returns SQL whose answer does not depend on the order of rows.
func randomSQL(r *rand.Rand) string {
	where := func(alias string) string {
		if r.IntN(6) == 0 {
			return ""
		}
		return " WHERE " + condition(r, alias, 2)
	}
	c, d := pick(r, scalar...), pick(r, scalar...)
	switch r.IntN(14) {
	case 0:
		return "SELECT * FROM rows" + where("")
	case 1:
		return fmt.Sprintf("SELECT count(*), count(%s), min(%s), max(%s), count(DISTINCT %s) FROM "+
			"rows%s", c, c, d, d, where(""))
	case 2, 3:
		g := pick(r, "type", "url", "odd", "gone", "day", "bulk", c)
		return fmt.Sprintf("SELECT %s, count(*), count(DISTINCT %s), sum(few), max(%s) FROM rows%s GROUP BY "+
			"%s", g, d, c, where(""), g)
	case 4, 5:
		g := pick(r, "type", "url", "odd", "gone", "day", c)
		return fmt.Sprintf("SELECT %s, %s, %s FROM rows%s ORDER BY %s%s", g, c, d, where(""), g, pick(r, "", " DESC"))
	case 6:
		return fmt.Sprintf("SELECT id, %s FROM rows%s ORDER BY id%s LIMIT %d OFFSET %d", c, where(""), pick(r, "", " DESC"),
			1+r.IntN(20), r.IntN(5))
	case 7:
		return fmt.Sprintf("SELECT DISTINCT %s, %s FROM rows%s", pick(r, "type", "odd", c), d, where(""))
	case 8, 9:
		key := pick(r, "few", "id", "type", "url", "odd", "wide", "at", c)
		return fmt.Sprintf("SELECT count(*), min(a.%s), max(b.%s) FROM rows a %s rows b ON a.%s %s b.%s AND %s WHERE "+
			"a.id %% %d = 0",
			c, d, pick(r, "JOIN", "LEFT JOIN"), key, pick(r, "=", "=", "=", "<", ">=", "IS"), pick(r, key, key, d),
			condition(r, "b.", 1), 10+r.IntN(30))
	case 10:
		return fmt.Sprintf("SELECT id FROM rows a WHERE id < 60 AND %s EXISTS (SELECT 1 FROM rows b WHERE b.%s = a.%s "+
			"AND %s)",
			pick(r, "", "NOT"), c, pick(r, c, d), condition(r, "b.", 1))
	case 11:
		return fmt.Sprintf("SELECT id, (SELECT max(b.%s) FROM rows b WHERE b.%s = a.%s) FROM rows a WHERE id %% 40 = "+
			"1", d, c, c)
	case 12:
		// SQLite compares a text and numbers in IN (SELECT …) in another way if the text is in a
		// virtual table: '404.0' is then not 404.
		if texts := []string{"type", "url", "odd", "gone", "day", "bulk"}; slices.Contains(texts, c) {
			d = pick(r, texts...)
		}
		return fmt.Sprintf("SELECT id FROM rows WHERE %s IN (SELECT %s FROM rows WHERE id %% 7 = 2)%s", c, pick(r, c, d),
			pick(r, "", " AND "+condition(r, "", 1)))
	}
	return fmt.Sprintf("SELECT %s, row_number() OVER (PARTITION BY type ORDER BY id) FROM rows%s", c, where(""))
}

// condition returns a condition, nested up to a depth.
func condition(r *rand.Rand, alias string, depth int) string {
	if depth > 0 && r.IntN(2) == 0 {
		return fmt.Sprintf("%s(%s %s %s)", pick(r, "", "", "", "NOT "+
			""), condition(r, alias, depth-1), pick(r, "AND", "AND", "OR"),
			condition(r, alias, depth-1))
	}
	c := alias + pick(r, scalar...)
	switch r.IntN(12) {
	case 0:
		return c + pick(r, " IS NULL", " IS NOT NULL")
	case 1:
		return fmt.Sprintf("%s BETWEEN %s AND %s", c, literal(r, c), literal(r, c))
	case 2:
		return fmt.Sprintf("%s IN (%s, %s, %s)", c, literal(r, c), literal(r, c), literal(r, c))
	case 3:
		return fmt.Sprintf("%s %s %s", c, pick(r, "=", "<", ">"), alias+pick(r, scalar...))
	case 4:
		return fmt.Sprintf("%s %s %s", literal(r, c), pick(r, "=", "<", "<=", ">", ">="), c)
	case 5:
		return fmt.Sprintf("%s IS %s", c, literal(r, c))
	case 6:
		return fmt.Sprintf("%s LIKE %s", c, pick(r, "'click'", "'https://example.com/1%'", "'%4%'", "'2026-10-03%'"))
	}
	return fmt.Sprintf("%s %s %s", c, pick(r, "=", "=", "<", "<=", ">", ">=", "<>"), literal(r, c))
}

// literal returns a value, mostly one that fits a column.
func literal(r *rand.Rand, c string) string {
	c = c[strings.LastIndexByte(c, '.')+1:]
	if r.IntN(8) == 0 {
		c = pick(r, scalar...)
	}
	switch c {
	case "id":
		return pick(r, fmt.Sprint(r.IntN(1300)-20), fmt.Sprintf("%d.5", r.IntN(1200)), fmt.Sprintf("'%d'", r.IntN(1200)))
	case "few":
		return pick(r, fmt.Sprint(r.IntN(32)), fmt.Sprint(r.IntN(32)), fmt.Sprintf("%d.0", r.IntN(30)), "'7'", "NULL",
			"1e9", "x'07'")
	case "wide":
		return pick(r, "9007199254740993", "9007199254740992.0", "-9223372036854775808", "9223372036854775807", "9.3e18",
			"-9.3e18",
			"9223372036854775807.0", "0", "0.5", "'1'", "9e999", "-9e999")
	case "at", "near":
		at := time.UnixMicro(worldStart + r.Int64N(180_000_000_000)).UTC()
		if r.IntN(2) == 0 {
			at = time.UnixMicro(worldStart + int64(r.IntN(1200))*1_000_003).UTC()
		}
		zone := time.FixedZone("", 2*3600)
		return "'" + pick(r, at.Format(timeForm), at.Format(time.RFC3339Nano), at.In(zone).Format(time.RFC3339Nano),
			at.Format(time.DateOnly), at.Format("2006-01-02 15:04"), at.Format("2006-01"),
			at.Format("2006-01-02T15:04:05.0000005Z"),
			"zzz", "", "2026-10-03", "2026-10-04T10:00:00Z", "1790985600") + "'"
	case "type":
		return pick(r, "'click'", "'load'", "''", "'zzz'", "'m'", "1")
	case "url":
		return fmt.Sprintf("'https://example.com/%d/%s'", r.IntN(25), strings.Repeat("x", r.IntN(4)))
	case "odd":
		return pick(r, "'"+pick(r, odd()[:15]...)+"'", "404", "404.0", "-5", "x'616263'", "'a very long text that has "+
			"the same start 15'")
	case "amount":
		return pick(r, "0", "0.0", "-0.0", "1", "0.5", "9007199254740993", "9223372036854775807", "1e300", "9e999", "'1'",
			"-1.5")
	case "paid":
		return pick(r, "0", "1", "0.5", "TRUE", "2", "'1'", "-1")
	case "day":
		return pick(r, "'2026-10-03'", "'2026-10-04'", "'2026-10-03T00:00:00Z'", "'2026'", "20261003", "NULL")
	case "bulk":
		return pick(r, "'a'", "'b'", "'c'", "''")
	}
	return pick(r, "'gone'", "'h'", "NULL")
}
