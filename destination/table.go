package destination

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"fullstory-export-mcp/columnar"
)

// loads is the table, in the schema of the tables, that says what was loaded.
const loads = "fullstory_loads"

// LongestName is the most bytes of a name in PostgreSQL.
const LongestName = 63

// table is a table that files are loaded into.
type table struct{ schema, name string }

// parseTable returns the table of a name such as events or web.events. Case matters.
func parseTable(name string) (table, error) {
	schema, rest, qualified := strings.Cut(name, ".")
	if !qualified {
		schema, rest = "", name
	}
	for _, part := range []string{schema, rest} {
		if len(part) > LongestName || strings.ContainsAny(part, ".\x00") || strings.ToValidUTF8(part, "") != part {
			rest = ""
		}
	}
	if rest == "" || qualified && schema == "" || rest == loads {
		return table{}, &Error{
			OtherTable, fmt.Sprintf("%q cannot be the name of the table", name),
			"Name it as events or schema.events, with at most 63 bytes each.",
		}
	}
	return table{schema, rest}, nil
}

// quoted returns the table as SQL.
func (t table) quoted() string { return t.beside(t.name) }

// beside returns another table of the schema as SQL.
func (t table) beside(name string) string {
	return pgx.Identifier{t.schema, name}.Sanitize()
}

// key returns the number of the lock for something about the table.
func (t table) key(what string) int64 {
	sum := sha256.Sum256([]byte("fullstory-export-mcp\x00" + t.schema + "\x00" + what))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// in returns the table in the schema that the connection uses, if its name had none. It fails if
// there is no such schema.
func (t table) in(ctx context.Context, conn *pgx.Conn) (table, error) {
	if t.schema != "" {
		var found bool
		row := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", t.schema)
		if err := row.Scan(&found); err != nil || found {
			return t, err
		}
		return t, &Error{
			OtherTable, fmt.Sprintf("The database has no schema %q for the table %s", t.schema, t.name),
			"Create the schema, or name another table.",
		}
	}
	var schema *string
	err := conn.QueryRow(ctx, "SELECT current_schema()").Scan(&schema)
	if err == nil && schema == nil {
		return t, &Error{
			OtherTable, "The search_path of the role names no schema that exists",
			"Name the table with its schema: schema.events.",
		}
	}
	if err == nil {
		t.schema = *schema
	}
	return t, err
}

// state is what there is of the table.
type state struct {
	exists, records bool              // the table; the one of loads
	types           map[string]string // by column
}

// state reads the catalogs as tables. Functions such as to_regclass have caches that do not see
// what another session did while this one waited for an advisory lock.
func (t table) state(ctx context.Context, q pgx.Tx) (s state, err error) {
	rows, err := q.Query(ctx, `
		SELECT c.relname, coalesce(a.attname, ''), coalesce(format_type(a.atttypid, a.atttypmod), '')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE n.nspname = $1 AND c.relname IN ($2, $3)`, t.schema, t.name, loads)
	if err != nil {
		return s, err
	}
	s.types = map[string]string{}
	var relation, column, kind string
	_, err = pgx.ForEachRow(rows, []any{&relation, &column, &kind}, func() error {
		if s.records = s.records || relation == loads; relation == t.name {
			s.exists = true
			s.types[column] = kind
		}
		return nil
	})
	return s, err
}

// missing returns the definitions of the columns that the table lacks. It fails if one has
// another type.
func (s state) missing(t table, columns []columnar.Column, names []string) (found []string, err error) {
	if s.exists && s.types[WindowColumn] != "text" {
		return nil, &Error{
			OtherTable, fmt.Sprintf("The table %s exists and was not made for exports, since it has no column %s",
				t.name, WindowColumn),
			"Name another table.",
		}
	}
	for i, c := range columns {
		switch have := s.types[names[i]]; have {
		case Type(c):
		case "":
			found = append(found, pgx.Identifier{names[i]}.Sanitize()+" "+Type(c))
		default:
			return nil, &Error{
				OtherTable, fmt.Sprintf("The column %s of the table %s has the type %s, and the Parquet file has %s",
					names[i], t.name, have, Type(c)),
				"Name another table, or drop it to have it made again.",
			}
		}
	}
	return found, nil
}

const (
	// alterWait is how long a change of the table waits for other sessions: as long as it waits,
	// new readers wait behind it.
	alterWait = 2 * time.Second
	// alterTries is how often that is tried, and alterPause the time between.
	alterTries = 30
	alterPause = time.Second
)

// prepare makes the table and adds the columns that it lacks.
func (d *Destination) prepare(ctx context.Context, conn *pgx.Conn, t table, columns []columnar.Column) (err error) {
	names := Names(columns)
	for try := 1; ; try++ {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return t.change(ctx, tx, columns, names) })
		server, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || server.Code != "55P03" || try == alterTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(alterPause):
		}
	}
}

// change makes what is missing of the table, in a transaction. Loads of other processes end
// first, so that they are not waited for with the table locked.
func (t table) change(ctx context.Context, tx pgx.Tx, columns []columnar.Column, names []string) error {
	s, err := t.state(ctx, tx)
	if err != nil {
		return err
	}
	add, err := s.missing(t, columns, names)
	if err != nil || s.exists && s.records && len(add) == 0 {
		return err
	}
	// Always in this order. The table of loads is made once for all tables of a schema.
	for _, key := range []int64{t.key("tables"), t.key("table\x00" + t.name)} {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", key); err != nil {
			return err
		}
	}
	if s, err = t.state(ctx, tx); err != nil {
		return err
	}
	if add, err = s.missing(t, columns, names); err != nil {
		return err
	}
	statements := []string{fmt.Sprintf("SET LOCAL lock_timeout = %d", alterWait.Milliseconds())}
	if !s.records {
		statements = append(statements, fmt.Sprintf(`CREATE TABLE %s (table_name text, window_name text,
			window_start timestamptz, window_end timestamptz, sha256 text NOT NULL, rows bigint NOT NULL,
			loaded_at timestamptz NOT NULL, PRIMARY KEY (table_name, window_name))`, t.beside(loads)))
	}
	switch {
	case !s.exists:
		statements = append(statements,
			fmt.Sprintf("CREATE TABLE %s (%s)", t.quoted(), strings.Join(append([]string{
				WindowColumn + " text NOT NULL"}, add...), ", ")),
			fmt.Sprintf("CREATE INDEX ON %s (%s)", t.quoted(), WindowColumn))
		if s.records { // of a table of that name which was dropped
			statements = append(statements,
				fmt.Sprintf("DELETE FROM %s WHERE table_name = %s", t.beside(loads), literal(t.name)))
		}
	case len(add) > 0:
		statements = append(statements, fmt.Sprintf("ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s", t.quoted(),
			strings.Join(add, ", ADD COLUMN IF NOT EXISTS ")))
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// literal returns a text as SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
