package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"
)

// protectAudit is the migration after which the database rejects every change or
// removal of an entry, whichever program attempts it.
func protectAudit(dialect goose.Dialect) *goose.Migration {
	statements := []string{
		`CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
			BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
		`CREATE TRIGGER audit_kept BEFORE DELETE ON audit
			BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
	}
	if dialect == goose.DialectPostgres {
		statements = []string{
			`CREATE FUNCTION audit_only_added() RETURNS trigger LANGUAGE plpgsql AS
				$$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$`,
			`CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
				FOR EACH STATEMENT EXECUTE FUNCTION audit_only_added()`,
		}
	}
	return goose.NewGoMigration(4, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		return runAll(ctx, tx, statements)
	}}, nil)
}

// runAll runs statements in a migration.
func runAll(ctx context.Context, tx *sql.Tx, statements []string) error {
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// The entries that exist are hashed between these statements: the first let them be
// changed, and the last make the database reject that again, keep audit_chains, and
// reject an entry that is not the next one.
var (
	chainBegins = map[goose.Dialect][]string{
		goose.DialectSQLite3:  {`DROP TRIGGER audit_unchanged`},
		goose.DialectPostgres: {`ALTER TABLE audit DISABLE TRIGGER audit_kept`},
	}
	chainEnds = map[goose.Dialect][]string{
		goose.DialectSQLite3: {
			`CREATE UNIQUE INDEX audit_by_number ON audit (account, number)`,
			`CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
				BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
			`CREATE TRIGGER audit_chained AFTER INSERT ON audit
				BEGIN
					SELECT RAISE(ABORT, 'the entry is not the next one of its chain') WHERE NOT EXISTS (
						SELECT 1 FROM audit_chains
						WHERE account = NEW.account AND number = NEW.number - 1 AND hash = NEW.previous);
					UPDATE audit_chains SET number = NEW.number, hash = NEW.hash WHERE account = NEW.account;
				END`,
		},
		goose.DialectPostgres: {
			`CREATE UNIQUE INDEX audit_by_number ON audit (account, number)`,
			`ALTER TABLE audit ENABLE TRIGGER audit_kept`,
			`CREATE FUNCTION audit_chained() RETURNS trigger LANGUAGE plpgsql AS
				$$ BEGIN
					UPDATE audit_chains SET number = NEW.number, hash = NEW.hash
						WHERE account = NEW.account AND number = NEW.number - 1 AND hash = NEW.previous;
					IF NOT FOUND THEN
						RAISE EXCEPTION 'the entry is not the next one of its chain';
					END IF;
					RETURN NULL;
				END $$`,
			`CREATE TRIGGER audit_chained AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_chained()`,
		},
	}
)

// chainAudit is the migration that makes chains of the entries that exist, in the order
// of their instants. It says nothing about changes that were made before it.
func chainAudit(dialect goose.Dialect) *goose.Migration {
	return goose.NewGoMigration(11, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if err := runAll(ctx, tx, chainBegins[dialect]); err != nil {
			return err
		}
		chains := map[string]chain{}
		for last := (Entry{}); ; {
			rows, err := tx.QueryContext(ctx, "SELECT "+auditColumns+` FROM audit
				WHERE (at, id) > ($1, $2) ORDER BY at, id LIMIT $3`, micros(last.At), last.ID, hashBatch)
			entries, err := all(rows, err, scanEntry)
			if err != nil {
				return err
			}
			if len(entries) == 0 {
				break
			}
			if err := hashEntries(ctx, tx, entries, chains); err != nil {
				return err
			}
			last = entries[len(entries)-1]
		}
		for account, c := range chains {
			_, err := tx.ExecContext(ctx, "INSERT INTO audit_chains (account, number, hash) VALUES ($1, $2, $3)",
				account, c.number, c.hash)
			if err != nil {
				return err
			}
		}
		return runAll(ctx, tx, chainEnds[dialect])
	}}, nil)
}

// hashBatch is how many entries one statement of the migration updates.
const hashBatch = 50

// hashEntries adds entries to their chains, in order. Both databases call the columns of
// VALUES column1 and so on.
func hashEntries(ctx context.Context, tx *sql.Tx, entries []Entry, chains map[string]chain) error {
	values := make([]string, len(entries))
	var args []any
	for i, e := range entries {
		e, chains[e.Account] = chains[e.Account].next(e)
		n := len(args)
		values[i] = fmt.Sprintf("(CAST($%d AS TEXT), CAST($%d AS BIGINT), CAST($%d AS TEXT), CAST($%d AS TEXT))",
			n+1, n+2, n+3, n+4)
		args = append(args, e.ID, e.Number, e.Previous, e.Hash)
	}
	_, err := tx.ExecContext(ctx, `UPDATE audit SET number = v.column2, previous = v.column3, hash = v.column4
		FROM (VALUES `+strings.Join(values, ",")+`) AS v WHERE audit.id = v.column1`, args...)
	return err
}
