package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// ExportState says how an export stands that was asked of Fullstory.
type ExportState string

// The states of an export.
const (
	ExportPlanned   ExportState = "planned"   // to be created by the process that works for the account
	ExportCreating  ExportState = "creating"  // the intent is written, the request may be on its way
	ExportUncertain ExportState = "uncertain" // one of Candidates may be its operation
	ExportRunning   ExportState = "running"
	ExportCompleted ExportState = "completed"
	ExportFailed    ExportState = "failed"    // at Fullstory, or refused
	ExportLost      ExportState = "lost"      // it was never accepted, or is not needed any more
	ExportCancelled ExportState = "cancelled" // at Fullstory, by this program
)

// Export is one export at Fullstory, from the intent to create it.
type Export struct {
	ID, Account  string
	Bulk         string // "": a single one
	Number       int64  // of its chunk
	Fingerprint  string // of what was asked for
	Request      json.RawMessage
	State        ExportState
	Operation    string          // its id at Fullstory; "": not known
	Candidates   json.RawMessage // of an uncertain one
	SearchExport string          // by which its file is fetched
	AskedAt      time.Time       // by the clock of this machine
	IntentAt     time.Time       // by the clock of the API, as the times below
	LookedAt     time.Time       // when the operations were first searched in vain, by the clock of this machine
	CreatedAt    time.Time
	FinishedAt   time.Time
	ExpiresAt    time.Time
	Error        json.RawMessage // why it failed
	AskedBy      string          // the caller; AddExport fills it in
	Trace        string          // that it was asked for in, a W3C traceparent; "": none
}

const exportColumns = "id, account, bulk, number, fingerprint, request, state, operation, candidates, search_export, asked_at, intent_at, looked_at, created_at, finished_at, expires_at, error, asked_by, trace"

func scanExport(row scanner) (e Export, err error) {
	var request, candidates, failure string
	var asked, intent, looked, created, finished, expires int64
	err = row.Scan(&e.ID, &e.Account, &e.Bulk, &e.Number, &e.Fingerprint, &request, &e.State, &e.Operation, &candidates, &e.SearchExport, &asked, &intent, &looked, &created, &finished, &expires, &failure, &e.AskedBy, &e.Trace)
	e.Request, e.Candidates, e.Error = json.RawMessage(request), json.RawMessage(candidates), json.RawMessage(failure)
	e.AskedAt, e.IntentAt, e.LookedAt = instant(asked), instant(intent), instant(looked)
	e.CreatedAt, e.FinishedAt, e.ExpiresAt = instant(created), instant(finished), instant(expires)
	return e, err
}

// AddExport adds an export, and notes that it was asked for, or that an
// operation serves which is there already.
func (t *Tx) AddExport(e Export) error {
	if e.AskedBy == "" {
		e.AskedBy = caller(t.ctx)
	}
	err := t.exec(ErrMoved, "INSERT INTO exports ("+exportColumns+") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19)",
		e.ID, e.Account, e.Bulk, e.Number, e.Fingerprint, string(e.Request), e.State, e.Operation, string(e.Candidates), e.SearchExport,
		micros(e.AskedAt), micros(e.IntentAt), micros(e.LookedAt), micros(e.CreatedAt), micros(e.FinishedAt), micros(e.ExpiresAt), string(e.Error), e.AskedBy, e.Trace)
	if err != nil {
		return err
	}
	note := Entry{Account: e.Account, Caller: e.AskedBy, Bulk: e.Bulk, Export: e.ID, Operation: e.Operation}
	switch {
	case e.State == ExportPlanned:
		note.Event, note.Request = Asked, e.Request
		return t.Note(note)
	case e.Operation != "" && e.State != ExportCancelled:
		note.Event = Reused
		return t.Note(note)
	}
	return t.noteExport(e)
}

