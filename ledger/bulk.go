package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// BulkState says how a bulk export stands.
type BulkState string

// The states of a bulk export. Only a running one is worked on.
const (
	BulkRunning   BulkState = "running"
	BulkPaused    BulkState = "paused"
	BulkComplete  BulkState = "complete"
	BulkPartial   BulkState = "partial" // ended, and some chunks failed
	BulkFailed    BulkState = "failed"  // ended, and every chunk failed
	BulkCancelled BulkState = "cancelled"
)

// Ended tells whether nothing more happens by itself.
func (s BulkState) Ended() bool { return s != BulkRunning && s != BulkPaused }

// Bulk is one bulk export: a request for many windows.
type Bulk struct {
	ID, Account string
	Name        string          // of its folder, one of a kind in the account
	Fingerprint string          // of what was asked for
	Request     json.RawMessage // as resolved, for the whole range
	Chunk       string          // how the range was cut, such as day
	MaxInFlight int             // exports at Fullstory at once; 0: as many as it bears
	Settle      bool            // chunks exported too early are exported again
	NowGiven    bool            // the caller chose the instant at which relative dates are pinned
	State       BulkState
	Reason      string // why it is paused, a sentence
	CreatedAt   time.Time
	FinishedAt  time.Time // zero until it has ended
	AskedBy     string    // the caller; AddBulk fills it in
	Trace       string    // that it was asked for in, a W3C traceparent; "": none
}

const bulkColumns = "id, account, name, fingerprint, request, chunk, max_in_flight, settle, now_given, state, reason, created_at, finished_at, asked_by, trace"

func scanBulk(row scanner) (b Bulk, err error) {
	var request string
	var settle, given, created, finished int64
	err = row.Scan(&b.ID, &b.Account, &b.Name, &b.Fingerprint, &request, &b.Chunk, &b.MaxInFlight, &settle, &given, &b.State, &b.Reason, &created, &finished, &b.AskedBy, &b.Trace)
	b.Request, b.Settle, b.NowGiven, b.CreatedAt, b.FinishedAt = json.RawMessage(request), settle != 0, given != 0, instant(created), instant(finished)
	return b, err
}

// AddBulk adds a bulk export. It fails with ErrMoved when the account has one
// of that name.
func (t *Tx) AddBulk(b Bulk) error {
	if b.AskedBy == "" {
		b.AskedBy = caller(t.ctx)
	}
	err := t.exec(ErrMoved, "INSERT INTO bulks ("+bulkColumns+", changed_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16) ON CONFLICT DO NOTHING",
		b.ID, b.Account, b.Name, b.Fingerprint, string(b.Request), b.Chunk, b.MaxInFlight, flag(b.Settle), flag(b.NowGiven), b.State, b.Reason, micros(b.CreatedAt), micros(b.FinishedAt), b.AskedBy, b.Trace, micros(time.Now()))
	if err != nil {
		return err
	}
	return t.Note(Entry{Account: b.Account, Caller: b.AskedBy, Event: Asked, Bulk: b.ID, Request: b.Request, Detail: because("in chunks: " + b.Chunk)})
}

// MoveBulk changes the state of a bulk export from one to another. It fails
// with ErrMoved when it is not in the first. finished is zero unless it ends.
func (t *Tx) MoveBulk(id string, from, to BulkState, reason string, finished time.Time) error {
	err := t.exec(ErrMoved, "UPDATE bulks SET state = $1, reason = $2, finished_at = $3, changed_at = $4 WHERE id = $5 AND state = $6",
		to, reason, micros(finished), micros(time.Now()), id, from)
	if err != nil {
		return err
	}
	return t.noteTurn(id, to, reason)
}

// PauseBulk pauses a running bulk export for a reason that was met by something
// that began at began. It fails with ErrMoved when it does not run, or was set
// running only after that: the reason may be gone.
func (t *Tx) PauseBulk(id, reason string, began time.Time) error {
	err := t.exec(ErrMoved, "UPDATE bulks SET state = $1, reason = $2, changed_at = $3 WHERE id = $4 AND state = $5 AND changed_at <= $6",
		BulkPaused, reason, micros(time.Now()), id, BulkRunning, micros(began))
	if err != nil {
		return err
	}
	return t.noteTurn(id, BulkPaused, reason)
}

// Bulk returns the bulk export of the account with that id or name. It fails
// with ErrUnknown.
func (l *Ledger) Bulk(ctx context.Context, account, idOrName string) (Bulk, error) {
	row := l.read.QueryRowContext(ctx, "SELECT "+bulkColumns+" FROM bulks WHERE account = $1 AND (id = $2 OR name = $2)", account, idOrName)
	b, err := scanBulk(row)
	if errors.Is(err, sql.ErrNoRows) {
		return b, ErrUnknown
	}
	return b, l.failed(err)
}

// Bulks returns the bulk exports of the account in one of the states, or in
// all, newest first, from the one at offset and at most limit of them.
func (l *Ledger) Bulks(ctx context.Context, account string, state BulkState, offset, limit int) ([]Bulk, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+bulkColumns+" FROM bulks WHERE account = $1 AND (state = $2 OR $2 = '') ORDER BY created_at DESC, id LIMIT $3 OFFSET $4",
		account, state, limit, offset)
	bulks, err := all(rows, err, scanBulk)
	return bulks, l.failed(err)
}
