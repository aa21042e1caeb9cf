//go:build unix

package command

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// queried is a result of query_export.
type queried struct {
	Summary   string
	Columns   []string
	Rows      [][]any
	Truncated bool
	TookMS    int64 `json:"took_ms"`
}

// only returns the only value of the only row.
func (q queried) only(t *testing.T) any {
	t.Helper()
	if len(q.Rows) != 1 || len(q.Rows[0]) != 1 {
		t.Fatalf("the answer is %+v, want one value", q)
	}
	return q.Rows[0][0]
}

// TestQueryTool asks about an export, and counts its rows again.
func TestQueryTool(t *testing.T) {
	t.Parallel()
	dir := october(t, "ndjson")
	c := converse(t, nil, "--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--dir", dir)
	ask := func(sql string, more ...any) (q queried) {
		args := map[string]any{"source": "october", "sql": sql}
		for i := 0; i+1 < len(more); i += 2 {
			args[more[i].(string)] = more[i+1]
		}
		c.call("query_export", args, &q)
		return q
	}
	rows := exportedRows(t, filepath.Join(dir, "october"))
	clicks := 0
	for _, row := range rows {
		if row["EventModFrustrated"] == json.Number("1") && strings.HasPrefix(row["EventStart"].(string), "2026-10-02") {
			clicks++
		}
	}
	const rage = "SELECT count(*) FROM rows WHERE day = '2026-10-02' AND EventModFrustrated = 1"
	if got := ask(rage).only(t); got != float64(clicks) || clicks == 0 {
		t.Errorf("%v rage clicks, counted are %d", got, clicks)
	}
	made, err := filepath.Glob(filepath.Join(dir, "october", "parquet", "*", "*.parquet"))
	if err != nil || len(made) != 3 {
		t.Fatalf("the Parquet files are %v, %v", made, err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "october", "parquet")); err != nil {
		t.Fatal(err)
	}
	if got := ask("SELECT count(*) FROM rows").only(t); got != float64(len(rows)) {
		t.Errorf("after the Parquet files were removed there are %v rows, want %d", got, len(rows))
	}
	if got := ask("SELECT count(*) FROM rows", "source", "october, "+filepath.Join(dir, "october")).only(t); got !=
		float64(2*len(rows)) {
		t.Errorf("two sources have %v rows, want %d", got, 2*len(rows))
	}
	file := filepath.Base(made[0])
	one := ask("SELECT count(DISTINCT day) FROM rows", "source",
		"october/"+strings.TrimSuffix(file, ".parquet")+".ndjson.gz")
	if got := one.only(t); got != 1.0 {
		t.Errorf("one file has %v days", got)
	}

	many := ask("SELECT UserId, EventStart FROM rows")
	if raw, _ := json.Marshal(many); !many.Truncated || len(many.Rows) > 50 || len(raw) > 8000 ||
		!strings.Contains(many.Summary, "There are more rows") {
		t.Errorf("of many rows it has %d, in %d bytes: %s", len(many.Rows), len(raw), many.Summary)
	}
	wide := ask("SELECT * FROM rows", "limit", 200)
	if raw, _ := json.Marshal(wide); !wide.Truncated || len(wide.Columns) != 40 || len(raw) > 34_000 {
		t.Errorf("of many columns it has %d, in %d bytes", len(wide.Columns), len(raw))
	}
}

// TestQueryToolRejects asks what cannot be answered.
func TestQueryToolRejects(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, "--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--dir", october(t, "ndjson"))
	for sql, says := range map[string]string{
		"SELECT EventTyp FROM rows":                     "Did you mean EventType?",
		"SELECT 1 FROM october":                         "There is one table: rows.",
		"DELETE FROM rows":                              "Begin it with SELECT",
		"SELECT 1; SELECT 2":                            "Give one SELECT",
		"SELECT * FROM sqlite_master":                   "One SELECT over the table rows",
		"SELECT load_extension('x')":                    "not authorized",
		"SELECT readfile('/etc/passwd')":                "There is no function readfile",
		"ATTACH '/tmp/x' AS y":                          "Begin it with SELECT",
		"SELECT 'x":                                     "does not end",
		"SELECT * FROM rows WHERE UserId = ?":           "Write the value",
		"SELECT UserEmail COLLATE NOCASE FROM rows":     "COLLATE is not supported",
		strings.Repeat(" ", 3) + "-- only a comment":    "The SQL is empty",
		"SELECT zeroblob(100000000)":                    "MB",
		"SELECT " + strings.Repeat("(", 200):            "sql",
		"WITH RECURSIVE n(i) AS (SELECT 1) SELECT j":    "There is no column j",
		"SELECT count(*) FROM rows WHERE day = today()": "There is no function today",
	} {
		c.rejected("query_export", map[string]any{"source": "october", "sql": sql}, says)
	}
	for _, source := range []string{"november", "../etc", "/etc/passwd", "october/../../x", ".", "october,november"} {
		c.rejected("query_export", map[string]any{"source": source, "sql": "SELECT 1 FROM rows"}, "no stored export")
	}
	c.rejected("query_export", map[string]any{
		"source": strings.Repeat("october,", 30) + "october", "sql": "SELECT 1 FROM rows",
	}, "source", "up to 20")
}

// TestQueryToolMasks looks for values of people, whatever is asked.
func TestQueryToolMasks(t *testing.T) {
	t.Parallel()
	dir := october(t, "ndjson")
	people := map[string]any{} // UserId by UserEmail
	for _, row := range exportedRows(t, filepath.Join(dir, "october")) {
		if email, _ := row["UserEmail"].(string); email != "" {
			people[email] = row["UserId"]
		}
	}
	if len(people) < 20 {
		t.Fatalf("the files have %d addresses", len(people))
	}
	c := converse(t, nil, "--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--dir", dir)
	ask := func(sql string) (q queried) {
		c.call("query_export", map[string]any{"source": "october", "sql": sql, "limit": 200}, &q)
		return q
	}
	got := ask("SELECT count(DISTINCT UserEmail) FROM rows WHERE UserEmail <> ''").only(t)
	if got != float64(len(people)) {
		t.Errorf("%v different addresses, want %d", got, len(people))
	}
	for email, id := range people {
		guess := fmt.Sprintf("SELECT count(*) FROM rows WHERE UserEmail = '%s' OR UserEmail LIKE '%%@%%' OR _rest LIKE "+
			"'%%%[1]s%%' OR UserDisplayName = '%[1]s' AND UserId = %v", email, id)
		if got := ask(guess).only(t); got != 0.0 {
			t.Errorf("a guess of %s finds %v rows", email, got)
		}
		break
	}
	first := ask("SELECT DISTINCT UserEmail FROM rows WHERE UserEmail <> '' ORDER BY UserId LIMIT 20")
	again := ask("SELECT DISTINCT UserEmail FROM rows WHERE UserEmail <> '' ORDER BY UserId LIMIT 20")
	if fmt.Sprint(first.Rows) != fmt.Sprint(again.Rows) {
		t.Errorf("two answers have %v and %v", first.Rows, again.Rows)
	}
	if raw, _ := json.Marshal(ask("SELECT UserEmail, UserDisplayName, UserAppKey, PageIp, PageUrl FROM rows")); strings.
		Contains(string(raw), "@") {
		t.Errorf("an answer has addresses: %.500s", raw)
	}
}
