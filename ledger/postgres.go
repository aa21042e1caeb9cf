package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	// connections is the most connections of one process: those of the pool and the
	// one that listens, see member.
	connections = 8
	// idleConnections is how many idle connections the pool keeps, and idleTime how
	// long it keeps each.
	idleConnections = 2
	idleTime        = time.Minute
)

// sessionLimits keep a process that hangs in the middle of a transaction from blocking
// the others with the rows that it has locked.
var sessionLimits = map[string]time.Duration{
	"idle_in_transaction_session_timeout": 4 * time.Second,
	"lock_timeout":                        8 * time.Second,
	"statement_timeout":                   time.Minute,
}

// leastPostgres is the oldest supported version of PostgreSQL, 15, as the server
// reports it.
const leastPostgres = 150000

// openPostgres opens the ledger at an address, whose role needs the rights that are given.
func openPostgres(ctx context.Context, address string, needed []grant) (*Ledger, error) {
	l := &Ledger{place: withoutPassword(address), lock: " FOR UPDATE"}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, &Error{
			Message: "The address of the ledger is not a PostgreSQL address such as postgres://user@host/database.",
			Remedy:  "Correct --database.",
		}
	}
	for name, limit := range sessionLimits {
		config.RuntimeParams[name] = strconv.FormatInt(limit.Milliseconds(), 10)
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(connections - 1)
	db.SetMaxIdleConns(idleConnections)
	db.SetConnMaxIdleTime(idleTime)
	l.write, l.read, l.member = cleanDB{db}, cleanDB{db}, &member{ledger: l, config: config}
	l.lead, l.watching.run = l.member.lead, l.member.run
	if err := l.preparePostgres(ctx, needed); err != nil {
		db.Close()
		return nil, l.wrapOpen(err)
	}
	return l, nil
}

// preparePostgres checks the version of the server, migrates the tables, and checks that
// the role of the address may use them. The role need not own them if there is nothing
// to migrate. One process migrates at a time; the others wait for at most a minute.
func (l *Ledger) preparePostgres(ctx context.Context, needed []grant) error {
	var version int
	err := l.write.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version)
	if err != nil {
		return err
	}
	if version < leastPostgres {
		return &Error{
			Message: fmt.Sprintf("The ledger %s is PostgreSQL %d; 15 or newer is needed.", l.place, version/10000),
			Remedy:  "Update it, or give --database another address.",
		}
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60)) // 60 tries, one a second
	if err != nil {
		return err
	}
	if err := migrate(ctx, l.write.DB, goose.DialectPostgres, l.place, goose.WithSessionLocker(locker)); err != nil {
		return err
	}
	return l.checkGrants(ctx, needed)
}

// withoutPassword returns an address in a form that may be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "postgres://…"
	}
	u.RawQuery = "" // it may have a password as well
	return u.Redacted()
}

// wrapPostgres returns an *Error if the database cannot be used at present, and other
// errors as they are. The message of a network error leaves out the driver's text:
// that has no password, but spells out the connection.
func (l *Ledger) wrapPostgres(err error) error {
	var server *pgconn.PgError
	switch {
	case err == nil || l.lock == "":
		return err
	case errors.As(err, &server) && unavailable(server.Code):
		return &Error{
			Err: err, Busy: true, Message: fmt.Sprintf("The ledger %s is not available (%s).", l.place, server.Message),
			Remedy: "Check the database; work resumes when it is available.",
		}
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
	case connectionFailed(err):
		return &Error{
			Err: err, Busy: true, Message: fmt.Sprintf("The ledger %s cannot be reached.", l.place),
			Remedy: "Check that the database runs and that --database is right (user, password, host, name); " +
				"then work resumes.",
		}
	}
	return err
}

// unavailable reports whether a code of PostgreSQL says that the server cannot serve
// this session at present: classes 53 (insufficient resources) and 57 (operator
// intervention), a transaction that was idle for too long, and a lock that was not
// available.
func unavailable(code string) bool {
	return strings.HasPrefix(code, "53") || strings.HasPrefix(code, "57") || code == "25P03" || code == "55P03"
}

// connectionFailed reports whether an error is that of a connection.
func connectionFailed(err error) bool {
	var network net.Error
	var connecting *pgconn.ConnectError
	return errors.As(err, &connecting) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
