package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/pressly/goose/v3"
)

// Event is what an entry of the audit log tells. The end of an export and the
// turns of a bulk export are told by the names of their states.
type Event string

// The other events.
const (
	Asked   Event = "asked"   // for a bulk export or a single one; the entry has the request
	Reused  Event = "reused"  // an identical operation serves
	Created Event = "created" // Fullstory accepted it; once for each operation
	Unclear Event = "unclear" // an operation that a create which was cut off may have made, and that serves nothing
	Stored  Event = "stored"  // its file is verified
	Fetched Event = "fetched" // somebody was given the file of an operation
)

// Entry is one line of the audit log: who asked for which export, when, and
// what came of it.
type Entry struct {
	ID        string          `json:"id"`
	At        time.Time       `json:"at"` // by the clock of the machine that noted it
	Account   string          `json:"account"`
	Caller    string          `json:"caller"` // who asked; of what happens by itself: who asked for the export
	Event     Event           `json:"event"`
	Bulk      string          `json:"bulk_id,omitempty"`
	Export    string          `json:"export,omitempty"` // in the ledger
	Operation string          `json:"operation_id,omitempty"`
	Request   json.RawMessage `json:"request,omitempty"` // of asked and created
	Detail    json.RawMessage `json:"detail,omitempty"`  // an object: a reason, or what a file is
	once      string          // what may be noted a single time; "": any number
}

// Local is the caller where callers have no names: a person at this machine.
const Local = "local"

type callerKey struct{}

// WithCaller returns a context in which what is asked for is noted as caller's.
func WithCaller(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// caller returns who asks in ctx.
func caller(ctx context.Context) string {
	if name, _ := ctx.Value(callerKey{}).(string); name != "" {
		return name
	}
	return Local
}

// Note adds an entry to the audit log. Created, Unclear and Fetched are noted
// once for each operation, the last for each caller.
func (t *Tx) Note(e Entry) error {
	if e.Caller == "" {
		e.Caller = caller(t.ctx)
	}
	switch e.Event {
	case Created, Unclear:
		e.once = string(e.Event) + " " + e.Operation
	case Fetched:
		e.once = string(e.Event) + " " + e.Operation + " " + e.Caller
	}
	_, err := t.tx.ExecContext(t.ctx, "INSERT INTO audit ("+auditColumns+", once) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT (account, once) DO NOTHING",
		NewID("audit"), micros(time.Now()), e.Account, e.Caller, e.Event, e.Bulk, e.Export, e.Operation, string(e.Request), string(e.Detail),
		sql.NullString{String: e.once, Valid: e.once != ""})
	return err
}

// noteTurn notes that a bulk export came into a state.
func (t *Tx) noteTurn(id string, state BulkState, reason string) error {
	var detail []byte
	if reason != "" {
		detail = because(reason)
	}
	by, _ := t.ctx.Value(callerKey{}).(string)
	_, err := t.tx.ExecContext(t.ctx, `INSERT INTO audit (`+auditColumns+`)
		SELECT $1, CAST($2 AS BIGINT), account, CASE WHEN $3 = '' THEN asked_by ELSE $3 END, $4, id, '', '', '', $5 FROM bulks WHERE id = $6`,
		NewID("audit"), micros(time.Now()), by, state, string(detail), id)
	return err
}

// noteExport notes what the state of an export means that was not so before.
// An operation that was found by a search is its own only once its file has
// decided that.
func (t *Tx) noteExport(e Export) error {
	note := Entry{Account: e.Account, Caller: e.AskedBy, Bulk: e.Bulk, Export: e.ID, Operation: e.Operation}
	found := len(e.Candidates) > 0
	if e.Operation != "" && (!found || e.State == ExportLost) {
		note.Event, note.Request = Created, e.Request
		if found {
			note.Event = Unclear
		}
		if err := t.Note(note); err != nil {
			return err
		}
		note.Request = nil
	}
	switch e.State {
	case ExportFailed, ExportLost, ExportCancelled:
		note.Event, note.Detail = Event(e.State), e.Error
		return t.Note(note)
	}
	return nil
}

// because is the detail of an entry with a reason.
func because(reason string) json.RawMessage {
	raw, err := json.Marshal(map[string]string{"reason": reason})
	if err != nil {
		return nil
	}
	return raw
}

const auditColumns = "id, at, account, caller, event, bulk, export, operation, request, detail"

// Audit calls each with the entries of the audit log since an instant, the
// oldest first.
func (l *Ledger) Audit(ctx context.Context, since time.Time, each func(Entry) error) error {
	rows, err := l.read.QueryContext(ctx, "SELECT "+auditColumns+" FROM audit WHERE at >= $1 ORDER BY at, id", micros(since))
	if err != nil {
		return l.failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var at int64
		var request, detail string
		if err := rows.Scan(&e.ID, &at, &e.Account, &e.Caller, &e.Event, &e.Bulk, &e.Export, &e.Operation, &request, &detail); err != nil {
			return err
		}
		e.At, e.Request, e.Detail = instant(at), json.RawMessage(request), json.RawMessage(detail)
		if err := each(e); err != nil {
			return err
		}
	}
	return l.failed(rows.Err())
}

// keepAudit has the database refuse to change or remove entries, also by hand.
func keepAudit(dialect goose.Dialect) *goose.Migration {
	statements := []string{
		`CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
		`CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
	}
	if dialect == goose.DialectPostgres {
		statements = []string{
			`CREATE FUNCTION audit_only_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$`,
			`CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_only_added()`,
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
