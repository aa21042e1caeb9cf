package ledger

import (
	"database/sql"
	flags "flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
)

var update = flags.Bool("update", false, "write fresh.sql from the migrations")

// TestFresh compares a new ledger with a file to which all migrations were applied one
// after another: both have the same tables, indexes and triggers, and record the same
// migrations.
func TestFresh(t *testing.T) {
	migrated := openFile(t, filepath.Join(t.TempDir(), "migrated.db"))
	provider, err := migrator(migrated, goose.DialectSQLite3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := dump(t, migrated)
	if *update {
		if err := os.WriteFile("fresh.sql", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile("fresh.sql")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(written)); diff != "" {
		t.Errorf("the migrations make other tables than fresh.sql (go test ./ledger -run Fresh -update):\n%s", diff)
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	open(t, path).Close()
	opened := openFile(t, path)
	if diff := cmp.Diff(want, dump(t, opened)); diff != "" && !*update {
		t.Errorf("a new ledger differs from one that was migrated:\n%s", diff)
	}
	var id int
	if err := opened.QueryRow("PRAGMA application_id").Scan(&id); err != nil || id != applicationID {
		t.Errorf("a new ledger has the application id %#x, %v", id, err)
	}
}

func openFile(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// dump returns the statements that make the tables, indexes and triggers of db, and
// its record of migrations. No other table may have rows.
func dump(t *testing.T, db *sql.DB) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("-- All tables of a ledger in SQLite. Written by: go test ./ledger -run Fresh -update\n\n")
	for _, kind := range []string{"table", "index", "trigger"} {
		rows, err := db.Query("SELECT name, sql FROM sqlite_master WHERE type = $1 AND name NOT LIKE 'sqlite_%' "+
			"AND sql <> '' ORDER BY name", kind)
		made, err := all(rows, err, func(row scanner) (x [2]string, err error) { return x, row.Scan(&x[0], &x[1]) })
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range made {
			fmt.Fprintf(&text, "%s;\n", x[1])
			if kind == "table" && x[0] != "goose_db_version" {
				empty(t, db, x[0])
			}
		}
	}
	rows, err := db.Query("SELECT version_id FROM goose_db_version WHERE is_applied ORDER BY id")
	versions, err := all(rows, err, func(row scanner) (v int, err error) { return v, row.Scan(&v) })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(versions) {
		t.Errorf("the migrations were applied in the order %v", versions)
	}
	for _, v := range versions {
		fmt.Fprintf(&text, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, 1);\n", v)
	}
	return text.String()
}

// empty fails if a table has rows.
func empty(t *testing.T, db *sql.DB, table string) {
	t.Helper()
	var rows int
	if err := db.QueryRow(`SELECT count(*) FROM "` + table + `"`).Scan(&rows); err != nil || rows > 0 {
		t.Errorf("the migrations leave %d rows in %s, %v; add them to dump", rows, table, err)
	}
}
