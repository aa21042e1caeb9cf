package load

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/destination"
	"fullstory-export-mcp/landing"
	"fullstory-export-mcp/rows"
)

const (
	first  = "day=2026-10-01/20261001T000000Z_20261002T000000Z.parquet"
	second = "day=2026-10-02/20261002T000000Z_20261003T000000Z.parquet"
)

var options = Options{Table: "events", Version: "1.2.3"}

// hostile is a name that ends every kind of quotes.
const hostile = "x'y\"z`\\ INTRUDER; -- */\n{{window}} $$ :x %s"

func described(names ...string) Description {
	columns := make([]columnar.Column, 0, 2*len(names))
	for i, name := range names {
		kind := columnar.Kind(i % 5)
		columns = append(columns, columnar.Column{Name: name, Kind: kind},
			columnar.Column{Name: name + "s", Kind: kind, List: true})
	}
	return Description{columns, []Group{{columns, []string{first}}, {columns[:2], []string{second}}}}
}

// quoted matches what a tokenizer of SQL takes for one token: texts and names in quotes.
var quoted = map[bool]*regexp.Regexp{
	false: regexp.MustCompile(`(?s)'(?:[^']|'')*'|"(?:[^"]|"")*"|` + "`(?:[^`]|``)*`"),
	true:  regexp.MustCompile(`(?s)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|` + "`(?:[^`\\\\]|\\\\.)*`"), // with backslashes
}

// TestHostileNames generates statements for columns whose names would end any quotes.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	d := described(hostile, strings.ToUpper(hostile), strings.Repeat("long", 100), "select", "_window",
		"_PARTITIONTIME", "Ünder", `back\`)
	files, err := Generate(d, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range Engines() {
		text, err := Window(d, options, engine, second)
		if err != nil {
			t.Fatal(err)
		}
		files[engine+"-one.sql"] = text
	}
	for name, text := range files {
		backslashes := strings.HasPrefix(name, "bigquery") || strings.HasPrefix(name, "clickhouse") ||
			strings.HasPrefix(name, "databricks")
		code := regexp.MustCompile(`(?m)^--.*$`).ReplaceAllString(text, "")
		rest := quoted[backslashes].ReplaceAllString(code, "Q")
		if strings.Contains(strings.ToUpper(rest), "INTRUDER") || strings.ContainsAny(rest, "'\"`") {
			t.Errorf("%s has a name outside quotes: %s", name, rest)
		}
		if strings.Contains(text, "%!") {
			t.Errorf("%s has a mistake of its form", name)
		}
	}
}

