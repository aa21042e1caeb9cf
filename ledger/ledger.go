// Package ledger keeps what was asked of Fullstory and what became of it:
// bulk exports and their chunks, every export at Fullstory, the files that came
// of them, and what was learnt about the pace that an account bears. It is the
// truth after a crash: whatever is not in it did not happen.
//
// It is kept in SQLite, in one file for the processes of one machine, or in
// PostgreSQL for those of several. Both hold the same tables.
package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Ledger is an open ledger. It is safe for concurrent use, in several
// processes.
type Ledger struct {
	place  string  // for people: the path of the file, or the address without its password
	write  *sql.DB // on SQLite one connection, which waits for those of other processes
	read   *sql.DB // on SQLite never held up by writing
	lock   string  // ends SELECTs of rows about to be changed
	leader func(ctx context.Context, account string) (*Lead, error)
	holder string // this process, among those that use the ledger
}

// Error is a ledger that cannot be used. Message is a sentence that says why
// and who does what about it.
type Error struct {
	Message string
	Err     error
	Busy    bool // another program has locked it: it may be free in a moment
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// Open opens the ledger at the place that is named: a postgres:// address, or
// the path of a SQLite file, which is made if missing. It fails with an *Error,
// and then nothing was changed.
func Open(ctx context.Context, place string) (*Ledger, error) {
	if strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://") {
		return openPostgres(ctx, place)
	}
	return openSQLite(ctx, place)
}

// Place returns where the ledger is, for a person to read.
func (l *Ledger) Place() string { return l.place }

// Close ends the use of the ledger.
func (l *Ledger) Close() error { return errors.Join(l.read.Close(), l.write.Close()) }

// migrate brings the tables of db to the present form. A ledger of a newer
// program is refused.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, place string, options ...goose.ProviderOption) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db, folder, append(options, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(keepAudit(dialect)))...)
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	switch at, err := provider.GetDBVersion(ctx); {
	case err != nil:
		return err
	case at > newest:
		return &Error{Message: fmt.Sprintf("The ledger %s was written by a newer version of this program (form %d, this one knows %d). A person updates the program; nothing was changed.", place, at, newest)}
	case at == newest:
		return nil
	}
	_, err = provider.Up(ctx)
	return err
}

// Write carries out change in one transaction. When change fails nothing is
// written. Inside change the ledger itself must not be used.
func (l *Ledger) Write(ctx context.Context, change func(*Tx) error) error {
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return l.failed(err)
	}
	if err := change(&Tx{ctx: ctx, tx: tx, lock: l.lock}); err != nil {
		tx.Rollback()
		return l.failed(err)
	}
	return l.failed(tx.Commit())
}

// Tx is one transaction.
type Tx struct {
	ctx  context.Context
	tx   *sql.Tx
	lock string
}

// exec runs a statement that has to change exactly one row; otherwise it fails
// with none.
func (t *Tx) exec(none error, statement string, args ...any) error {
	result, err := t.tx.ExecContext(t.ctx, statement, args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		return none
	}
	return err
}

// ErrMoved says that a row was not in the state that a change starts from:
// somebody else was faster, or the work was cancelled. Nothing was changed.
var ErrMoved = errors.New("it is in another state by now")

// ErrUnknown says that there is no such row of this account.
var ErrUnknown = errors.New("not known")

// NewID returns a random id with a prefix that says of what.
func NewID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:16]) }

// processID names this process among those that use a ledger, also those of
// other machines.
func processID() string { return fmt.Sprintf("process-%d-%s", os.Getpid(), NewID("x")) }

// micros and instant are how instants are kept.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// scanner is a row of an answer.
type scanner interface{ Scan(...any) error }

// all reads every row of an answer.
func all[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}
