package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"modernc.org/sqlite"
)

// mostCached is how many prepared statements a connection keeps.
const mostCached = 100

// openStatements opens a SQLite database whose connections cache prepared statements
// by their text, so that SQLite parses and plans each only once. Callers use the
// database like any other. For PostgreSQL, pgx does the same.
func openStatements(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(cachingConnector{c}), nil
}

// uninterrupted returns the context for a statement that reads one row by an index. On
// SQLite the driver starts a goroutine that interrupts the statement when ctx ends,
// which takes longer than the statement itself, so it gets a context without an end.
func (l *Ledger) uninterrupted(ctx context.Context) context.Context {
	if l.lock == "" {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// cachingConnector opens connections that cache their statements.
type cachingConnector struct{ driver.Connector }

func (k cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &cachingConn{sqliteConn: c.(sqliteConn), cache: map[string]sqliteStatement{}}, nil
}

// sqliteConn and sqliteStatement are the methods of package sqlite's connections and
// statements.
type (
	sqliteConn interface {
		driver.Conn
		driver.ConnBeginTx
		driver.ConnPrepareContext
		driver.Pinger
		driver.SessionResetter
		driver.Validator
	}
	sqliteStatement interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
)

// cachingConn is a connection that caches its statements. Package sql calls the
// methods of a connection and of its rows one at a time, so it needs no lock.
type cachingConn struct {
	sqliteConn
	cache map[string]sqliteStatement // text to a statement that is not in use
}

// take removes a statement from the cache, or prepares it, so that no one else uses it
// until give.
func (c *cachingConn) take(ctx context.Context, query string) (sqliteStatement, error) {
	if s, ok := c.cache[query]; ok {
		delete(c.cache, query)
		return s, nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.(sqliteStatement), nil
}

// give puts a statement that was taken into the cache, and closes any other one if the
// cache is full.
func (c *cachingConn) give(query string, s sqliteStatement) {
	if _, twice := c.cache[query]; twice { // the same text was run while its rows were read
		s.Close()
		return
	}
	for text, old := range c.cache {
		if len(c.cache) < mostCached {
			break
		}
		delete(c.cache, text)
		old.Close()
	}
	c.cache[query] = s
}

// ExecContext runs a statement that returns no rows.
func (c *cachingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	if err != nil {
		s.Close() // its state after a failure is not known
		return nil, err
	}
	c.give(query, s)
	return result, nil
}

// QueryContext runs a statement that returns rows.
func (c *cachingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.WithoutCancel(ctx), args)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &cachedRows{Rows: rows, conn: c, query: query, statement: s}, nil
}

// Close ends the connection and its statements.
func (c *cachingConn) Close() error {
	for _, s := range c.cache {
		s.Close()
	}
	clear(c.cache)
	return c.sqliteConn.Close()
}

// cachedRows are rows whose Close gives their statement back to the cache.
type cachedRows struct {
	driver.Rows
	conn      *cachingConn
	query     string
	statement sqliteStatement
}

// Close ends the reading. A second call does nothing.
func (r *cachedRows) Close() error {
	if r.statement == nil {
		return nil
	}
	s := r.statement
	r.statement = nil
	if err := r.Rows.Close(); err != nil {
		s.Close()
		return err
	}
	r.conn.give(r.query, s)
	return nil
}
