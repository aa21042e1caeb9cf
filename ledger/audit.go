package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/pressly/goose/v3"
)

// Event is what an entry of the audit log reports. The end of an operation is
// reported by its Outcome, a new state of a bulk export by that state.
type Event string

// The other events.
const (
	Asked   Event = "asked"   // a bulk export or a single one was requested; the entry has the request
	Reused  Event = "reused"  // an identical operation is used instead of a new one
	Created Event = "created" // Fullstory accepted the create; once for each operation
	Unclear Event = "unclear" // a candidate that was ruled out: a lost create may have made it
	Stored  Event = "stored"  // the file is verified and published
	Fetched Event = "fetched" // a caller received the file of an operation
	Linked  Event = "linked"  // a caller received a signed link to that file; once for each link
)

// Entry is one line of the audit log: who requested which export, when, and with
// what result.
type Entry struct {
	ID        string          `json:"id"`
	At        time.Time       `json:"at"` // by the clock of the machine that wrote the entry
	Account   string          `json:"account"`
	Caller    string          `json:"caller"` // who acted; for what the engine does: who requested the export
	Event     Event           `json:"event"`
	Bulk      string          `json:"bulk_id,omitempty"`
	Export    string          `json:"export,omitempty"` // a single export, by its id in the ledger
	Operation string          `json:"operation_id,omitempty"`
	Request   json.RawMessage `json:"request,omitempty"` // of asked and created
	Detail    json.RawMessage `json:"detail,omitempty"`  // an object: a reason, or facts about a file
	once      string          // at most one entry of an account has this key; "": no limit
}

// Local is the caller where callers have no names: the user of this machine.
const Local = "local"

// Note adds an entry to the audit log. It adds Created and Unclear once for each
// operation, and Fetched once for each operation and caller; a repeat is dropped.
func (t *Tx) Note(e Entry) error {
	if e.Caller == "" {
		e.Caller = cmp.Or(t.caller, Local)
	}
	of := e.Operation
	if len(of) > maxKey/2 { // once is a key, and must not be cut
		of = keyHash(of)
	}
	switch e.Event {
	case Created, Unclear:
		e.once = string(e.Event) + " " + of
	case Fetched:
		e.once = string(e.Event) + " " + of + " " + e.Caller
	}
	_, err := t.tx.ExecContext(t.ctx,
		"INSERT INTO audit ("+auditColumns+", once) VALUES "+placeholders(0, 11)+" ON CONFLICT (account, once) DO NOTHING",
		NewID("audit"), micros(time.Now()), e.Account, e.Caller, e.Event, e.Bulk, e.Export,
		operation(e.Operation), document(e.Request), document(e.Detail),
		sql.NullString{String: e.once, Valid: e.once != ""}) // NULLs do not conflict with each other
	return err
}

// noteState adds an entry that a bulk export entered a state. It names the caller
// of the context, or without one the caller who requested the export. A single
// export has no such entries: those of its operation say the same.
func (t *Tx) noteState(id string, state BulkState, reason string) error {
	var detail []byte
	if reason != "" {
		detail = Because(reason)
	}
	_, err := t.tx.ExecContext(t.ctx, `INSERT INTO audit (`+auditColumns+`)
		SELECT $1, CAST($2 AS BIGINT), account, CASE WHEN $3 = '' THEN asked_by ELSE $3 END, $4, id, '', '', '', $5
		FROM bulks WHERE id = $6 AND single = 0`,
		NewID("audit"), micros(time.Now()), t.caller, state, document(detail), id)
	return err
}

// About returns an entry about a bulk export, or about a single one, in the name of
// the caller who requested it.
func (b Bulk) About(event Event) Entry {
	e := Entry{Account: b.Account, Caller: b.AskedBy, Event: event, Bulk: b.ID}
	if b.Single {
		e.Bulk, e.Export = "", b.ID
	}
	return e
}

// Because returns the detail of an entry that has a reason.
func Because(reason string) json.RawMessage {
	raw, err := json.Marshal(map[string]string{"reason": reason})
	if err != nil {
		return nil
	}
	return raw
}

const auditColumns = "id, at, account, caller, event, bulk, export, operation, request, detail"

// Audit calls each with the entries of the audit log since an instant, the oldest
// first, until each fails. On SQLite it holds a reading connection meanwhile.
func (l *Ledger) Audit(ctx context.Context, since time.Time, each func(Entry) error) error {
	rows, err := l.read.QueryContext(ctx,
		"SELECT "+auditColumns+" FROM audit WHERE at >= $1 ORDER BY at, id", micros(since))
	if err != nil {
		return l.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var at int64
		var request, detail string
		err := rows.Scan(&e.ID, &at, &e.Account, &e.Caller, &e.Event, &e.Bulk, &e.Export, &e.Operation, &request, &detail)
		if err != nil {
			return err
		}
		e.At, e.Request, e.Detail = instant(at), json.RawMessage(request), json.RawMessage(detail)
		if err := each(e); err != nil {
			return err
		}
	}
	return l.wrap(rows.Err())
}

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
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}}, nil)
}
