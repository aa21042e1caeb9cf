package ledger

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPathTooLongForWindows opens ledgers whose paths are as long as Windows allows, and longer
// by one.
func TestPathTooLongForWindows(t *testing.T) {
	longest := `C:\` + strings.Repeat("é", 259-len(`C:\`)-len("-journal"))
	if err := checkLength("windows", longest); err != nil {
		t.Errorf("the longest path: %v", err)
	}
	if err := checkLength("linux", longest+"x"); err != nil {
		t.Errorf("on Linux: %v", err)
	}
	err := checkLength("windows", longest+"x")
	if known, ok := errors.AsType[*Error](err); !ok || !strings.Contains(known.Remedy, "--database") ||
		!strings.Contains(known.Message, "251 characters, and this has 252") {
		t.Errorf("a longer path: %v", err)
	}
}

// TestOpenRejects opens files that are not ledgers of this version: the error has the
// cause and the remedy, and the file stays as it was.
func TestOpenRejects(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(t *testing.T, path string)
		says   string
	}{
		"newer": {func(t *testing.T, path string) {
			open(t, path).Close()
			change(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)",
				"PRAGMA wal_checkpoint(TRUNCATE)")
		}, "newer version"},
		"of another program": {func(t *testing.T, path string) {
			change(t, path, "CREATE TABLE bookmarks (url TEXT)")
		}, "another program"},
		"not a database": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
		"damaged": {func(t *testing.T, path string) {
			l := open(t, path)
			day(t, l, "a", 2000)
			l.Close()
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(content[40000:44000], make([]byte, 4000))
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			test.damage(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), path)
			var rejected *Error
			if !errors.As(err, &rejected) || !strings.Contains(rejected.Error(), test.says) || rejected.Remedy == "" {
				t.Errorf("opened with %v, want a message with %q and a remedy", err, test.says)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

// change runs statements on a SQLite file.
func change(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLocked locks the database as another program might: writes report that, and reads
// still work.
func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path)
	bulk := day(t, l, "a", 3)
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := held.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	err = l.Write(t.Context(), func(t *Tx) error { err := t.CancelAttempts(bulk); return err })
	var locked *Error
	if !errors.As(err, &locked) || !locked.Busy || !strings.Contains(locked.Message, "locked by another program") {
		t.Errorf("a write to a locked ledger failed with %v", err)
	}
	if n, err := l.Count(t.Context(), bulk); err != nil || n.All() != 3 {
		t.Errorf("reading is blocked: %+v, %v", n, err)
	}
	if _, err := held.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	write(t, l, func(t *Tx) error { err := t.CancelAttempts(bulk); return err })
}

// TestUnwritable opens a file that cannot be created, and a server that cannot be
// reached. No message has the password.
func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for place, says := range map[string]string{
		filepath.Join(file, "ledger.db"):                                 "cannot be used",
		"postgres://somebody:secret@127.0.0.1:1/exports?password=secret": "cannot be reached",
	} {
		_, err := Open(t.Context(), place)
		var rejected *Error
		if !errors.As(err, &rejected) || !strings.Contains(rejected.Error(), says) ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want a message with %q", place, err, says)
		}
	}
}
