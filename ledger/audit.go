package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
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
	Linked  Event = "linked"  // a caller received a link to the file of an operation, which is valid for anyone
	Offered Event = "offered" // a caller received a ticket for a file, or for all files of a bulk export
	Served  Event = "served"  // that file, or those files, were fetched with a ticket
	// Confirmed says that the user agreed to what the entry has, and how; Declined, that they did not.
	Confirmed Event = "confirmed"
	Declined  Event = "declined"
	LeftOut   Event = "left_out" // entries of a caller are missing, because it made too many on one day; see mostEntries
)

// The events of a sync. SyncWoke is an entry for the windows that it added.
const (
	SyncAdded   Event = "sync_added"
	SyncChanged Event = "sync_changed"
	SyncPaused  Event = "sync_paused"
	SyncResumed Event = "sync_resumed"
	SyncRemoved Event = "sync_removed"
	SyncWoke    Event = "sync_woke"
)

// Entry is one line of the audit log: who requested which export, when, and with
// what result.
type Entry struct {
	ID        string          `json:"id,omitempty"`
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
	as        string          // the id that it gets; "": a new one

	// These three make a chain of the entries of an account, see chain.
	Number   int64  `json:"number,omitempty"`   // from 1; 0: not in the chain
	Previous string `json:"previous,omitempty"` // hash of the entry before; "" in the first one
	Hash     string `json:"hash,omitempty"`     // of this entry with Previous
}

// Local is the caller where callers have no names: the user of this machine.
const Local = "local"

// maxEntryJSON bounds the request and the detail of an entry, in bytes each.
const maxEntryJSON = 16 << 10

// Note adds an entry to the audit log when the transaction ends. It adds Created and
// Unclear once for each operation, Fetched once for each operation, caller and day, and
// Served likewise, also for each bulk export; a repeat is dropped. An entry that a caller
// has too many of is counted instead, see mostEntries. A request or detail above
// maxEntryJSON is replaced by its hash. Note fails if one of them is not JSON.
func (t *Tx) Note(e Entry) error {
	e.At, e.Caller = instant(micros(time.Now())), cmp.Or(e.Caller, t.caller, Local)
	e = e.cleaned()
	of := cmp.Or(e.Operation, e.Bulk)
	if len(of) > maxKey/2 { // once is a key, and must not be cut
		of = keyHash(of)
	}
	switch e.Event {
	case Created, Unclear:
		e.once = string(e.Event) + " " + of
	case Fetched, Served:
		e.once = fmt.Sprintf("%s %s %s %s", e.Event, e.At.Format(time.DateOnly), of, e.Caller)
		if len(e.once) > maxKey {
			e.once = string(e.Event) + " " + keyHash(e.once)
		}
	}
	for _, raw := range []*json.RawMessage{&e.Request, &e.Detail} {
		text := validText(string(*raw))
		if text != "" && !json.Valid([]byte(text)) {
			return fmt.Errorf("the %s entry of the audit log has a request or detail that is not JSON", e.Event)
		}
		*raw = boundedJSON(text)
	}
	t.entries = append(t.entries, e)
	return nil
}

// boundedJSON returns JSON, or its length and hash in place of JSON above maxEntryJSON.
func boundedJSON(text string) json.RawMessage {
	if len(text) <= maxEntryJSON {
		return json.RawMessage(text)
	}
	sum := sha256.Sum256([]byte(text))
	return fmt.Appendf(nil, `{"left_out_bytes":%d,"sha256":"%s"}`, len(text), hex.EncodeToString(sum[:]))
}

// noteState adds an entry that a bulk export entered a state. It names the caller
// of the context, or without one the caller who requested the export. A single
// export has no such entries: those of its operation say the same.
func (t *Tx) noteState(b Bulk, reason string) error {
	if b.Single {
		return nil
	}
	e := b.About(Event(b.State))
	e.Caller = cmp.Or(t.caller, b.AskedBy)
	if reason != "" {
		e.Detail = Because(reason)
	}
	return t.Note(e)
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

// maxReason bounds the reason in a detail, in bytes; as JSON it is below maxEntryJSON.
const maxReason = 2000

// Because returns the detail of an entry that has a reason.
func Because(reason string) json.RawMessage { return because(reason, "") }

// because is Because with how the user agreed; "": it is left out.
func because(reason, consent string) json.RawMessage {
	raw, err := json.Marshal(struct {
		Reason  string `json:"reason"`
		Consent string `json:"consent,omitempty"`
	}{cleanText(reason, maxReason), cleanText(consent, maxReason)})
	if err != nil {
		return nil
	}
	return raw
}

// auditColumns, scanEntry and addEntry have the columns in the same order.
const auditColumns = "id, at, account, caller, event, bulk, export, operation, request, detail, once, " +
	"number, previous, hash"

func scanEntry(row scanner) (e Entry, err error) {
	var at int64
	var request, detail string
	var once, previous, hash sql.NullString
	var number sql.NullInt64
	err = row.Scan(&e.ID, &at, &e.Account, &e.Caller, &e.Event, &e.Bulk, &e.Export, &e.Operation, &request, &detail,
		&once, &number, &previous, &hash)
	e.At, e.Request, e.Detail = instant(at), json.RawMessage(request), json.RawMessage(detail)
	e.once, e.Number, e.Previous, e.Hash = once.String, number.Int64, previous.String, hash.String
	return e, err
}

// auditPage is how many entries are read at once. An entry has at most about 40 kB.
const auditPage = 200

// Audit calls each with the entries of the audit log since an instant, the oldest
// first, until each fails. Entries that were left out and have no entry yet follow,
// one for each caller and day, without an id.
func (l *Ledger) Audit(ctx context.Context, since time.Time, each func(Entry) error) error {
	at, id := micros(since), ""
	for {
		rows, err := l.read.QueryContext(ctx,
			"SELECT "+auditColumns+" FROM audit WHERE (at, id) > ($1, $2) ORDER BY at, id LIMIT $3", at, id, auditPage)
		entries, err := all(rows, err, scanEntry)
		if err != nil {
			return l.wrap(err)
		}
		for _, e := range entries {
			if err := each(e); err != nil {
				return err
			}
			at, id = micros(e.At), e.ID
		}
		if len(entries) < auditPage {
			return l.leftOut(ctx, since, each)
		}
	}
}