// TestFiles checks which files there are, and that a window is replaced in each.
func TestFiles(t *testing.T) {
	t.Parallel()
	d := described("UserId", "evt_a")
	files, err := Generate(d, options)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bigquery-window-2.sql", "postgresql-window-2.sql", "redshift-window-2.sql"} // they read by position
	for _, engine := range Engines() {
		for _, part := range []string{"create", "everything", "window"} {
			want = append(want, engine+"-"+part+".sql")
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("the files are %q, want %q", got, want)
	}
	for _, engine := range Engines() {
		for _, file := range []string{first, second} {
			text, err := Window(d, options, engine, file)
			if err != nil || strings.Contains(text, "{{") || !strings.Contains(text, file) ||
				!strings.Contains(text, "'"+windowOf(file)+"'") {
				t.Errorf("%s, %s: %v %s", engine, file, err, text)
			}
		}
		if _, err := Window(d, options, engine, "day=2026-10-03/none.parquet"); err == nil {
			t.Errorf("%s: a window without a file has statements", engine)
		}
	}
	for _, table := range []string{"", "a.b", "a b", `a"b`, "1a", strings.Repeat("a", 51), "ä"} {
		if _, err := Generate(d, Options{Table: table}); !errors.Is(err, ErrTable) {
			t.Errorf("the table %q: %v", table, err)
		}
		if _, err := Window(d, Options{Table: table}, "duckdb", first); !errors.Is(err, ErrTable) {
			t.Errorf("the table %q: %v", table, err)
		}
	}
}

// TestPostgresTypes checks that statements and package destination make the same table.
func TestPostgresTypes(t *testing.T) {
	t.Parallel()
	d := described("a", "b", "c", "d", "E")
	s := newScript(postgresql(), d, options)
	names := destination.Names(d.Columns)
	for i, c := range d.Columns {
		if s.kind(c) != destination.Type(c) || s.names[c.Name] != names[i] {
			t.Errorf("%s %s, and %s %s", s.names[c.Name], s.kind(c), names[i], destination.Type(c))
		}
	}
}

// put stores rows of a day in a folder of an archive, and adds them to its manifest.
func put(t *testing.T, a *archive.Archive, m *archive.Manifest, day int, plain string) {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(plain)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(packed.Bytes())
	start := time.Date(2026, 10, day, 0, 0, 0, 0, time.UTC)
	f := archive.File{
		Name: archive.FileName(start, start.AddDate(0, 0, 1), ".ndjson.gz"), Start: start.Format(time.RFC3339),
		End: start.AddDate(0, 0, 1).Format(time.RFC3339), Bytes: int64(packed.Len()), SHA256: hex.EncodeToString(sum[:]),
	}
	s, err := rows.EachRow(bytes.NewReader(packed.Bytes()), "", func(rows.Row) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	f.Columns = s.Columns
	m.Files = append(m.Files, f)
	if err := a.WriteManifest(t.Context(), "bulk", *m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.Path("bulk", f.Name), packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestStatements writes the statements of a folder that grows.
func TestStatements(t *testing.T) {
	t.Parallel()
	a, err := archive.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &archive.Manifest{BulkID: "b", Request: json.RawMessage(`{"format":"FORMAT_NDJSON"}`)}
	asTable := false
	convert := func(grow bool) {
		t.Helper()
		source := landing.Source{
			Options:  landing.Options{Statements: Statements, Delta: asTable},
			Manifest: func() (archive.Manifest, error) { return a.Manifest("bulk") }, Open: a.Opener("bulk"), Grow: grow,
		}
		if _, err := landing.ConvertFiles(t.Context(), a, "bulk", source, nil); err != nil {
			t.Fatal(err)
		}
	}
	text := func(name string) string {
		raw, _ := os.ReadFile(filepath.Join(a.Path("bulk", "parquet"), Folder, name))
		return string(raw)
	}
	if err := a.WriteManifest(t.Context(), "bulk", *m); err != nil {
		t.Fatal(err)
	}
	convert(true)
	if got := text("redshift-create.sql"); got != "" {
		t.Errorf("statements of nothing: %s", got)
	}
	put(t, a, m, 1, `{"UserId":1}`+"\n")
	// What others put into the folder is not loaded.
	odd := filepath.Join(a.Path("bulk", "parquet"), "day=x'y")
	if err := os.Mkdir(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(odd, "a.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	convert(true)
	got := text("redshift-create.sql")
	if !strings.Contains(got, `"userid" BIGINT`) || !strings.Contains(got, `"bulk"`) ||
		strings.Contains(got, "evt_new_strs") {
		t.Errorf("the first statements are %s", got)
	}
	put(t, a, m, 2, `{"UserId":1,"evt_new_strs":["a"]}`+"\n")
	convert(true)
	if got := text("redshift-create.sql"); !strings.Contains(got, `"evt_new_strs" SUPER`) {
		t.Errorf("the next statements are %s", got)
	}
	older := text("redshift-window-2.sql")
	if !strings.Contains(older, "20261001T000000Z") || strings.Contains(older, "evt_new_strs") {
		t.Errorf("those of files with fewer columns are %q", older)
	}
	convert(false) // all files get all columns
	if left := text("redshift-window-2.sql"); left != "" {
		t.Errorf("statements of files that are gone are left: %s", left)
	}
	asTable = true // its folder has files that have left it, which the statements would load
	convert(false)
	if left := text("duckdb-everything.sql"); left != "" {
		t.Errorf("statements from before it was a Delta table are left: %s", left)
	}
}

// TestTableName makes the name of a table of any name of an export.
func TestTableName(t *testing.T) {
	t.Parallel()
	for export, want := range map[string]string{
		"visits": "visits", "Rage-Clicks 2026": "rage_clicks_2026", "2026": "_2026", "é": "__",
		strings.Repeat("a", 99): strings.Repeat("a", 50), "": "_",
	} {
		if got := TableName(export); got != want || !tableName.MatchString(got) {
			t.Errorf("%q: %q, want %q", export, got, want)
		}
	}
}
