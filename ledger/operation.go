package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Outcome is how an operation ended, as far as the ledger knows.
type Outcome string

// The outcomes. The empty one means that it runs.
const (
	OperationCompleted Outcome = "completed"
	OperationFailed    Outcome = "failed"
	OperationCancelled Outcome = "cancelled" // this program cancelled it, or gave up the attempt to
	OperationLost      Outcome = "lost"      // Fullstory does not know it, or its file could not be fetched
)

// Operation is a fact about Fullstory: an operation that this program created or was
// asked to fetch, with the chunk for which it was.
type Operation struct {
	Account, ID  string
	Bulk         string
	Number       int64  // of its chunk
	Fingerprint  string // of the request
	SearchExport string
	CreatedAt    time.Time // these three by Fullstory's clock
	FinishedAt   time.Time
	ExpiresAt    time.Time
	Outcome      Outcome
	Cancels      int       // tries to cancel it as an orphan
	CancelAt     time.Time // when the next try is due, by the clock of the leaseholder
}

const operationColumns = "account, id, bulk, number, fingerprint, search_export, created_at, finished_at, " +
	"expires_at, outcome, cancels, cancel_at"

func scanOperation(row scanner) (o Operation, err error) {
	var created, finished, expires, cancel int64
	err = row.Scan(&o.Account, &o.ID, &o.Bulk, &o.Number, &o.Fingerprint, &o.SearchExport, &created, &finished,
		&expires, &o.Outcome, &o.Cancels, &cancel)
	o.CreatedAt, o.FinishedAt = instant(created), instant(finished)
	o.ExpiresAt, o.CancelAt = instant(expires), instant(cancel)
	return o, err
}

// PutOperation adds an operation, or updates the facts of one that the ledger has. The
// chunk and the fingerprint stay as they were added first. A cancelled operation that
// has failed stays cancelled: Fullstory has no other state for it.
func (t *Tx) PutOperation(o Operation) error {
	facts := []any{
		operation(o.SearchExport), micros(o.CreatedAt), micros(o.FinishedAt), micros(o.ExpiresAt),
		o.Outcome, o.Cancels, micros(o.CancelAt), o.Account, operation(o.ID),
	}
	err := t.exec(ErrNotFound, `UPDATE operations SET
		search_export = $1, created_at = $2, finished_at = $3, expires_at = $4,
		outcome = CASE WHEN outcome = 'cancelled' AND $5 = 'failed' THEN outcome ELSE $5 END,
		cancels = $6, cancel_at = $7 WHERE account = $8 AND id = $9`, facts...)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	_, err = t.tx.ExecContext(t.ctx, `INSERT INTO operations (search_export, created_at, finished_at, expires_at,
		outcome, cancels, cancel_at, account, id, bulk, number, fingerprint)
		VALUES `+placeholders(0, 12)+" ON CONFLICT DO NOTHING",
		append(facts, o.Bulk, o.Number, o.Fingerprint)...)
	return err
}

// MarkCancelled records that this program has cancelled an operation. It returns
// ErrNotFound if the ledger does not have it.
func (t *Tx) MarkCancelled(account, id string) error {
	return t.exec(ErrNotFound, "UPDATE operations SET outcome = $1 WHERE account = $2 AND id = $3",
		OperationCancelled, account, operation(id))
}

// Reuse lets an attempt wait for an operation that Reusable has returned. It locks the operation until
// the transaction ends, so that ClaimCancel sees the attempt. It returns ErrConflict if this program
// tries to cancel the operation.
func (t *Tx) Reuse(account, id string) error {
	return t.exec(ErrConflict, "UPDATE operations SET cancels = 0 WHERE account = $1 AND id = $2 AND cancels = 0",
		account, operation(id))
}

// ClaimCancel counts a try to cancel an orphan, after which the next one is due at next. It returns
// ErrConflict if an attempt waits for the operation, or another try was counted meanwhile: then no
// cancellation may be sent. The operation is locked first, as Reuse does: of both, the one that comes
// second sees what the first has written.
func (t *Tx) ClaimCancel(o Operation, next time.Time) error {
	err := t.exec(ErrConflict, `UPDATE operations SET cancels = cancels + 1, cancel_at = $1
		WHERE account = $2 AND id = $3 AND cancels = $4 AND outcome = ''`,
		micros(next), o.Account, operation(o.ID), o.Cancels)
	if err != nil {
		return err
	}
	var waits bool
	err = t.tx.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM attempts a WHERE a.account = $1 AND a.operation = $2
		AND `+waitsFor+")", o.Account, operation(o.ID)).Scan(&waits)
	if err == nil && waits {
		err = ErrConflict
	}
	return err
}

// waitsFor selects attempts a that wait for their operation.
const waitsFor = "a.state IN ('running', 'ready', 'downloading')"

// Operation returns an operation of an account by its id. It returns ErrNotFound if
// the ledger does not have it.
func (l *Ledger) Operation(ctx context.Context, account, id string) (Operation, error) {
	return l.oneOperation(ctx, "account = $1 AND id = $2", account, operation(id))
}

// Reusable returns the newest operation of an account with a fingerprint that runs, or
// that completed and whose file does not expire before until. It leaves out
// operations that this program has tried to cancel. It returns ErrNotFound if there
// is none.
func (l *Ledger) Reusable(ctx context.Context, account, fingerprint string, until time.Time) (Operation, error) {
	return l.oneOperation(ctx, `account = $1 AND fingerprint = $2 AND fingerprint <> '' AND cancels = 0
		AND (outcome = '' OR outcome = 'completed' AND (expires_at > $3 OR expires_at = 0))
		ORDER BY created_at DESC LIMIT 1`, account, fingerprint, micros(until))
}

func (l *Ledger) oneOperation(ctx context.Context, where string, args ...any) (Operation, error) {
	o, err := scanOperation(l.read.QueryRowContext(l.uninterrupted(ctx),
		"SELECT "+operationColumns+" FROM operations WHERE "+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return o, ErrNotFound
	}
	return o, l.wrap(err)
}

// Orphans returns operations of an account that may still run at Fullstory, that no
// chunk waits for, and that are due to be cancelled.
func (l *Ledger) Orphans(ctx context.Context, account string, now time.Time, limit int) ([]Operation, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+operationColumns+` FROM operations o
		WHERE account = $1 AND outcome = '' AND (cancel_at <= $2 OR cancel_at > $3)
		AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.account = o.account AND a.operation = o.id
			AND `+waitsFor+`)
		ORDER BY cancel_at LIMIT $4`,
		account, micros(now), micros(now.Add(mostAhead)), limit)
	orphans, err := all(rows, err, scanOperation)
	return orphans, l.wrap(err)
}

// Durations returns how long the last completed exports of an account took at
// Fullstory, newest first.
func (l *Ledger) Durations(ctx context.Context, account string, limit int) ([]time.Duration, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT finished_at - created_at FROM operations
		WHERE account = $1 AND outcome = 'completed' AND created_at > 0 AND finished_at > created_at
		ORDER BY created_at DESC LIMIT $2`, account, limit)
	durations, err := all(rows, err, func(row scanner) (time.Duration, error) {
		var us int64
		err := row.Scan(&us)
		return time.Duration(us) * time.Microsecond, err
	})
	return durations, l.wrap(err)
}
