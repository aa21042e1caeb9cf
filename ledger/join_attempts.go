package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
)

// joinStatements turn the tables chunks and exports into attempts, one row for each
// chunk with its present export, and operations, one row for each fact about
// Fullstory. They run on SQLite and PostgreSQL. They name columns as they were at
// this migration: later ones rename some.
var joinStatements = []string{
	`ALTER TABLE chunks RENAME TO attempts`,
	`ALTER TABLE attempts RENAME COLUMN attempts TO creates`,
	`ALTER TABLE attempts RENAME COLUMN error TO reason`,
	`ALTER TABLE attempts ADD COLUMN account TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE attempts ADD COLUMN operation TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE attempts ADD COLUMN search_export TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE attempts ADD COLUMN candidates TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE attempts ADD COLUMN intent_at BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN finished_at BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN tries BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN failing_since BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN damaged BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN searched_at BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN watched_since BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE attempts ADD COLUMN damage TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE attempts ADD COLUMN failure TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE bulks ADD COLUMN single BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE bulks ADD COLUMN wanted BIGINT NOT NULL DEFAULT 1`,
	`ALTER TABLE bulks ADD COLUMN key_hash TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE bulks ADD COLUMN rejections BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE bulks ADD COLUMN next_at BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE bulks ADD COLUMN manifest_due BIGINT NOT NULL DEFAULT 0`,
	`UPDATE attempts SET account = (SELECT account FROM bulks WHERE id = bulk)`,
	`UPDATE attempts SET operation = x.operation, search_export = x.search_export, candidates = x.candidates,
		intent_at = x.intent_at, created_at = x.created_at, finished_at = x.finished_at, expires_at = x.expires_at,
		searched_at = x.looked_at, watched_since = x.asked_at,
		state = CASE WHEN x.state = 'uncertain' AND attempts.state = 'running' THEN 'uncertain' ELSE attempts.state END
		FROM exports x WHERE x.id = attempts.export AND attempts.export <> ''`,
	// A candidate that a search found is a fact only if its file has proved it.
	`CREATE TABLE operations (
		account TEXT NOT NULL, id TEXT NOT NULL, bulk TEXT NOT NULL, number BIGINT NOT NULL,
		fingerprint TEXT NOT NULL, search_export TEXT NOT NULL,
		created_at BIGINT NOT NULL, finished_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
		outcome TEXT NOT NULL, cancels BIGINT NOT NULL, cancel_at BIGINT NOT NULL)`,
	`INSERT INTO operations SELECT x.account, x.operation, CASE WHEN x.bulk = '' THEN x.id ELSE x.bulk END,
		x.number, x.fingerprint, x.search_export, x.created_at, x.finished_at, x.expires_at,
		CASE WHEN x.state = 'running' THEN '' ELSE x.state END, 0, 0
		FROM exports x WHERE x.operation <> '' AND x.state <> 'uncertain'
		AND (x.candidates IN ('', 'null') OR x.state = 'lost' OR EXISTS (SELECT 1 FROM attempts a
			WHERE a.bulk = x.bulk AND a.number = x.number AND a.export = x.id AND a.state = 'stored'))
		AND NOT EXISTS (SELECT 1 FROM exports y WHERE y.account = x.account AND y.operation = x.operation
			AND (y.asked_at < x.asked_at OR y.asked_at = x.asked_at AND y.id < x.id))`,
	`CREATE INDEX operations_running ON operations (account, cancel_at) WHERE outcome = ''`,
	`CREATE INDEX operations_by_fingerprint ON operations (account, fingerprint, created_at)`,
	`CREATE INDEX operations_by_time ON operations (account, created_at)`,
	`CREATE INDEX attempts_at_work ON attempts (account, state, next_at)
		WHERE state IN ('creating', 'uncertain', 'running', 'ready', 'downloading')`,
	`DROP INDEX chunks_by_time`,
	`CREATE INDEX attempts_by_time ON attempts (bulk, stored_at) WHERE stored_at > 0`,
	`CREATE INDEX attempts_waiting ON attempts (account, state, next_at) WHERE next_at > 0`,
	`ALTER TABLE attempts DROP COLUMN export`,
}

