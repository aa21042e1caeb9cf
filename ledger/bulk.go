package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// BulkState is the state of a bulk export.
type BulkState string

// The states of a bulk export. Only a running one is worked on.
const (
	BulkRunning   BulkState = "running"
	BulkPaused    BulkState = "paused"
	BulkComplete  BulkState = "complete"
	BulkPartial   BulkState = "partial" // ended with some chunks failed
	BulkFailed    BulkState = "failed"  // ended with every chunk failed
	BulkCancelled BulkState = "cancelled"
)

// Ended reports whether the engine has nothing left to do.
func (s BulkState) Ended() bool { return s != BulkRunning && s != BulkPaused }

// Bulk is a bulk export: one request, cut into many windows. A single export is one
// with a single chunk.
type Bulk struct {
	ID, Account string
	Name        string          // of its folder; unique in the account
	Fingerprint string          // of the request and its granularity
	Request     json.RawMessage // as resolved, for the whole range
	SegmentName string          // as Fullstory called it at the start; empty: not known
	Granularity string          // how the range was cut, such as day, PT6H or 500000 rows
	MaxInFlight int             // exports at Fullstory at once; 0: adapts automatically
	Settle      bool            // chunks exported before their rows had settled are exported once more
	NowGiven    bool            // the caller chose the instant at which relative dates are pinned
	State       BulkState
	Reason      string // why it is paused, a sentence
	CreatedAt   time.Time
	FinishedAt  time.Time       // zero until it has ended
	AskedBy     string          // the caller who requested it; "" when added: that of the context
	Trace       string          // W3C traceparent of the call that requested it; "": none
	Notices     json.RawMessage // about the request, as shown at the start; empty: none

	Sync       string    // id of the sync that adds windows to it, or did; "": none
	Single     bool      // a single export, which lists of bulk exports leave out
	Fetch      bool      // its files are fetched; a single export's only after RequestFile
	Key        string    // hash of the API key that it was started or last resumed with
	Rejections int       // creates in a row that Fullstory rejected
	NextAt     time.Time // the next create comes no earlier; zero: at once

	// Consent is how the user agreed to its start, a word for the audit log. It is not stored.
	Consent string

	ManifestDue bool // files or the state have changed since the manifest was written; not set by AddBulk
}

// bulkColumns, scanBulk and AddBulk have the columns in the same order.
// scanBulk also reads the state of the manifest, which bulkFields adds.
const bulkColumns = "id, account, name, fingerprint, request, granularity, max_in_flight, settle, now_given, " +
	"state, reason, created_at, finished_at, asked_by, trace, " +
	"single, fetch_files, key_hash, rejections, next_at, notices, segment_name, sync_id"

const bulkFields = bulkColumns + ", manifest_due"

func scanBulk(row scanner) (b Bulk, err error) {
	var request, notices string
	var settle, given, created, finished, single, fetch, next, due int64
	err = row.Scan(&b.ID, &b.Account, &b.Name, &b.Fingerprint, &request, &b.Granularity, &b.MaxInFlight, &settle, &given,
		&b.State, &b.Reason, &created, &finished, &b.AskedBy, &b.Trace,
		&single, &fetch, &b.Key, &b.Rejections, &next, &notices, &b.SegmentName, &b.Sync, &due)
	b.Request, b.Settle, b.NowGiven = json.RawMessage(request), settle != 0, given != 0
	b.CreatedAt, b.FinishedAt, b.NextAt = instant(created), instant(finished), instant(next)
	b.Single, b.Fetch, b.ManifestDue = single != 0, fetch != 0, due != 0
	if notices != "" {
		b.Notices = json.RawMessage(notices)
	}
	return b, err
}

// AddBulk adds a bulk export, and an entry to the audit log. It returns ErrConflict
// if the account has one of that name.
func (t *Tx) AddBulk(b Bulk) error {
	if b.AskedBy == "" {
		b.AskedBy = cmp.Or(t.caller, Local)
	}
	err := t.exec(ErrConflict,
		"INSERT INTO bulks ("+bulkColumns+", changed_at) VALUES "+placeholders(0, 24)+" ON CONFLICT DO NOTHING",
		b.ID, b.Account, b.Name, b.Fingerprint, document(b.Request), b.Granularity, b.MaxInFlight,
		flag(b.Settle), flag(b.NowGiven), b.State, sentence(b.Reason), micros(b.CreatedAt), micros(b.FinishedAt),
		b.AskedBy, b.Trace, flag(b.Single), flag(b.Fetch), b.Key, b.Rejections, micros(b.NextAt), document(b.Notices),
		b.SegmentName, b.Sync, micros(time.Now()))
	if err != nil {
		return err
	}
	note := b.About(Asked)
	note.Request = b.Request
	if !b.Single {
		note.Detail = because("in chunks: "+b.Granularity, b.Consent)
	}
	return t.Note(note)
}

// MoveBulk changes the state of a bulk export, makes its manifest due, and adds an
// entry to the audit log. It returns ErrConflict if the state is not from. finished
// is zero unless the bulk export ends.
func (t *Tx) MoveBulk(id string, from, to BulkState, reason string, finished time.Time) error {
	return t.changeState(to, reason, `UPDATE bulks SET state = $1, reason = $2, finished_at = $3, changed_at = $4,
		manifest_due = 1 WHERE id = $5 AND state = $6`,
		to, sentence(reason), micros(finished), micros(time.Now()), id, from)
}

// EndBulk is MoveBulk for a running bulk export whose manifest, with its state after the end, was
// written since WritingManifest: it is due only if files were stored meanwhile. So one who sees the
// end finds a manifest that nobody will write again.
func (t *Tx) EndBulk(id string, to BulkState, finished time.Time) error {
	return t.changeState(to, "", `UPDATE bulks SET state = $1, reason = '', finished_at = $2, changed_at = $3,
		manifest_due = CASE WHEN manifest_due = $4 THEN $4 ELSE 0 END WHERE id = $5 AND state = $6`,
		to, micros(finished), micros(time.Now()), manifestDue, id, BulkRunning)
}

