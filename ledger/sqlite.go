package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// busyWait is how long a write waits for another process before it gives up.
	busyWait = 5 * time.Second
	// applicationID marks a SQLite file as a ledger ("FSXL").
	applicationID = 0x4653584c
	// checkedSize is up to which size, in bytes, a file is read through before it
	// is used: that takes about 100 ms.
	checkedSize = 32 << 20
	// readers is how many queries may run at once.
	readers = 4
)

// openSQLite opens the file at path. Intents must outlast a loss of power,
// hence synchronous=FULL; everything else comes along, on the one connection.
func openSQLite(ctx context.Context, path string) (*Ledger, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	l := &Ledger{place: path, holder: processID()}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, l.unusable(err)
	}
	if kind, err := networkMount(filepath.Dir(path)); err == nil && kind != "" {
		return nil, &Error{Message: fmt.Sprintf("The ledger cannot be kept in %s, which is on a network file system (%s): SQLite would damage it there. A person gives --database the path of a file on a local disk, or a postgres:// address; the exported files may stay where they are.", path, kind)}
	}
	// Of several processes that start at once one makes the tables.
	starting := flock.New(path + ".lock")
	if err := starting.Lock(); err != nil {
		return nil, l.unusable(err)
	}
	defer starting.Unlock()
	if err := checkFile(ctx, path); err != nil {
		return nil, l.unusable(err)
	}
	if err := private(path); err != nil {
		return nil, l.unusable(err)
	}
	l.write, err = sql.Open("sqlite", dsn(path, "_txlock=immediate", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)"))
	if err != nil {
		return nil, err
	}
	l.write.SetMaxOpenConns(1)
	if err := l.prepare(ctx); err != nil {
		l.write.Close()
		return nil, l.unusable(err)
	}
	l.read, err = sql.Open("sqlite", dsn(path, "mode=ro", "_pragma=query_only(1)"))
	if err != nil {
		l.write.Close()
		return nil, err
	}
	l.read.SetMaxOpenConns(readers)
	l.leader = l.lockFile
	return l, nil
}

func dsn(path string, options ...string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	text := u.String() + fmt.Sprintf("?_pragma=busy_timeout(%d)", busyWait.Milliseconds())
	for _, o := range options {
		text += "&" + o
	}
	return text
}

// checkFile refuses a file that is not a ledger, without touching it.
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
		return &Error{Message: fmt.Sprintf("%s is a database of another program. A person moves it away or gives --database another path; nothing was changed.", path)}
	}
	if info.Size() > checkedSize {
		return nil
	}
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return &sqliteDamage{found}
	}
	return nil
}

// private makes the file, if it is missing, one that its owner alone can read.
// Those beside it take after it.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

type sqliteDamage struct{ found string }

func (d *sqliteDamage) Error() string { return d.found }

// prepare makes or updates the tables.
func (l *Ledger) prepare(ctx context.Context) error {
	var id int
	if err := l.write.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id != applicationID {
		if _, err := l.write.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id=%d", applicationID)); err != nil {
			return err
		}
	}
	return migrate(ctx, l.write, goose.DialectSQLite3, l.place)
}

// unusable makes an *Error of a failure to open.
func (l *Ledger) unusable(err error) error {
	var known *Error
	var damage *sqliteDamage
	var failed *sqlite.Error
	var path *os.PathError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &path):
		return &Error{Err: err, Message: fmt.Sprintf("The ledger %s cannot be used: %v. A person gives this program write access there, or names another place with --dir or --database.", l.place, path.Err)}
	case errors.As(err, &damage):
	case errors.As(err, &failed) && failed.Code()&0xff == sqlite3.SQLITE_NOTADB, errors.As(err, &failed) && failed.Code()&0xff == sqlite3.SQLITE_CORRUPT:
	default:
		return l.failed(err)
	}
	return &Error{Err: err, Message: fmt.Sprintf("The ledger %s is damaged (%v). A person moves it away, together with the files beside it that begin with its name, and puts back a copy or starts anew; the exported files and their manifests are not touched.", l.place, err)}
}

// failed makes an *Error of what the database says, and leaves errors of others
// as they are.
func (l *Ledger) failed(err error) error {
	var failed *sqlite.Error
	if err == nil || !errors.As(err, &failed) {
		return l.failedPostgres(err)
	}
	e := &Error{Err: err}
	switch failed.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		e.Busy = true
		e.Message = fmt.Sprintf("The ledger %s is locked by another program. A person closes what has it open (a database browser, a backup); then work goes on by itself.", l.place)
	case sqlite3.SQLITE_FULL:
		e.Message = fmt.Sprintf("No space is left for the ledger %s. A person frees some; then work goes on.", l.place)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		e.Message = fmt.Sprintf("The ledger %s cannot be written. A person gives this program write access to its folder, or names another with --dir or --database.", l.place)
	case sqlite3.SQLITE_IOERR:
		e.Message = fmt.Sprintf("The disk of the ledger %s fails (%v). A person looks at the disk and its free space; then work goes on.", l.place, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		e.Message = fmt.Sprintf("The ledger %s is damaged (%v). A person moves it away and puts back a copy or starts anew; the exported files are not touched.", l.place, err)
	case sqlite3.SQLITE_INTERRUPT:
		return context.Canceled
	default:
		return err
	}
	return e
}
