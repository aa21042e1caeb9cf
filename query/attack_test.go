package query

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// attack is SQL that must not get what it wants.
type attack struct{ name, sql string }

// forbidden are attacks on files, other tables and the lock. None may be answered, neither
// as they are nor if they reach SQLite without the check of the statement. @ is a folder.
func forbidden() []attack {
	return []attack{
		{"attach a file", "ATTACH '@/a.db' AS a"},
		{"attach memory", "ATTACH ':memory:' AS a"},
		{"detach", "DETACH main"},
		{"vacuum into a file", "VACUUM INTO '@/a.db'"},
		{"vacuum", "VACUUM"},
		{"vacuum after a comment", "/* SELECT */ VACUUM INTO '@/a.db'"},
		{"pragma that writes", "PRAGMA query_only = 0"},
		{"pragma that reads", "PRAGMA database_list"},
		{"pragma of temporary files", "PRAGMA temp_store_directory = '@'"},
		{"pragma of the schema", "PRAGMA writable_schema = 1"},
		{"pragma as a function", "SELECT * FROM pragma_database_list"},
		{"pragma as a function, counted", "SELECT count(*) FROM pragma_function_list"},
		{"pragma as a function with an argument", "SELECT * FROM pragma_table_info('rows')"},
		{"pragma in capitals", "SELECT * FROM PRAGMA_module_list"},
		{"pragma in quotes", `SELECT count(*) FROM "pragma_module_list"`},
		{"pragma in brackets and main", "SELECT count(*) FROM main.[pragma_module_list]"},
		{"load an extension", "SELECT load_extension('@/a.so')"},
		{"read a file", "SELECT readfile('/etc/passwd')"},
		{"write a file", "SELECT writefile('@/a', 'x')"},
		{"edit", "SELECT edit('x', 'touch @/a')"},
		{"tokenizer", "SELECT fts3_tokenizer('simple', x'4141414141414141')"},
		{"full text module", "SELECT fts5('x')"},
		{"rtree", "SELECT rtreecheck('rows')"},
		{"geopoly", "SELECT geopoly_json('[[0,0],[1,0],[1,1],[0,0]]')"},
		{"schema", "SELECT * FROM sqlite_master"},
		{"schema, counted", "SELECT count(*) FROM sqlite_schema"},
		{"schema of temporary tables", "SELECT * FROM sqlite_temp_master"},
		{"schema in a subquery", "SELECT (SELECT sql FROM sqlite_master LIMIT 1)"},
		{"schema by union", "SELECT day FROM rows UNION SELECT name FROM sqlite_schema"},
		{"pages", "SELECT * FROM sqlite_dbpage"},
		{"pages, counted", "SELECT count(*) FROM sqlite_dbpage"},
		{"statistics", "SELECT * FROM dbstat"},
		{"statistics, counted", "SELECT count(*) FROM DBSTAT"},
		{"statistics tables", "SELECT * FROM sqlite_stat1"},
		{"offset in a file", "SELECT sqlite_offset(day) FROM rows"},
		{"log", "SELECT sqlite_log(1, 'x')"},
		{"options of the build", "SELECT sqlite_compileoption_get(1)"},
		{"source id", "SELECT sqlite_source_id()"},
		{"changes", "SELECT total_changes()"},
		{"rowid", "SELECT rowid FROM rows"},
		{"rowid under another name", "SELECT _rowid_ FROM rows"},
		{"temporary table", "CREATE TEMP TABLE a AS SELECT 1"},
		{"temporary view", "CREATE TEMP VIEW a AS SELECT * FROM rows"},
		{"temporary trigger", "CREATE TEMP TRIGGER a DELETE ON rows BEGIN SELECT 1; END"},
		{"table", "CREATE TABLE a(b)"},
		{"index", "CREATE INDEX a ON rows(day)"},
		{"virtual table", "CREATE VIRTUAL TABLE a USING fts5(b)"},
		{"another table of the module", "CREATE VIRTUAL TABLE a USING rows"},
		{"table of the module as a function", "SELECT * FROM rows('x')"},
		{"insert", "INSERT INTO rows(day) VALUES ('x')"},
		{"update", "UPDATE rows SET day = 'x'"},
		{"delete", "DELETE FROM rows"},
		{"delete by WITH", "WITH a AS (SELECT 1) DELETE FROM rows"},
		{"insert by WITH", "WITH a AS (SELECT 1) INSERT INTO rows(day) SELECT * FROM a"},
		{"insert with an answer", "WITH a AS (SELECT 1) INSERT INTO rows(day) VALUES ('x') RETURNING day"},
		{"update of the schema", "UPDATE sqlite_master SET sql = ''"},
		{"drop", "DROP TABLE rows"},
		{"alter", "ALTER TABLE rows RENAME TO a"},
		{"reindex", "REINDEX"},
		{"analyze", "ANALYZE"},
		{"transaction", "BEGIN"},
		{"savepoint", "SAVEPOINT a"},
		{"explain", "EXPLAIN SELECT * FROM rows"},
		{"explain the plan", "EXPLAIN QUERY PLAN SELECT * FROM rows"},
		{"two statements", "SELECT 1; ATTACH '@/a.db' AS a"},
		{"two statements, a comment between", "SELECT 1;--\nATTACH '@/a.db' AS a"},
		{"two statements, one in half a comment", "SELECT 1/*;*/;VACUUM INTO '@/a.db'"},
		{"after a zero byte", "SELECT 1\x00; ATTACH '@/a.db' AS a"},
		{"collation", "SELECT 'a' COLLATE nocase"},
		{"collation after a comment", "SELECT 'a' /**/CoLLaTe/**/ isotime"},
		{"parameter", "SELECT :a"},
		{"another table", "SELECT * FROM other"},
		{"series", "SELECT * FROM generate_series(1, 10)"},
		{"directories", "SELECT * FROM fsdir('/')"},
		{"csv files", "SELECT * FROM csv('/etc/passwd')"},
	}
}

