package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

// protection are the statements after which the database rejects every change or
// removal of an entry, by any program.
var protection = map[goose.Dialect][]string{
	goose.DialectSQLite3: {
		`CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
			BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
		`CREATE TRIGGER audit_kept BEFORE DELETE ON audit
			BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
	},
	goose.DialectPostgres: {
		`CREATE OR REPLACE FUNCTION audit_only_added() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$`,
		`CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
			FOR EACH STATEMENT EXECUTE FUNCTION audit_only_added()`,
	},
}

// suspension undoes protection.
var suspension = map[goose.Dialect][]string{
	goose.DialectSQLite3:  {`DROP TRIGGER IF EXISTS audit_unchanged`, `DROP TRIGGER IF EXISTS audit_kept`},
	goose.DialectPostgres: {`DROP TRIGGER IF EXISTS audit_kept ON audit`},
}

// chaining are the statements after which the database keeps audit_chains, and rejects
// an entry that is not the next one of its chain.
var chaining = map[goose.Dialect][]string{
	goose.DialectSQLite3: {
		`CREATE UNIQUE INDEX audit_by_number ON audit (account, number)`,
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

// protectAudit is the migration that protects the entries.
func protectAudit(dialect goose.Dialect) *goose.Migration {
	return goose.NewGoMigration(4, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		return runAll(ctx, tx, protection[dialect])
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

// chainAudit is the migration that makes chains of the entries that exist, in the order
// of their instants. It says nothing about changes that were made before it.
func chainAudit(dialect goose.Dialect) *goose.Migration {
	return goose.NewGoMigration(11, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if err := runAll(ctx, tx, suspension[dialect]); err != nil {
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
		return runAll(ctx, tx, slices.Concat(protection[dialect], chaining[dialect]))
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
