package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"time"
)

// CatchUp says which windows of the past a sync adds.
type CatchUp string

// What a sync adds: every window that is missing, or only the last one that is over.
const (
	CatchUpAll    CatchUp = "all"
	CatchUpLatest CatchUp = "latest"
)

// Sync keeps a bulk export up to date: it adds windows to it as time passes. Its times are
// by Fullstory's clock, except CreatedAt.
type Sync struct {
	ID, Account string
	Name        string          // of the sync and of its first folder; unique in the account
	Bulk        string          // id of the bulk export that windows are added to
	Generation  int             // from 1; a changed request begins a new one, with another bulk export
	Request     json.RawMessage // as resolved; its range begins at Anchor and is open
	SegmentName string          // as Fullstory called it; empty: not known
	Chunk       string          // granularity of the windows
	Every       string          // how often it wakes: hour, day, week, month
	At          string          // time of day, such as 06:00; "": as soon as a period is over, with Lag
	Anchor      time.Time       // start of the first window
	Lag         time.Duration   // a window is added once its end is this long ago
	CatchUp     CatchUp
	Parquet     bool // Parquet files are made of what is stored
	Table       TableFormat
	// Destination is the address of a database that rows are loaded into, without its password; "":
	// none. The whole address is the secret of DestinationSecret.
	Destination      string
	DestinationTable string // of the first generation
	Paused           bool   // it does not wake
	Reason           string // why it is paused, or why it could not add windows; a sentence
	Tries            int    // wakes in a row that failed
	NextAt           time.Time
	WokeAt           time.Time // when it last added what was missing, also if that was nothing; zero: not yet
	// CoveredTo is the instant up to which the recorded windows of Bulk cover every instant since
	// Anchor, so that a wake does not have to read these. Zero: not known.
	CoveredTo time.Time
	AskedBy   string // the caller who added it; "" when added: that of the context
	CreatedAt time.Time
	Consent   string // how the user agreed to the request, a word for the audit log; it is not stored
}

// syncColumns, scanSync and values have the columns in the same order. The columns before
// syncSavedFrom never change.
const syncColumns = "id, account, name, asked_by, created_at, bulk, generation, request, segment_name, chunk, every, " +
	"at_time, anchor, lag, catch_up, parquet, table_format, destination, destination_table, paused, reason, tries, " +
	"next_at, woke_at, covered_to"

const syncSavedFrom = 5

func (s Sync) values() []any {
	return []any{
		s.ID, s.Account, s.Name, s.AskedBy, micros(s.CreatedAt), s.Bulk, s.Generation, document(s.Request), s.SegmentName,
		s.Chunk, s.Every, s.At, micros(s.Anchor), s.Lag.Microseconds(), string(s.CatchUp), flag(s.Parquet),
		string(s.Table), s.Destination, s.DestinationTable,
		flag(s.Paused), sentence(s.Reason), s.Tries, micros(s.NextAt), micros(s.WokeAt), micros(s.CoveredTo),
	}
}

func scanSync(row scanner) (s Sync, err error) {
	var request string
	var created, anchor, lag, parquet, paused, next, woke, covered int64
	err = row.Scan(&s.ID, &s.Account, &s.Name, &s.AskedBy, &created, &s.Bulk, &s.Generation, &request, &s.SegmentName,
		&s.Chunk, &s.Every, &s.At, &anchor, &lag, &s.CatchUp, &parquet, &s.Table, &s.Destination, &s.DestinationTable,
		&paused, &s.Reason, &s.Tries, &next, &woke, &covered)
	s.Request, s.CreatedAt, s.Anchor = json.RawMessage(request), instant(created), instant(anchor)
	s.Lag, s.Parquet, s.Paused = time.Duration(lag)*time.Microsecond, parquet != 0, paused != 0
	s.NextAt, s.WokeAt, s.CoveredTo = instant(next), instant(woke), instant(covered)
	return s, err
}

// DestinationSecret returns the name of the secret with the address of the destination.
func (s Sync) DestinationSecret() string { return "destination " + s.ID }

// About returns an entry of the audit log about a sync.
func (s Sync) About(event Event) Entry {
	return Entry{Account: s.Account, Event: event, Bulk: s.Bulk, Detail: because("sync "+s.Name, s.Consent)}
}

// AddSync adds a sync, and an entry to the audit log. It returns ErrConflict if the account
// has one of that name.
func (t *Tx) AddSync(s Sync) error {
	s.AskedBy = cmp.Or(s.AskedBy, t.caller, Local)
	values := s.values()
	err := t.exec(ErrConflict, "INSERT INTO syncs ("+syncColumns+") VALUES "+placeholders(0, len(values))+
		" ON CONFLICT DO NOTHING", values...)
	if err != nil {
		return err
	}
	entry := s.About(SyncAdded)
	entry.Request = s.Request
	return t.Note(entry)
}

// saveSync sets every column from syncSavedFrom on.
var saveSync = updateStatement("syncs", syncColumns, syncSavedFrom, "id")

// SaveSync writes a sync that the transaction has read with Sync. It returns ErrNotFound if
// there is none.
func (t *Tx) SaveSync(s Sync) error {
	return t.exec(ErrNotFound, saveSync, append(s.values()[syncSavedFrom:], s.ID)...)
}

