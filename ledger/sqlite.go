package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"
	"unicode/utf16"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"fullstory-export-mcp/local"
)

const (
	// busyWait is how long a write waits for another process before it gives up.
	busyWait = 5 * time.Second
	// applicationID marks a SQLite file as a ledger ("FSXL").
	applicationID = 0x4653584c
	// checkedSize is the size in bytes up to which Open checks the whole file for
	// damage, which takes about 100 ms at that size.
	checkedSize = 32 << 20
	// readers is how many queries may run at once.
	readers = 4
)

// openSQLite opens the file at path. Intents must outlast a loss of power, hence
// synchronous=FULL for the one connection that writes.
func openSQLite(ctx context.Context, path string) (*Ledger, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := checkLength(runtime.GOOS, path); err != nil {
		return nil, err
	}
	l := &Ledger{place: path}
	if err := local.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, l.wrapOpen(err)
	}
	if kind, err := networkMount(filepath.Dir(path)); err == nil && kind != "" {
		return nil, &Error{
			Message: fmt.Sprintf("The ledger cannot be kept in %s, which is on a network file system (%s): "+
				"SQLite would damage it there.", path, kind),
			Remedy: "Give --database the path of a file on a local disk, or a postgres:// address; the exported files may " +
				"stay where they are.",
		}
	}
	if err := checkPlace(path); err != nil {
		return nil, l.wrapOpen(err)
	}
	// Of several processes that start at once, one creates or migrates the tables.
	if err := createPrivate(path + ".lock"); err != nil {
		return nil, l.wrapOpen(err)
	}
	starting := flock.New(path + ".lock")
	if _, err := starting.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, l.wrapOpen(err)
	}
	defer starting.Unlock()
	if err := checkFile(ctx, path); err != nil {
		return nil, l.wrapOpen(err)
	}
	if err := createPrivate(path); err != nil {
		return nil, l.wrapOpen(err)
	}
	l.write.DB, err = openStatements(dsn(path,
		"_txlock=immediate", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)",
		"_pragma=secure_delete(fast)")) // a password that is removed is gone
	if err != nil {
		return nil, err
	}
	l.write.SetMaxOpenConns(1)
	if err := l.prepare(ctx); err != nil {
		l.write.Close()
		return nil, l.wrapOpen(err)
	}
	l.read.DB, err = openStatements(dsn(path, "mode=ro", "_pragma=query_only(1)"))
	if err != nil {
		l.write.Close()
		return nil, err
	}
	l.read.SetMaxOpenConns(readers)
	l.read.SetMaxIdleConns(readers)
	l.lead, l.watching.run = l.leadByFile, l.pollChanges
	return l, nil
}

// windowsPath is how many UTF-16 characters Windows allows in a path that has no \\?\ in
// front. Go adds that to long paths, and SQLite does not.
const windowsPath = 259

// checkLength returns an *Error if SQLite cannot open path, or a file beside it, on a system
// because the path is too long.
func checkLength(system, path string) error {
	most := windowsPath - len("-journal")
	if n := len(utf16.Encode([]rune(path))); system == "windows" && n > most {
		return &Error{
			Message: fmt.Sprintf("The ledger cannot be kept at %s: on Windows its path can have %d characters, and this has %d.",
				path, most, n),
			Remedy: "Give --database a shorter path; the exported files may stay where they are.",
		}
	}
	return nil
}

// dsn returns the address of a SQLite file for the driver, with options in its syntax.
func dsn(path string, options ...string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	text := u.String() + fmt.Sprintf("?_pragma=busy_timeout(%d)", busyWait.Milliseconds())
	for _, o := range options {
		text += "&" + o
	}
	return text
}

// checkPlace fails if every user of this machine could replace or change the ledger at
// path, or a file that SQLite keeps beside it, and if one of them is no regular file.
func checkPlace(path string) error {
	if err := local.CheckPlace(filepath.Dir(path)); err != nil {
		return err
	}
	for _, suffix := range []string{"", ".lock", "-wal", "-shm", "-journal"} {
		if err := local.CheckFile(path + suffix); err != nil {
			return err
		}
	}
	return nil
}