// bombs are attacks on time and memory. They may be answered, if they stay in the limits.
func bombs() []attack {
	const n = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) "
	return []attack{
		{"endless recursion", endless},
		{"recursion that keeps all", "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i+1 FROM n) SELECT count(*) FROM n"},
		{"recursion that doubles", "WITH RECURSIVE n(s) AS (SELECT 'aaaaaaaa' UNION ALL SELECT s||s FROM n) SELECT " +
			"max(length(s)) FROM n"},
		{"recursion with a large queue", "WITH RECURSIVE n(s) AS (SELECT randomblob(1000000) UNION ALL SELECT " +
			"randomblob(1000000) FROM n, n m) SELECT count(*) FROM n"},
		{"queue", "WITH RECURSIVE n(s) AS (SELECT randomblob(1000000) UNION ALL SELECT randomblob(1000000) FROM " +
			"(SELECT s FROM n), (VALUES (1),(2))) SELECT count(*) FROM n"},
		{"group_concat", n + "SELECT length(group_concat(printf('%1000d', i))) FROM n"},
		{"group_concat of many groups", n + "SELECT length(group_concat(hex(zeroblob(100000)))) FROM (SELECT i FROM n " +
			"LIMIT 1000000) GROUP BY i % 1000"},
		{"json_group_array", n + "SELECT length(json_group_array(printf('%1000d', i))) FROM n"},
		{"printf", "SELECT printf('%999999999d', 1)"},
		{"printf, short of the limit", "SELECT length(printf('%8000000d', 1) || printf('%8000000d', 1))"},
		{"many long texts", "SELECT " + strings.Repeat("printf('%8000000d', 1) || '',", 120) + "1"},
		{"randomblob", "SELECT length(randomblob(999999999))"},
		{"zeroblob", "SELECT length(zeroblob(2147483647))"},
		{"replace that grows", "SELECT length(replace(printf('%8000000d', 1), ' ', printf('%8000000d', 1)))"},
		{"hex that grows", "SELECT length(hex(hex(hex(hex(zeroblob(4000000))))))"},
		{"quote that grows", "SELECT length(quote(replace(printf('%4000000d', 1), ' ', '''')))"},
		{"LIKE with a bad pattern", "SELECT printf('%2000000d', 1) LIKE '" + strings.Repeat("%_", 40) + "x'"},
		{"GLOB with a bad pattern", "SELECT printf('%2000000d', 1) GLOB '" + strings.Repeat("*?", 40) + "x'"},
		{"long pattern", "SELECT 'a' LIKE printf('%5000d', 1)"},
		{"instr, one operation", "SELECT instr(replace(printf('%7000000d', 1), ' ', 'a'), replace(printf('%3500000d', " +
			"1), ' ', 'a') || 'b')"},
		{"sort", n + "SELECT i, randomblob(1000) FROM n ORDER BY 2"},
		{"sort of long values", "SELECT count(*) FROM (" + n + "SELECT randomblob(1000000) FROM n ORDER BY 1)"},
		{"distinct", n + "SELECT count(DISTINCT randomblob(1000)) FROM n"},
		{"group by", n + "SELECT count(*) FROM (SELECT 1 FROM n GROUP BY randomblob(1000))"},
		{"window", n + "SELECT sum(length(randomblob(1000))) OVER (ORDER BY i) FROM n"},
		{"window of all rows", n + "SELECT first_value(randomblob(100000)) OVER (ORDER BY i DESC) FROM n"},
		{"materialized", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n), m AS MATERIALIZED (SELECT " +
			"randomblob(1000) b FROM n) SELECT count(*) FROM m a, m b"},
		{"cross join", "SELECT count(*) FROM rows a, rows b, rows c, rows d, rows e, rows f, rows g, rows h, rows i, " +
			"rows j, rows k, rows l, rows m, rows n, rows o, rows p, rows q"},
		{"many tables", "SELECT 1 FROM " + strings.TrimSuffix(strings.Repeat("rows,", 70), ",")},
		{"many tables in the limit", "SELECT count(*) FROM " + tables(64)},
		{"many columns", "SELECT " + strings.TrimSuffix(strings.Repeat("1,", 3000), ",")},
		{"many arguments", "SELECT max(" + strings.TrimSuffix(strings.Repeat("1,", 3000), ",") + ")"},
		{"deep expression", "SELECT " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000)},
		{"deep sum", "SELECT 1" + strings.Repeat("+1", 20000)},
		{"deep subqueries", "SELECT " + strings.Repeat("(SELECT ", 2000) + "1" + strings.Repeat(")", 2000)},
		{"many compounds", "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 3000)},
		{"nested WITH that doubles", nestedWith(40)},
		{"long SQL", "SELECT '" + strings.Repeat("a", 70_000) + "'"},
		{"deep JSON", "SELECT json(replace(printf('%1000000d', 1), ' ', '['))"},
		{"JSON that grows", "SELECT length(json_pretty(json_array(json(replace(printf('%900d', 1), ' ', '[') || " +
			"replace(printf('%900d', 1), ' ', ']')))))"},
		{"json_each of much", "SELECT count(*) FROM json_each('[' || replace(printf('%3000000d', 1), ' ', '1,') || " +
			"']') a, json_each('[' || replace(printf('%3000000d', 1), ' ', '1,') || ']') b"},
		{"long identifiers", "SELECT 1 AS \"" + strings.Repeat("a", 60_000) + "\""},
		{"strftime that grows", "SELECT length(strftime(replace(printf('%1000000d', 1), ' ', '%Y-%m-%d'), 'now'))"},
	}
}

