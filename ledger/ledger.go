// Package ledger records which exports were requested and what became of them:
// bulk exports and their chunks, every operation at Fullstory, the verified
// files, and the limits that an account has shown. It is the truth after a
// crash: whatever is not in it did not happen.
//
// A ledger is a SQLite file, shared by the processes of one machine, or a
// PostgreSQL database, shared by those of several. Both have the same tables.
// Instants are stored as microseconds since 1970 UTC; 0 means "not yet".
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
	"sync"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Ledger is an open ledger. It is safe for concurrent use, in several
// processes.
type Ledger struct {
	// CallerOf returns the name of the caller of a context, for the audit log; ""
	// without one. Set it before the ledger is used; nil names nobody.
	CallerOf func(context.Context) string

	place string  // to show to people: the path of the file, or the address without its password
	write cleanDB // on SQLite a single connection, which waits for writers in other processes
	read  cleanDB // on SQLite never blocked by a writer
	lock  string  // suffix of a SELECT whose rows are changed next: " FOR UPDATE" on PostgreSQL, "" on SQLite

	signals    signals
	watching   background // receives what other processes announce
	lead       func(ctx context.Context, account string, work func(*Lease))
	member     *member  // this process among those that share the ledger; nil on SQLite
	leadErrors sync.Map // on SQLite: account to the error that keeps its lock from being taken
}

// Error says that the ledger cannot be used. Message says why; Remedy says, in the
// imperative, what its operator does about it. Both are sentences.
type Error struct {
	Message, Remedy string
	Err             error // of the database or the operating system; may be nil
	Busy            bool  // temporary: a repeat may succeed without a change; Remedy is for when it does not
}

func (e *Error) Error() string { return e.Message + " " + e.Remedy }
func (e *Error) Unwrap() error { return e.Err }

// Open opens the ledger at place: a postgres:// address, or the path of a SQLite
// file, which it creates if missing. It migrates the tables of an earlier version.
// A database that it rejects, with an *Error, is left unchanged.
func Open(ctx context.Context, place string) (*Ledger, error) {
	if isPostgres(place) {
		return openPostgres(ctx, place, serverGrants)
	}
	return openSQLite(ctx, place)
}

// OpenAudit opens a ledger as Open does, to read its audit log. In PostgreSQL the role
// needs no right but to read four tables, see auditGrants.
func OpenAudit(ctx context.Context, place string) (*Ledger, error) {
	if isPostgres(place) {
		return openPostgres(ctx, place, auditGrants)
	}
	return openSQLite(ctx, place)
}

func isPostgres(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// Place returns where the ledger is, to show to people.
func (l *Ledger) Place() string { return l.place }

// Close closes the ledger. All calls of Lead must have returned.
func (l *Ledger) Close() error {
	l.watching.end()
	return errors.Join(l.read.Close(), l.write.Close())
}

// migrate applies the migrations that db lacks. It rejects a ledger that a newer
// version of the program has migrated, because its tables are unknown here.
func migrate(
	ctx context.Context, db *sql.DB, dialect goose.Dialect, place string, options ...goose.ProviderOption,
) error {
	provider, err := migrator(db, dialect, options...)
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	at, err := provider.GetDBVersion(ctx)
	switch {
	case err != nil:
		return deniedDDL(err, place, at, newest)
	case at > newest:
		return &Error{
			Message: fmt.Sprintf("The ledger %s was written by a newer version of this program "+
				"(schema %d, this version knows %d).", place, at, newest),
			Remedy: "Update this program; nothing was changed.",
		}
	case at == newest:
		return nil
	}
	_, err = provider.Up(ctx)
	return deniedDDL(err, place, at, newest)
}

// migrator returns what applies the migrations to db.
func migrator(db *sql.DB, dialect goose.Dialect, options ...goose.ProviderOption) (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	options = append(options, goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(protectAudit(dialect), joinAttempts(dialect), chainAudit(dialect)))
	return goose.NewProvider(dialect, db, folder, options...)
}

// Write runs change in one transaction. If change fails, nothing is written and
// Write returns that error. Topics that change announced are signalled after the
// commit. change must use its Tx only: on SQLite the transaction has the one
// connection that writes, so a write through the Ledger would wait for itself.
func (l *Ledger) Write(ctx context.Context, change func(*Tx) error) error {
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return l.wrap(err)
	}
	t := &Tx{ctx: ctx, tx: cleanTx{tx}, lock: l.lock}
	if l.CallerOf != nil {
		t.caller = l.CallerOf(ctx)
	}
	err = change(t)
	if err == nil {
		err = t.writeEntries()
	}
	if err != nil {
		tx.Rollback()
		return l.wrap(err)
	}
	if err := tx.Commit(); err != nil {
		return l.wrap(err)
	}
	for _, topic := range t.announced {
		l.signals.send(topic)
	}
	return nil
}

// Tx is one transaction of Write. It must not be used after Write has returned, or
// by several goroutines at once.
type Tx struct {
	ctx       context.Context
	tx        cleanTx
	lock      string   // as in Ledger
	caller    string   // name of the caller; "": unknown
	announced []string // topics to signal after the commit; on SQLite only
	entries   []Entry  // of the audit log, to write before the commit
}

// exec runs a statement that must change exactly one row. It returns the error
// none if it changed another number of rows.
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

// ErrConflict says that the row was changed concurrently, by another process or by
// a cancellation. Nothing was written.
var ErrConflict = errors.New("row was changed concurrently")

// ErrNotFound says that the account has no such row.
var ErrNotFound = errors.New("not found")

// NewID returns a random id: the prefix, which names the kind of thing, "_" and 80
// random bits.
func NewID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:16]) }

// processID returns a new name for this process that no other process has, on any
// machine.
func processID() string { return fmt.Sprintf("process-%d-%s", os.Getpid(), NewID("x")) }

// micros returns an instant as it is stored.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant is the inverse of micros.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// flag returns a bool as it is stored: SQLite has no type for it.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// scanner is a row of a result: a *sql.Row or the current row of *sql.Rows.
type scanner interface{ Scan(...any) error }

// one returns the row of a QueryRow, and ErrNotFound if there is none.
func one[T any](row scanner, scan func(scanner) (T, error)) (T, error) {
	found, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return found, err
}

// all returns every row of a result and closes it. It takes both results of
// QueryContext, and returns its error.
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
