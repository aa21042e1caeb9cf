package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// numbers returns a SQLite database with one connection and a table n of 1 to 9.
func numbers(t *testing.T, options ...string) *sql.DB {
	t.Helper()
	db, err := openStatements(dsn(filepath.Join(t.TempDir(), "n.db"), options...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	const tables = "CREATE TABLE n (v INTEGER NOT NULL UNIQUE); CREATE TABLE other (v TEXT)"
	if _, err := db.ExecContext(t.Context(), tables); err != nil {
		t.Fatal(err)
	}
	for v := 1; v <= 9; v++ {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO n (v) VALUES ($1)", v); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// cached returns the texts of the statements that the connection of db caches.
func cached(t *testing.T, db *sql.DB) (texts []string) {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Raw(func(driverConn any) error {
		for text := range driverConn.(*cachingConn).cache {
			texts = append(texts, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestStatementsAreKept(t *testing.T) {
	db := numbers(t)
	const query = "SELECT v FROM n WHERE v > $1 ORDER BY v"
	for range 3 {
		rows, err := db.QueryContext(t.Context(), query, 7)
		found, err := all(rows, err, func(row scanner) (v int, err error) { return v, row.Scan(&v) })
		if err != nil || fmt.Sprint(found) != "[8 9]" {
			t.Fatalf("found %v, %v", found, err)
		}
	}
	if n := strings.Count(strings.Join(cached(t, db), "\n"), query); n != 1 {
		t.Errorf("the query is cached %d times", n)
	}
	for i := range 3 * mostCached { // texts that run once
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("UPDATE n SET v = v WHERE v = %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(cached(t, db)); n != mostCached {
		t.Errorf("%d statements are cached, want %d", n, mostCached)
	}
}

// TestStatementWithinItself runs a query while rows of the same query are read, on one
// connection.
func TestStatementWithinItself(t *testing.T) {
	db := numbers(t)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	const query = "SELECT v FROM n WHERE v > $1 ORDER BY v"
	outer, err := tx.QueryContext(t.Context(), query, 6)
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	var got []string
	for outer.Next() {
		var v, first int
		if err := outer.Scan(&v); err != nil {
			t.Fatal(err)
		}
		err := tx.QueryRowContext(t.Context(), query, v).Scan(&first)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d<%d", v, first))
	}
	if want := "[7<8 8<9 9<0]"; fmt.Sprint(got) != want || outer.Err() != nil {
		t.Errorf("got %v, %v; want %s", got, outer.Err(), want)
	}
}

// TestStatementAfterFailures runs statements again after they failed in several ways.
func TestStatementAfterFailures(t *testing.T) {
	db := numbers(t)
	const insert, query = "INSERT INTO n (v) VALUES ($1)", "SELECT v FROM n WHERE v = $1"
	if _, err := db.ExecContext(t.Context(), insert, 3); err == nil {
		t.Error("3 was inserted twice")
	}
	if _, err := db.ExecContext(t.Context(), insert, 10); err != nil {
		t.Errorf("after a failure: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := db.QueryRowContext(ended, query, 3).Scan(new(int)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := db.QueryRowContext(t.Context(), query, 3).Scan(new(string), new(int)); err == nil {
		t.Error("two columns were read of one")
	}
	var v int
	if err := db.QueryRowContext(t.Context(), query, 10).Scan(&v); err != nil || v != 10 {
		t.Errorf("read %d, %v", v, err)
	}
	// The table that a cached statement reads is changed.
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE n ADD COLUMN w TEXT NOT NULL DEFAULT 'new'"); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), query, 9).Scan(&v); err != nil || v != 9 {
		t.Errorf("after the table was changed: read %d, %v", v, err)
	}
}

// TestStatementsConcurrently reads and writes by several connections at once.
func TestStatementsConcurrently(t *testing.T) {
	db := numbers(t, "_pragma=journal_mode(WAL)")
	db.SetMaxOpenConns(4)
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for j := range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				if j%5 == 0 {
					go cancel() // at any point of the query
				}
				var v int
				err := db.QueryRowContext(ctx, "SELECT v FROM n WHERE v = $1", i+1).Scan(&v)
				cancel()
				if err != nil && !errors.Is(err, context.Canceled) || err == nil && v != i+1 {
					t.Errorf("caller %d read %d, %v", i, v, err)
				}
			}
		})
	}
	callers.Wait()
}