// SaveExport writes what changes of e, if its state is still from, and notes
// what that means. Otherwise it fails with ErrMoved.
func (t *Tx) SaveExport(e Export, from ExportState) error {
	err := t.exec(ErrMoved, `UPDATE exports SET state = $1, operation = $2, candidates = $3, search_export = $4, intent_at = $5, looked_at = $6, created_at = $7, finished_at = $8, expires_at = $9, error = $10
		WHERE id = $11 AND state = $12`,
		e.State, e.Operation, string(e.Candidates), e.SearchExport, micros(e.IntentAt), micros(e.LookedAt), micros(e.CreatedAt), micros(e.FinishedAt), micros(e.ExpiresAt), string(e.Error), e.ID, from)
	if err != nil || e.State == from {
		return err
	}
	return t.noteExport(e)
}

// Export returns the export with that id. It fails with ErrUnknown.
func (l *Ledger) Export(ctx context.Context, id string) (Export, error) {
	return l.oneExport(ctx, "id = $1", id)
}

// ByOperation returns the export of an account that is that operation. It fails
// with ErrUnknown.
func (l *Ledger) ByOperation(ctx context.Context, account, operation string) (Export, error) {
	return l.oneExport(ctx, "account = $1 AND operation = $2 AND operation <> ''", account, operation)
}

// Reusable returns the newest export of an account with that fingerprint that
// runs, or completed and does not expire before good. It fails with ErrUnknown.
func (l *Ledger) Reusable(ctx context.Context, account, fingerprint string, good time.Time) (Export, error) {
	return l.oneExport(ctx, `account = $1 AND fingerprint = $2 AND operation <> '' AND (state = 'running' OR state = 'completed' AND (expires_at > $3 OR expires_at = 0)) ORDER BY created_at DESC LIMIT 1`,
		account, fingerprint, micros(good))
}

func (l *Ledger) oneExport(ctx context.Context, where string, args ...any) (Export, error) {
	e, err := scanExport(l.read.QueryRowContext(ctx, "SELECT "+exportColumns+" FROM exports WHERE "+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return e, ErrUnknown
	}
	return e, l.failed(err)
}

// Exports returns the exports of an account in a state, the first asked for
// first.
func (l *Ledger) Exports(ctx context.Context, account string, state ExportState, limit int) ([]Export, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+exportColumns+" FROM exports WHERE account = $1 AND state = $2 ORDER BY asked_at LIMIT $3", account, state, limit)
	exports, err := all(rows, err, scanExport)
	return exports, l.failed(err)
}

// InFlight counts the exports of an account that are at Fullstory, or may be,
// by their bulk export.
func (l *Ledger) InFlight(ctx context.Context, account string) (map[string]int, error) {
	type group struct {
		bulk string
		n    int
	}
	rows, err := l.read.QueryContext(ctx, "SELECT bulk, count(*) FROM exports WHERE account = $1 AND state IN ('creating', 'uncertain', 'running') GROUP BY bulk", account)
	groups, err := all(rows, err, func(row scanner) (g group, err error) {
		err = row.Scan(&g.bulk, &g.n)
		return g, err
	})
	n := map[string]int{}
	for _, g := range groups {
		n[g.bulk] = g.n
	}
	return n, l.failed(err)
}

// Shared tells whether more than one running export of an account is that
// operation: an identical one was used again.
func (l *Ledger) Shared(ctx context.Context, account, operation string) (shared bool, err error) {
	err = l.read.QueryRowContext(ctx, "SELECT count(*) > 1 FROM exports WHERE account = $1 AND operation = $2 AND state = 'running'", account, operation).Scan(&shared)
	return shared, l.failed(err)
}

// Durations returns how long the last completed exports of an account took at
// Fullstory, newest first.
func (l *Ledger) Durations(ctx context.Context, account string, limit int) ([]time.Duration, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT finished_at - created_at FROM exports WHERE account = $1 AND state = 'completed' AND created_at > 0 AND finished_at > created_at ORDER BY asked_at DESC LIMIT $2", account, limit)
	durations, err := all(rows, err, func(row scanner) (time.Duration, error) {
		var us int64
		err := row.Scan(&us)
		return time.Duration(us) * time.Microsecond, err
	})
	return durations, l.failed(err)
}