// checkFile rejects a file that is not an intact ledger, without a change to it. A file
// that is missing or empty passes.
func checkFile(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, "mode=ro", "_pragma=query_only(1)"))
	if err != nil {
		return err
	}
	defer db.Close()
	var id, tables int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return err
	}
	if id != applicationID && tables > 0 {
		return &Error{
			Message: fmt.Sprintf("%s is a database of another program.", path),
			Remedy:  "Move it away or give --database another path; nothing was changed.",
		}
	}
	if info.Size() > checkedSize {
		return nil
	}
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return &damageError{found}
	}
	return nil
}

// createPrivate creates the file, unless it exists, so that only its owner can read it.
// SQLite gives the files beside it the same permissions.
func createPrivate(path string) error {
	f, err := local.Create(path, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// damageError is the first problem that the check of a SQLite file found.
type damageError struct{ found string }

func (d *damageError) Error() string { return d.found }

// prepare makes an empty file a ledger, and migrates the tables of an earlier version.
// checkFile has accepted the file.
func (l *Ledger) prepare(ctx context.Context) error {
	var tables int
	if err := l.write.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return err
	}
	if tables == 0 {
		if err := l.create(ctx); err != nil {
			return err
		}
	}
	return migrate(ctx, l.write.DB, goose.DialectSQLite3, l.place)
}

// wrapOpen returns the error of Open for a failure to open: an *Error if the cause is
// known.
func (l *Ledger) wrapOpen(err error) error {
	var known *Error
	var damage *damageError
	var path *os.PathError
	var open *local.OpenError
	switch code := sqliteCode(err); {
	case errors.As(err, &known):
		return known
	case errors.As(err, &open):
		return &Error{
			Err: err, Message: fmt.Sprintf("The ledger %s cannot be used: %v.", l.place, open),
			Remedy: "Then start this program again, or name another place with --dir or --database.",
		}
	case errors.As(err, &path):
		return &Error{
			Err: err, Message: fmt.Sprintf("The ledger %s cannot be used: %v.", l.place, path.Err),
			Remedy: "Give this program write access there, or name another place with --dir or --database.",
		}
	case errors.As(err, &damage), code == sqlite3.SQLITE_NOTADB, code == sqlite3.SQLITE_CORRUPT:
		return &Error{
			Err: err, Message: fmt.Sprintf("The ledger %s is damaged (%v).", l.place, err),
			Remedy: "Move it away, together with the files beside it that begin with its name, and restore a copy or " +
				"start with a new one; the exported files and their manifests are not affected.",
		}
	}
	return l.wrap(err)
}

// sqliteCode returns the primary result code of an error of SQLite; 0 if err is another
// error.
func sqliteCode(err error) int {
	if failed, ok := errors.AsType[*sqlite.Error](err); ok {
		return failed.Code() & 0xff
	}
	return sqlite3.SQLITE_OK
}

// wrap returns an *Error if err says that the database cannot be used, and other
// errors, such as those of the caller's function, as they are.
func (l *Ledger) wrap(err error) error {
	e := &Error{Err: err}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_OK:
		return l.wrapPostgres(err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		e.Busy = true
		e.Message = fmt.Sprintf("The ledger %s is locked by another program.", l.place)
		e.Remedy = "Close the program that has it open (a database browser, a backup); then work resumes."
	case sqlite3.SQLITE_FULL:
		e.Message = fmt.Sprintf("No space is left for the ledger %s.", l.place)
		e.Remedy = "Free some space there; then work resumes."
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		e.Message = fmt.Sprintf("The ledger %s cannot be written.", l.place)
		e.Remedy = "Give this program write access to its folder, or name another with --dir or --database."
	case sqlite3.SQLITE_IOERR:
		e.Message = fmt.Sprintf("The disk of the ledger %s fails (%v).", l.place, err)
		e.Remedy = "Check the disk and its free space; then work resumes."
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		e.Message = fmt.Sprintf("The ledger %s is damaged (%v).", l.place, err)
		e.Remedy = "Move it away and restore a copy or start with a new one; the exported files are not affected."
	case sqlite3.SQLITE_INTERRUPT:
		return context.Canceled
	default:
		return err
	}
	return e
}
