// Package destination loads Parquet files into a table of PostgreSQL and keeps it up to date.
//
// The rows of a window are those of its file or of an earlier version of it, whole: they are
// replaced in one transaction, together with the entry in the table fullstory_loads, which
// says what was loaded. A window whose exported file has not changed is not loaded again.
package destination

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// connectTimeout is how long a connection may take if the address does not say.
	connectTimeout = 15 * time.Second
	// leastVersion is the oldest version of PostgreSQL, as the server reports it. It is the
	// first that compares the names of columns in COPY.
	leastVersion = 150000
)

// Destination is a database. It has one connection, which it opens again if it was lost.
// Calls may be concurrent; they take turns.
type Destination struct {
	config *pgx.ConnConfig
	place  string // for messages: without password
	turn   sync.Mutex
	conn   *pgx.Conn // nil: not connected
}

// Open connects to the database of an address such as postgres://user@host/database. It
// fails with an *Error, whose text has no password. Close must be called.
func Open(ctx context.Context, address string) (*Destination, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil { // its text may have the password
		return nil, &Error{
			Kind: BadAddress, What: "The address of the destination is not one of PostgreSQL",
			Next: "Write it as postgres://user@host/database.",
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// Poolers that share connections between transactions know no prepared statements.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.RuntimeParams["application_name"] = "fullstory-export-mcp"
	d := &Destination{config: config, place: placeOf(config)}
	err = d.use(ctx, func(conn *pgx.Conn) error {
		var version int
		row := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int")
		if err := row.Scan(&version); err != nil || version >= leastVersion {
			return err
		}
		return &Error{
			Kind: Unsuitable, What: fmt.Sprintf("%s is PostgreSQL %d, and 15 or newer is needed", d.place, version/10000),
			Next: "Update it, or choose another database.",
		}
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// placeOf returns the user, host and name of a database, as an address without password.
func placeOf(c *pgx.ConnConfig) string {
	return fmt.Sprintf("postgres://%s@%s/%s", c.User, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), c.Database)
}

// String returns the address without its password.
func (d *Destination) String() string { return d.place }

// Close closes the connection.
func (d *Destination) Close() {
	d.turn.Lock()
	defer d.turn.Unlock()
	d.disconnect()
}

func (d *Destination) disconnect() {
	if d.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = d.conn.Close(ctx) // the server rolls back what was under way
	d.conn = nil
}

// use calls do with the connection. It explains errors. A connection that has failed is
// closed, so that the next call opens another.
func (d *Destination) use(ctx context.Context, do func(*pgx.Conn) error) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	if d.conn != nil && d.conn.IsClosed() {
		d.conn = nil
	}
	if d.conn == nil {
		conn, err := pgx.ConnectConfig(ctx, d.config)
		if err != nil {
			return d.explain(ctx, err)
		}
		d.conn = conn
	}
	err := do(d.conn)
	if err != nil {
		d.disconnect()
	}
	return d.explain(ctx, err)
}

// useTable calls do with the connection and the table of a name.
func (d *Destination) useTable(ctx context.Context, name string, do func(*pgx.Conn, table) error) error {
	t, err := parseTable(name)
	if err != nil {
		return err
	}
	return d.use(ctx, func(conn *pgx.Conn) error {
		if t, err = t.in(ctx, conn); err != nil {
			return err
		}
		return do(conn, t)
	})
}