// operationIndexes index the ids of operations. An id of maxOperation bytes and an
// account are too long for an entry of a B-tree of PostgreSQL, hence the hashes.
var operationIndexes = map[goose.Dialect][]string{
	goose.DialectSQLite3: {
		`CREATE UNIQUE INDEX operations_by_id ON operations (account, id)`,
		`CREATE INDEX attempts_by_operation ON attempts (operation) WHERE operation <> ''`,
	},
	goose.DialectPostgres: {
		`CREATE UNIQUE INDEX operations_once ON operations (account, md5(id))`,
		`CREATE INDEX operations_by_id ON operations USING hash (id)`,
		`CREATE INDEX attempts_by_operation ON attempts USING hash (operation) WHERE operation <> ''`,
	},
}

// joinAttempts is the migration to one table of attempts. A single export becomes a
// bulk export of one chunk.
func joinAttempts(dialect goose.Dialect) *goose.Migration {
	return goose.NewGoMigration(7, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		for _, s := range append(slices.Clone(joinStatements), operationIndexes[dialect]...) {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		if err := joinSingles(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DROP TABLE exports")
		return err
	}}, nil)
}

// single is a row of the former table of exports that belongs to no bulk export.
type single struct {
	id, account, fingerprint, request, state, operation, search, failure, by, trace string
	asked, intent, created, finished, expires                                       int64
}

func scanSingle(row scanner) (x single, err error) {
	err = row.Scan(&x.id, &x.account, &x.fingerprint, &x.request, &x.state, &x.operation, &x.search, &x.failure,
		&x.by, &x.trace, &x.asked, &x.intent, &x.created, &x.finished, &x.expires)
	return x, err
}

// joinSingles adds a bulk export and an attempt for each single export. It writes with
// the transaction of the migration, before the table of exports is dropped.
func joinSingles(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, account, fingerprint, request, state, operation, search_export,
		error, asked_by, trace, asked_at, intent_at, created_at, finished_at, expires_at FROM exports WHERE bulk = ''`)
	singles, err := all(rows, err, scanSingle)
	if err != nil {
		return err
	}
	for _, x := range singles {
		if err := joinSingle(ctx, tx, x); err != nil {
			return err
		}
	}
	return nil
}

func joinSingle(ctx context.Context, tx *sql.Tx, x single) error {
	chunk, bulk := x.states()
	var r struct {
		Range struct{ Start, End string } `json:"time_range"`
	}
	if err := json.Unmarshal([]byte(x.request), &r); err != nil {
		r.Range.Start, r.Range.End = "", ""
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO bulks (id, account, name, fingerprint, request, chunk, max_in_flight,
		settle, now_given, state, reason, created_at, finished_at, changed_at, asked_by, trace, single, wanted)
		VALUES ($1,$2,$1,$3,$4,'',0,0,0,$5,'',$6,0,$6,$7,$8,1,0)`,
		x.id, x.account, x.fingerprint, x.request, bulk, x.asked, x.by, x.trace)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO attempts (bulk, number, account, start_at, end_at, state, creates, next_at,
		reason, row_count, byte_count, stored_at, provisional, operation, search_export,
		intent_at, created_at, finished_at, expires_at, watched_since, failure)
		VALUES ($1,0,$2,$3,$4,$5,1,0,'',0,0,0,0,$6,$7,$8,$9,$10,$11,$12,$13)`,
		x.id, x.account, microsOf(r.Range.Start), microsOf(r.Range.End), chunk, x.operation, x.search,
		x.intent, x.created, x.finished, x.expires, x.asked, x.failure)
	return err
}

// states returns the states of the chunk and the bulk export that x becomes. An
// uncertain one is searched for anew.
func (x single) states() (ChunkState, BulkState) {
	switch x.state {
	case "planned":
		return ChunkPlanned, BulkRunning
	case "creating", "uncertain":
		return ChunkCreating, BulkRunning
	case "running":
		return ChunkRunning, BulkRunning
	case "completed":
		return ChunkCompleted, BulkComplete
	case "cancelled":
		return ChunkCancelled, BulkCancelled
	}
	return ChunkFailed, BulkFailed // failed or lost
}

// microsOf returns an instant in RFC 3339 as it is stored; 0 if text is not one, as
// in a request whose range is open.
func microsOf(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0
	}
	return micros(t)
}
