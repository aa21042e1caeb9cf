package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ChunkState is the state of a chunk of a bulk export. Package bulk has the
// transitions.
type ChunkState string

// The states of a chunk.
const (
	ChunkPlanned     ChunkState = "planned"
	ChunkCreating    ChunkState = "creating"    // intent committed; a create is under way, or its answer was lost
	ChunkUncertain   ChunkState = "uncertain"   // one of Candidates may be its operation
	ChunkRunning     ChunkState = "running"     // Fullstory works on it
	ChunkCompleted   ChunkState = "completed"   // a single export: complete at Fullstory, its file not requested
	ChunkReady       ChunkState = "ready"       // its file can be fetched
	ChunkDownloading ChunkState = "downloading" // its file is being fetched
	ChunkStored      ChunkState = "stored"      // its file is verified and recorded
	ChunkFailed      ChunkState = "failed"
	ChunkSplit       ChunkState = "split" // replaced by its two halves
	ChunkCancelled   ChunkState = "cancelled"
)

// Attempt is a chunk and its present export at Fullstory: one row, which changes
// only as Next of package bulk decides. Zero times mean "not yet". Texts are
// cleaned and cut where they are written, see text.go.
type Attempt struct {
	Bulk       string
	Number     int64 // within the bulk, never used again
	Account    string
	Start, End time.Time // the window; a zero side is open (single exports only)
	State      ChunkState

	// The present export. IntentAt to ExpiresAt are by Fullstory's clock.
	Operation    string      // its id; "": not known
	SearchExport string      // by which its file is fetched
	Candidates   []Candidate // operations that a search found, and what their files showed
	IntentAt     time.Time
	CreatedAt    time.Time
	FinishedAt   time.Time
	ExpiresAt    time.Time

	// Failures and waits. The times are by the clock of the leaseholder.
	Creates      int             // creates of this window that Fullstory rejected or may have accepted
	Tries        int             // failures in a row of the present step
	FailingSince time.Time       // when the first of them happened
	Damaged      int             // fetches of the present export that gave a damaged file
	SearchedAt   time.Time       // when a search for its operation first found none
	WatchedSince time.Time       // when the present export was first known to run
	NextAt       time.Time       // the next try comes no earlier; zero: at once
	Reason       string          // why it waits, or how it failed last; a sentence
	Damage       string          // the kind of damage of the previous export's file
	Failure      json.RawMessage // of a failed single export: the error of Fullstory

	// The stored file. It stays on record until its successor is published.
	Rows, Bytes int64
	StoredAt    time.Time
	Provisional bool // exported before its rows had settled
}

