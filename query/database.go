package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// source name of a database in memory: a text in double quotes is a name, the schema cannot be
// written, and it cannot call functions with effects. What SQLite puts into temporary storage
// goes to files, whose size is limited.
const dataSource = ":memory:?_dqs=0&_defensive=1&_pragma=trusted_schema(0)&_pragma=temp_store(1)"

// connector opens databases by a driver that nothing else uses.
type connector struct{ driver *sqlite.Driver }

// Connect implements driver.Connector.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(dataSource) }

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }

// database is a connection on which only SELECT over a table is possible.
type database struct {
	db         *sql.DB
	conn       *sql.Conn
	authorizer *authorizer
}

// openDatabase opens a database with one table and locks it. The order matters: each step
// is impossible after those that follow.
func openDatabase(ctx context.Context, t *table) (*database, error) {
	d := &sqlite.Driver{}
	err := errors.Join(d.RegisterModule(tableName, t), d.RegisterCollationUtf8(timeCollation, compareTimes))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector{d})
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	opened := &database{db: db, conn: conn}
	if err := opened.lock(ctx); err != nil {
		opened.close()
		return nil, err
	}
	return opened, nil
}

func (d *database) close() { _ = errors.Join(d.conn.Close(), d.db.Close()) } // it was only read

// lock makes the table, and forbids everything but reading it.
func (d *database) lock(ctx context.Context) error {
	if _, err := d.conn.ExecContext(ctx, "CREATE VIRTUAL TABLE "+tableName+" USING "+tableName); err != nil {
		return err
	}
	modules, err := d.modules(ctx)
	if err != nil {
		return err
	}
	for limit, value := range limits() {
		if _, err := sqlite.Limit(d.conn, limit, value); err != nil {
			return err
		}
	}
	if _, err := d.conn.ExecContext(ctx, "PRAGMA query_only(1)"); err != nil {
		return err
	}
	d.authorizer = newAuthorizer(modules)
	return d.conn.Raw(func(c any) error {
		registerer, ok := c.(sqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the driver has no authorizer")
		}
		return registerer.RegisterAuthorizer(d.authorizer.allow)
	})
}

// modules returns the names of all modules of virtual tables but that of the table.
func (d *database) modules(ctx context.Context) (names []string, err error) {
	rows, err := d.conn.QueryContext(ctx, "SELECT name FROM pragma_module_list WHERE name <> ?", tableName)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// mostText is the longest text or blob in SQL, in bytes.
const mostText = 8 << 20

// limits are the limits of SQLite.
func limits() map[int]int {
	return map[int]int{
		sqlite3.SQLITE_LIMIT_LENGTH:              mostText,
		sqlite3.SQLITE_LIMIT_SQL_LENGTH:          mostSQL,
		sqlite3.SQLITE_LIMIT_COLUMN:              256,
		sqlite3.SQLITE_LIMIT_EXPR_DEPTH:          100,
		sqlite3.SQLITE_LIMIT_COMPOUND_SELECT:     20,
		sqlite3.SQLITE_LIMIT_VDBE_OP:             20_000,
		sqlite3.SQLITE_LIMIT_FUNCTION_ARG:        32,
		sqlite3.SQLITE_LIMIT_ATTACHED:            0,
		sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
		sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER:     32,
		sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH:       1,
		sqlite3.SQLITE_LIMIT_WORKER_THREADS:      0,
	}
}