// NothingLeft locks a bulk export until the transaction ends, and returns ErrConflict if any of
// its chunks is not finished: chunks may have been added or planned again since they were
// counted.
func (t *Tx) NothingLeft(id string) error {
	if _, err := t.Bulk(id); err != nil {
		return err
	}
	var left int
	const count = "SELECT count(*) FROM attempts WHERE bulk = $1 AND state IN " + unfinished
	err := t.tx.QueryRowContext(t.ctx, count, id).Scan(&left)
	if err == nil && left > 0 {
		err = ErrConflict
	}
	return err
}

// PauseBulk pauses a running bulk export because of the failure of something that
// began at began. It returns ErrConflict if the bulk export is not running, or was
// resumed after began: the cause may be fixed.
func (t *Tx) PauseBulk(id, reason string, began time.Time) error {
	return t.changeState(BulkPaused, reason, `UPDATE bulks SET state = $1, reason = $2, changed_at = $3, manifest_due = 1
		WHERE id = $4 AND state = $5 AND changed_at <= $6`,
		BulkPaused, sentence(reason), micros(time.Now()), id, BulkRunning, micros(began))
}

// changeState runs an UPDATE of one bulk export that enters the state to, and adds an
// entry to the audit log. It returns ErrConflict if the UPDATE finds no row.
func (t *Tx) changeState(to BulkState, reason, update string, args ...any) error {
	b := Bulk{State: to}
	var single int64
	err := t.tx.QueryRowContext(t.ctx, update+" RETURNING id, account, asked_by, single", args...).
		Scan(&b.ID, &b.Account, &b.AskedBy, &single)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrConflict
	}
	if err != nil {
		return err
	}
	b.Single = single != 0
	return t.noteState(b, reason)
}

// Bulk returns the bulk export of an account that has that id or name. It returns
// ErrNotFound if there is none.
func (l *Ledger) Bulk(ctx context.Context, account, idOrName string) (Bulk, error) {
	row := l.read.QueryRowContext(ctx,
		"SELECT "+bulkFields+" FROM bulks WHERE account = $1 AND (id = $2 OR name = $2)", account, idOrName)
	b, err := one(row, scanBulk)
	return b, l.wrap(err)
}

// Pace records how many creates of a bulk export in a row Fullstory rejected, and when
// the next may be sent; a zero time: at once.
func (t *Tx) Pace(id string, rejections int, next time.Time) error {
	return t.exec(ErrNotFound, "UPDATE bulks SET rejections = $1, next_at = $2 WHERE id = $3",
		rejections, micros(next), id)
}

// RequestFile makes a single export run until its file is stored. It returns
// ErrNotFound if there is no such single export.
func (t *Tx) RequestFile(id string) error {
	return t.exec(ErrNotFound, "UPDATE bulks SET fetch_files = 1, state = 'running' WHERE id = $1 AND single = 1", id)
}

// StartWith records the hash of the API key that a bulk export is resumed with, and
// forgets earlier rejections: they may have been those of another key.
func (t *Tx) StartWith(id, key string) error {
	return t.exec(ErrNotFound, "UPDATE bulks SET key_hash = $1, rejections = 0, next_at = 0 WHERE id = $2", key, id)
}

// Bulk returns a bulk export and locks its row until the transaction ends. It returns
// ErrNotFound if there is none.
func (t *Tx) Bulk(id string) (Bulk, error) {
	return one(t.tx.QueryRowContext(t.ctx, "SELECT "+bulkFields+" FROM bulks WHERE id = $1"+t.lock, id), scanBulk)
}

// The values of manifest_due. Files that are stored while a manifest is written make it due again.
const (
	manifestDue     = 1
	manifestWriting = 2
)

// WritingManifest records that a manifest of a bulk export is written of what is stored from now
// on. The manifest stays due until ManifestWritten.
func (l *Ledger) WritingManifest(ctx context.Context, id string) error {
	_, err := l.write.ExecContext(ctx, "UPDATE bulks SET manifest_due = $1 WHERE id = $2 AND manifest_due = $3",
		manifestWriting, id, manifestDue)
	return l.wrap(err)
}

// ManifestWritten records that the manifest of a bulk export is up to date, unless files were
// stored since WritingManifest.
func (l *Ledger) ManifestWritten(ctx context.Context, id string) error {
	_, err := l.write.ExecContext(ctx, "UPDATE bulks SET manifest_due = 0 WHERE id = $1 AND manifest_due = $2", id,
		manifestWriting)
	return l.wrap(err)
}

// Open returns the bulk exports of an account that run, or whose manifest is due. It
// leaves out single exports.
func (l *Ledger) Open(ctx context.Context, account string) ([]Bulk, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+bulkFields+` FROM bulks
		WHERE account = $1 AND single = 0 AND (state = 'running' OR manifest_due > 0)`, account)
	bulks, err := all(rows, err, scanBulk)
	return bulks, l.wrap(err)
}

// Bulks returns a page of the bulk exports of an account, newest first: those in a
// state, or all if that is "". It leaves out single exports.
func (l *Ledger) Bulks(ctx context.Context, account string, state BulkState, offset, limit int) ([]Bulk, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+bulkFields+` FROM bulks
		WHERE account = $1 AND single = 0 AND (state = $2 OR $2 = '')
		ORDER BY created_at DESC, id LIMIT $3 OFFSET $4`,
		account, state, limit, offset)
	bulks, err := all(rows, err, scanBulk)
	return bulks, l.wrap(err)
}