// RemoveSync removes a sync, and adds an entry to the audit log. Its bulk exports stay, with
// the windows they have. It returns ErrNotFound if there is none.
func (t *Tx) RemoveSync(s Sync) error {
	if err := t.exec(ErrNotFound, "DELETE FROM syncs WHERE id = $1", s.ID); err != nil {
		return err
	}
	if err := t.SetSecret(s.DestinationSecret(), ""); err != nil {
		return err
	}
	return t.Note(s.About(SyncRemoved))
}

// Sync returns a sync and locks its row until the transaction ends. It returns ErrNotFound
// if there is none.
func (t *Tx) Sync(id string) (Sync, error) {
	return one(t.tx.QueryRowContext(t.ctx, "SELECT "+syncColumns+" FROM syncs WHERE id = $1"+t.lock, id), scanSync)
}

// Sync returns the sync of an account that has that id or name. It returns ErrNotFound if
// there is none.
func (l *Ledger) Sync(ctx context.Context, account, idOrName string) (Sync, error) {
	row := l.read.QueryRowContext(ctx,
		"SELECT "+syncColumns+" FROM syncs WHERE account = $1 AND (id = $2 OR name = $2)", account, idOrName)
	s, err := one(row, scanSync)
	return s, l.wrap(err)
}

// Syncs returns the syncs of an account, by their names.
func (l *Ledger) Syncs(ctx context.Context, account string) ([]Sync, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+syncColumns+" FROM syncs WHERE account = $1 ORDER BY name", account)
	syncs, err := all(rows, err, scanSync)
	return syncs, l.wrap(err)
}

// NextSync returns the sync of an account that wakes next: the one with the least NextAt
// among those that are not paused. It returns ErrNotFound if there is none.
func (l *Ledger) NextSync(ctx context.Context, account string) (Sync, error) {
	row := l.read.QueryRowContext(ctx, "SELECT "+syncColumns+` FROM syncs WHERE account = $1 AND paused = 0
		ORDER BY next_at, name LIMIT 1`, account)
	s, err := one(row, scanSync)
	return s, l.wrap(err)
}

// SyncWindow is a window that a sync has added to a bulk export.
type SyncWindow struct{ Start, End time.Time }

const windowsOf = "SELECT start_at, end_at FROM sync_windows WHERE bulk = $1"

func scanWindow(row scanner) (w SyncWindow, err error) {
	var start, end int64
	err = row.Scan(&start, &end)
	return SyncWindow{instant(start), instant(end)}, err
}

// SyncWindows returns the windows that were added to a bulk export and begin at since or later,
// in their order.
func (t *Tx) SyncWindows(bulk string, since time.Time) ([]SyncWindow, error) {
	rows, err := t.tx.QueryContext(t.ctx, windowsOf+" AND start_at >= $2 ORDER BY start_at", bulk, micros(since))
	return all(rows, err, scanWindow)
}

// LastWindow returns the last window that was added to a bulk export. It returns ErrNotFound if
// it has none.
func (t *Tx) LastWindow(bulk string) (SyncWindow, error) {
	return one(t.tx.QueryRowContext(t.ctx, windowsOf+" ORDER BY start_at DESC LIMIT 1", bulk), scanWindow)
}

// WindowBefore returns the last window of a bulk export that begins before an instant. It returns
// ErrNotFound if it has none.
func (t *Tx) WindowBefore(bulk string, at time.Time) (SyncWindow, error) {
	row := t.tx.QueryRowContext(t.ctx, windowsOf+" AND start_at < $2 ORDER BY start_at DESC LIMIT 1", bulk, micros(at))
	return one(row, scanWindow)
}

// SyncWindows returns the windows that were added to a bulk export, in their order.
func (l *Ledger) SyncWindows(ctx context.Context, bulk string) ([]SyncWindow, error) {
	rows, err := l.read.QueryContext(ctx, windowsOf+" ORDER BY start_at", bulk)
	windows, err := all(rows, err, scanWindow)
	return windows, l.wrap(err)
}

// AddWindows adds windows to the bulk export of a sync, each with a planned chunk, and makes
// request its request. The transaction must hold the lock of the sync. It returns
// ErrConflict if the bulk export has a window with the same start.
func (t *Tx) AddWindows(b Bulk, windows []SyncWindow, request json.RawMessage) error {
	last, err := t.LastNumber(b.ID)
	if err != nil {
		return err
	}
	attempts := make([]Attempt, len(windows))
	for i, w := range windows {
		last++
		attempts[i] = Attempt{
			Bulk: b.ID, Number: last, Account: b.Account, Start: w.Start, End: w.End, State: ChunkPlanned,
		}
		err := t.exec(ErrConflict, `INSERT INTO sync_windows (bulk, start_at, end_at) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, b.ID, micros(w.Start), micros(w.End))
		if err != nil {
			return err
		}
	}
	if err := t.AddAttempts(attempts); err != nil {
		return err
	}
	return t.exec(ErrNotFound, "UPDATE bulks SET request = $1, manifest_due = 1 WHERE id = $2", document(request), b.ID)
}

// JoinSync makes a bulk export that an earlier sync has left, with its windows, the one of a
// sync. It returns ErrConflict if the bulk export was never that of a sync.
func (t *Tx) JoinSync(bulk string, s Sync) error {
	return t.exec(ErrConflict, "UPDATE bulks SET sync_id = $1 WHERE id = $2 AND sync_id <> ''", s.ID, bulk)
}