func tables(n int) string {
	var names []string
	for i := range n {
		names = append(names, "rows t"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	return strings.Join(names, ",")
}

func nestedWith(n int) string {
	sql := "WITH a0 AS (SELECT 1 x)"
	for i := range n {
		from, to := "a"+string(rune('a'+i/26))+string(rune('a'+i%26)),
			"a"+string(rune('a'+(i+1)/26))+string(rune('a'+(i+1)%26))
		if i == 0 {
			from = "a0"
		}
		sql += ", " + to + " AS (SELECT * FROM " + from + " UNION ALL SELECT * FROM " + from + ")"
	}
	last := "a" + string(rune('a'+n/26)) + string(rune('a'+n%26))
	return sql + " SELECT count(*) FROM " + last
}

func TestForbidden(t *testing.T) {
	folder := t.TempDir()
	data := t.TempDir()
	files := []File{zoo().write(t, data)}
	for _, a := range forbidden() {
		t.Run(a.name, func(t *testing.T) {
			sql := strings.ReplaceAll(a.sql, "@", folder)
			if r, err := ask(t, files, sql, nil); err == nil {
				t.Errorf("it has the answer %v", r.Rows)
			} else if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Denied && e.Kind != Invalid {
				t.Errorf("its error is %v", err)
			}
			withoutCheck(t, files, sql)
		})
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("there are files: %v, %v", left, err)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) != 1 {
		t.Errorf("beside the data there are %v, %v", left, err)
	}
}

// withoutCheck runs SQL in this process as if checkSQL had let it pass. The authorizer must
// deny what has an effect; it lets pass what only the check is for.
func withoutCheck(t *testing.T, files []File, sql string) {
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	tab, err := openTable(ctx, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.close()
	d, err := openDatabase(ctx, tab)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	harmless := strings.Contains(strings.ToLower(sql), "collate") || strings.Contains(sql, "\x00") ||
		strings.HasPrefix(sql, "EXPLAIN") || sql == "REINDEX" // of which there is nothing here
	if a, err := d.run(ctx, sql, Limits{}.or()); err == nil && !harmless {
		t.Errorf("without the check it has the answer %s", a.Rows)
	}
}

// TestBombs runs each bomb in a child, with less time than usual.
func TestBombs(t *testing.T) {
	files := []File{zoo().write(t, t.TempDir())}
	storage := t.TempDir()
	t.Setenv("TMPDIR", storage)
	deadline := 100 * time.Millisecond
	if *full {
		deadline = 5 * time.Second
	}
	for _, a := range bombs() {
		t.Run(a.name, func(t *testing.T) { explode(t, a, files, storage, deadline) })
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapInuse > 64<<20 {
		t.Errorf("the parent has %d MB in use", m.HeapInuse>>20)
	}
}

// explode asks a bomb, which must end within its limits and leave nothing in storage.
func explode(t *testing.T, a attack, files []File, storage string, deadline time.Duration) {
	t.Helper()
	began := time.Now()
	r, err := ask(t, files, a.sql, func(o *Options) { o.Deadline = deadline })
	took := time.Since(began)
	if took > deadline+killAfter+10*time.Second { // the machine may be shared
		t.Errorf("it took %v", took)
	}
	if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Kind == Internal) {
		t.Errorf("its error is %v", err)
	}
	if r.memory > memoryLimit {
		t.Errorf("it took %d MB", r.memory>>20)
	}
	t.Logf("%v, %d MB, %v", took.Round(time.Millisecond), r.memory>>20, err)
	if left, err := filepath.Glob(filepath.Join(storage, "*")); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}
