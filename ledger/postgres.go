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

// connections is the most connections of one process.
const connections = 8

// sessionLimits keep a process that is stopped in the midst of a transaction
// from holding up the others with the rows that it has locked.
var sessionLimits = map[string]time.Duration{
	"idle_in_transaction_session_timeout": 4 * time.Second,
	"lock_timeout":                        8 * time.Second,
	"statement_timeout":                   time.Minute,
}

// leastPostgres is the oldest PostgreSQL that is supported (15).
const leastPostgres = 150000

func openPostgres(ctx context.Context, address string) (*Ledger, error) {
	l := &Ledger{place: withoutPassword(address), lock: " FOR UPDATE", holder: processID()}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, &Error{Message: "The address of the ledger is not a PostgreSQL address such as postgres://user@host/database. A person corrects --database."}
	}
	for name, limit := range sessionLimits {
		config.RuntimeParams[name] = strconv.FormatInt(limit.Milliseconds(), 10)
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	l.write, l.read, l.leader = db, db, l.leaseRow
	if err := l.preparePostgres(ctx); err != nil {
		db.Close()
		return nil, l.unusable(err)
	}
	return l, nil
}

func (l *Ledger) preparePostgres(ctx context.Context) error {
	var version int
	if err := l.write.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version < leastPostgres {
		return &Error{Message: fmt.Sprintf("The ledger %s is PostgreSQL %d; 15 or newer is needed. A person updates it or gives --database another address.", l.place, version/10000)}
	}
	one, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60)) // looks each second
	if err != nil {
		return err
	}
	return migrate(ctx, l.write, goose.DialectPostgres, l.place, goose.WithSessionLocker(one))
}

// withoutPassword is an address that may be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "postgres://…"
	}
	u.RawQuery = "" // may hold one, too
	return u.Redacted()
}

// failedPostgres makes an *Error of what the database says. An error of the
// network holds no password, but is not shown whole all the same: the driver's
// text spells out the connection.
func (l *Ledger) failedPostgres(err error) error {
	var network net.Error
	var said *pgconn.PgError
	switch {
	case err == nil || l.lock == "":
		return err
	case errors.As(err, &said) && (strings.HasPrefix(said.Code, "53") || strings.HasPrefix(said.Code, "57") || said.Code == "25P03" || said.Code == "55P03"):
		return &Error{Err: err, Busy: true, Message: fmt.Sprintf("The ledger %s is not available (%s). Work goes on by itself when it is; if that lasts, a person looks at the database.", l.place, said.Message)}
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &network), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return &Error{Err: err, Busy: true, Message: fmt.Sprintf("The ledger %s cannot be reached. A person checks that the database runs and that --database is right (user, password, host, name); then work goes on by itself.", l.place)}
	}
	return err
}
