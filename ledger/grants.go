package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// grant is what the role of a server needs of one table.
type grant struct{ table, privileges string }

// serverGrants are all that the role of a server needs in PostgreSQL, besides USAGE of
// the schema. It can add to the audit log, but neither change nor remove its entries.
var serverGrants = []grant{
	{"goose_db_version", "SELECT"},
	{"audit", "SELECT, INSERT"},
	{"audit_chains", "SELECT, INSERT, UPDATE"},
	{"audit_callers", "SELECT, INSERT, UPDATE"},
	{"accounts", "SELECT, INSERT, UPDATE"},
	{"keys", "SELECT, INSERT, UPDATE"},
	{"secrets", "SELECT, INSERT, UPDATE, DELETE"},
	{"quirks", "SELECT, INSERT, UPDATE, DELETE"},
	{"bulks", "SELECT, INSERT, UPDATE"},
	{"attempts", "SELECT, INSERT, UPDATE"},
	{"operations", "SELECT, INSERT, UPDATE"},
	{"files", "SELECT, INSERT, UPDATE"},
	{"conversions", "SELECT, INSERT, UPDATE"},
	{"syncs", "SELECT, INSERT, UPDATE, DELETE"},
	{"sync_windows", "SELECT, INSERT"},
	{"leases", "SELECT, INSERT, UPDATE, DELETE"},
	{"processes", "SELECT, INSERT, UPDATE, DELETE"},
	{"sessions", "SELECT, INSERT, UPDATE, DELETE"},
}

// auditGrants are all that is needed to read and verify the audit log.
var auditGrants = []grant{
	{"goose_db_version", "SELECT"}, {"audit", "SELECT"}, {"audit_chains", "SELECT"}, {"audit_callers", "SELECT"},
}

// GrantStatements returns the statements that give a role what a server needs in a
// schema, and take away everything else that it may have been given on the tables.
func GrantStatements(schema, role string) []string {
	schema, role = pgx.Identifier{schema}.Sanitize(), pgx.Identifier{role}.Sanitize()
	statements := []string{fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", schema, role)}
	for _, g := range serverGrants {
		table := schema + "." + pgx.Identifier{g.table}.Sanitize()
		statements = append(statements,
			fmt.Sprintf("REVOKE ALL ON %s FROM %s", table, role),
			fmt.Sprintf("GRANT %s ON %s TO %s", g.privileges, table, role))
	}
	return statements
}

// maxRole bounds the name of a role, in bytes. PostgreSQL cuts longer ones.
const maxRole = 63

// Grant gives a role what a server needs, with GrantStatements, and returns those. It
// must be called with the role that owns the tables. It fails, and grants nothing, if
// the role could change entries of the audit log nevertheless.
func (l *Ledger) Grant(ctx context.Context, role string) ([]string, error) {
	if l.lock == "" {
		return nil, &Error{
			Message: fmt.Sprintf("The ledger %s is a SQLite file, which has no roles.", l.place),
			Remedy:  "Give --database a postgres:// address.",
		}
	}
	if name := cleanText(role, maxRole); name != role || role == "" {
		return nil, &Error{
			Message: fmt.Sprintf("%q is not the name of a role.", name),
			Remedy:  fmt.Sprintf("Give one of at most %d bytes.", maxRole),
		}
	}
	var statements []string
	err := l.Write(ctx, func(t *Tx) error {
		var schema string
		if err := t.tx.QueryRowContext(ctx, "SELECT current_schema()").Scan(&schema); err != nil {
			return err
		}
		statements = GrantStatements(schema, role)
		for _, s := range statements {
			if _, err := t.tx.ExecContext(ctx, s); err != nil {
				return l.grantError(role, err)
			}
		}
		var may bool
		err := t.tx.QueryRowContext(ctx, `SELECT has_table_privilege($1, c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
			OR pg_has_role($1, c.relowner, 'MEMBER') FROM pg_class c WHERE c.oid = 'audit'::regclass`, role).Scan(&may)
		if err == nil && may {
			err = &Error{
				Message: fmt.Sprintf("The role %q may change the audit log: it is a superuser, or owns the tables, "+
					"or is a member of a role that does. Nothing was granted.", role),
				Remedy: "Name a role of the server's own, such as one that CREATE ROLE exports_server LOGIN creates.",
			}
		}
		return err
	})
	return statements, err
}

// grantError returns the error for a GRANT that failed.
func (l *Ledger) grantError(role string, err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return err
	}
	e := &Error{Err: err, Message: fmt.Sprintf("The role %q cannot be given rights (%s).", role, server.Message)}
	switch server.Code {
	case "42704": // undefined_object
		e.Remedy = "Create it first: CREATE ROLE " + pgx.Identifier{role}.Sanitize() + " LOGIN."
	default:
		e.Remedy = "Give --database the address of the role that owns the tables."
	}
	return e
}

// deniedDDL returns the error for a migration that the role of this process may not
// run; another error as it is. at is the present version of the tables, -1 if unknown.
func deniedDDL(err error, place string, at, newest int64) error {
	var server *pgconn.PgError
	// insufficient_privilege; without a right on the schema: undefined_table, invalid_schema_name
	if !errors.As(err, &server) || !slices.Contains([]string{"42501", "42P01", "3F000"}, server.Code) {
		return err
	}
	have := fmt.Sprintf("has tables of version %d", at)
	switch {
	case at < 0:
		have = "has tables that the role of this address may not read"
	case at == 0:
		have = "has no tables"
	}
	return &Error{
		Err: err,
		Message: fmt.Sprintf("The ledger %s %s, this program needs version %d, "+
			"and the role of this address may not change them (%s).", place, have, newest, server.Message),
		Remedy: "Run `fullstory-export-mcp migrate --grant-to ROLE` with the address of the role that owns the tables in " +
			"--database, where ROLE is the role of this address; then start again.",
	}
}

// checkGrants fails if the role of this process lacks one of the rights that are needed.
func (l *Ledger) checkGrants(ctx context.Context, needed []grant) error {
	var pairs, tables []string
	for _, g := range needed {
		for privilege := range strings.SplitSeq(g.privileges, ", ") {
			pairs, tables = append(pairs, privilege), append(tables, g.table)
		}
	}
	rows, err := l.read.QueryContext(ctx, `SELECT privilege || ' ON ' || name
		FROM unnest($1::text[], $2::text[]) AS needed (privilege, name)
		WHERE to_regclass(name) IS NULL OR NOT has_table_privilege(to_regclass(name), privilege)`, pairs, tables)
	missing, err := all(rows, err, func(row scanner) (text string, err error) {
		err = row.Scan(&text)
		return text, err
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	slices.Sort(missing)
	return &Error{
		Message: fmt.Sprintf("The role of the ledger %s lacks rights: %s.", l.place, strings.Join(missing, ", ")),
		Remedy: "Run `fullstory-export-mcp migrate --grant-to ROLE` with the address of the role that owns the tables in " +
			"--database, where ROLE is the role of this address.",
	}
}