// Candidate is an operation that may have come from a create whose answer was
// lost. Its file decides, see verifyCandidate of package bulk.
type Candidate struct {
	Operation string    `json:"operation"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	Verdict   Verdict   `json:"verdict,omitempty"`
}

// Verdict is what the file of a candidate showed.
type Verdict string

// The verdicts. The empty one means that the file was not verified yet.
const (
	Foreign Verdict = "foreign" // another export
	Empty   Verdict = "empty"   // no rows, so neither proved nor ruled out
	Adopted Verdict = "adopted" // the export after all: another candidate was empty too, so the window is
)

// UnmarshalJSON also reads the form of earlier versions, which had "rejected" instead
// of a verdict.
func (c *Candidate) UnmarshalJSON(raw []byte) error {
	type plain Candidate
	old := struct {
		*plain
		Rejected bool `json:"rejected"`
	}{plain: (*plain)(c)}
	err := json.Unmarshal(raw, &old)
	if old.Rejected {
		c.Verdict = cmp.Or(c.Verdict, Foreign)
	}
	return err
}

// Possible returns the candidates that their files have not ruled out.
func (a Attempt) Possible() (operations []string) {
	for _, c := range a.Candidates {
		if c.Verdict == "" || c.Verdict == Adopted {
			operations = append(operations, c.Operation)
		}
	}
	return operations
}

// Equal reports whether a and b are the same in every field. Times are compared as
// they print, so one that was just set differs from any that the ledger returned.
func (a Attempt) Equal(b Attempt) bool {
	if !slices.Equal(a.Candidates, b.Candidates) {
		return false
	}
	a.Candidates, b.Candidates = nil, nil
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// attemptColumns, values and scanAttempt have the columns in the same order. The
// columns before savedFrom never change.
const attemptColumns = "bulk, number, account, start_at, end_at, state, operation, search_export, candidates, " +
	"intent_at, created_at, finished_at, expires_at, creates, tries, failing_since, damaged, " +
	"searched_at, watched_since, next_at, reason, damage, failure, row_count, byte_count, stored_at, provisional"

// values returns the columns of a.
func (a Attempt) values() []any {
	candidates := ""
	if len(a.Candidates) > 0 {
		raw, err := json.Marshal(a.Candidates)
		if err != nil {
			panic(err) // impossible: a candidate has only strings and times
		}
		candidates = string(raw)
	}
	return []any{
		a.Bulk, a.Number, a.Account, micros(a.Start), micros(a.End), a.State,
		operation(a.Operation), operation(a.SearchExport), document(candidates),
		micros(a.IntentAt), micros(a.CreatedAt), micros(a.FinishedAt), micros(a.ExpiresAt), a.Creates, a.Tries,
		micros(a.FailingSince), a.Damaged, micros(a.SearchedAt), micros(a.WatchedSince), micros(a.NextAt),
		sentence(a.Reason), sentence(a.Damage), document(a.Failure),
		a.Rows, a.Bytes, micros(a.StoredAt), flag(a.Provisional),
	}
}

func scanAttempt(row scanner) (a Attempt, err error) {
	var candidates, failure string
	var start, end, intent, created, finished, expires, failing, searched, watched, next, stored, provisional int64
	err = row.Scan(&a.Bulk, &a.Number, &a.Account, &start, &end, &a.State, &a.Operation, &a.SearchExport, &candidates,
		&intent, &created, &finished, &expires, &a.Creates, &a.Tries, &failing, &a.Damaged, &searched, &watched, &next,
		&a.Reason, &a.Damage, &failure, &a.Rows, &a.Bytes, &stored, &provisional)
	if err != nil {
		return a, err
	}
	a.Start, a.End, a.IntentAt, a.CreatedAt = instant(start), instant(end), instant(intent), instant(created)
	a.FinishedAt, a.ExpiresAt, a.FailingSince = instant(finished), instant(expires), instant(failing)
	a.SearchedAt, a.WatchedSince, a.NextAt = instant(searched), instant(watched), instant(next)
	a.StoredAt, a.Provisional = instant(stored), provisional != 0
	if failure != "" {
		a.Failure = json.RawMessage(failure)
	}
	if candidates != "" {
		err = json.Unmarshal([]byte(candidates), &a.Candidates)
	}
	return a, err
}

// placeholders returns "($1,$2,…)" for n values. The first has the number after+1.
func placeholders(after, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(map[bool]string{true: "($", false: ",$"}[i == 0])
		b.WriteString(strconv.Itoa(after + i + 1))
	}
	return b.String() + ")"
}

// insertBatch is how many rows one statement adds. SQLite parses statements with
// many values slowly: 10,000 chunks take 0.2 s in batches of 10 and 2 s in batches
// of 500. PostgreSQL hardly differs.
const insertBatch = 10

// AddAttempts adds chunks. It adds each as planned, with its key and window alone,
// and then saves the remaining fields of chunks that are in another state.
func (t *Tx) AddAttempts(attempts []Attempt) error {
	const key = 6 // columns that an argument sets; the others start at zero
	for some := range slices.Chunk(attempts, insertBatch) {
		rows := make([]string, len(some))
		var args []any
		for i, a := range some {
			rows[i] = strings.TrimSuffix(placeholders(len(args), key), ")") + ",0,0,'',0,0,0,0)"
			args = append(args, a.Bulk, a.Number, a.Account, micros(a.Start), micros(a.End), ChunkPlanned)
		}
		_, err := t.tx.ExecContext(t.ctx, `INSERT INTO attempts (bulk, number, account, start_at, end_at, state,
			creates, next_at, reason, row_count, byte_count, stored_at, provisional) VALUES `+strings.Join(rows, ","), args...)
		if err != nil {
			return err
		}
	}
	for _, a := range attempts {
		if a.State != ChunkPlanned {
			if err := t.SaveAttempt(a, ChunkPlanned); err != nil {
				return err
			}
		}
	}
	return nil
}

// saveStatement sets every column from savedFrom on, under compare-and-set of state.
var saveStatement = updateStatement("attempts", attemptColumns, savedFrom, "bulk", "number", "state")

// updateStatement returns an UPDATE of a table that sets the columns from an index on. Their
// values come first, then those of the columns by which the row is found.
func updateStatement(table, columns string, from int, by ...string) string {
	n := 0
	equals := func(columns []string) []string {
		pairs := make([]string, len(columns))
		for i, c := range columns {
			n++
			pairs[i] = c + " = $" + strconv.Itoa(n)
		}
		return pairs
	}
	set := strings.Join(equals(strings.Split(columns, ", ")[from:]), ", ")
	return "UPDATE " + table + " SET " + set + " WHERE " + strings.Join(equals(by), " AND ")
}

// savedFrom is the index in attemptColumns of the first column that changes: state.
const savedFrom = 5

// SaveAttempt writes a, whose state was from when it was read. It returns
// ErrConflict if the row was changed concurrently to another state.
func (t *Tx) SaveAttempt(a Attempt, from ChunkState) error {
	return t.exec(ErrConflict, saveStatement, append(a.values()[savedFrom:], a.Bulk, a.Number, from)...)
}

// Attempt returns one chunk and locks its row until the transaction ends. It
// returns ErrNotFound if there is none.
func (t *Tx) Attempt(bulk string, number int64) (Attempt, error) {
	row := t.tx.QueryRowContext(t.ctx,
		"SELECT "+attemptColumns+" FROM attempts WHERE bulk = $1 AND number = $2"+t.lock, bulk, number)
	return one(row, scanAttempt)
}

// LastNumber returns the highest number of a chunk of a bulk export; -1 if it has
// none.
func (t *Tx) LastNumber(bulk string) (n int64, err error) {
	err = t.tx.QueryRowContext(t.ctx, "SELECT coalesce(max(number), -1) FROM attempts WHERE bulk = $1", bulk).Scan(&n)
	return n, err
}

// unfinished lists the states in which work is left to do, as SQL.
const unfinished = "('planned', 'creating', 'uncertain', 'running', 'ready', 'downloading')"

// CancelAttempts applies the event Cancel of package bulk to every unfinished chunk
// of a bulk export. A chunk whose stored file was to be replaced keeps that file
// and becomes stored. TestMassUpdates of package bulk compares this statement, and
// those of RetryFailed and TakeOver, with Next.
func (t *Tx) CancelAttempts(bulk string) error {
	_, err := t.tx.ExecContext(t.ctx, `UPDATE attempts SET next_at = 0, reason = '', tries = 0, failing_since = 0,
		state = CASE WHEN stored_at > 0 THEN 'stored' ELSE 'cancelled' END
		WHERE bulk = $1 AND state IN `+unfinished, bulk)
	return err
}

// RetryFailed applies the event Retry to every failed chunk of a bulk export whose window
// ends after since: it is planned with all its tries. It returns how many there were.
func (t *Tx) RetryFailed(bulk string, since time.Time) (int, error) {
	result, err := t.tx.ExecContext(t.ctx, `UPDATE attempts SET state = 'planned',
		creates = 0, tries = 0, failing_since = 0, next_at = 0, reason = '',
		candidates = '', damage = '', damaged = 0, failure = '', operation = '', search_export = '',
		intent_at = 0, created_at = 0, finished_at = 0, expires_at = 0, searched_at = 0, watched_since = 0
		WHERE bulk = $1 AND state = 'failed' AND end_at > $2`, bulk, micros(since))
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// TakeOver makes the files ready that the previous leaseholder of the account was
// fetching when it died. The bytes that arrived are still on disk, so the next
// fetch resumes.
func (t *Tx) TakeOver(account string) error {
	_, err := t.tx.ExecContext(t.ctx,
		"UPDATE attempts SET state = 'ready' WHERE account = $1 AND state = 'downloading'", account)
	return err
}
