package bulk

import (
	"encoding/json"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// Attempt is a chunk and its present export, with the rules of its bulk export.
type Attempt struct {
	ledger.Attempt
	Rules
}

// Rules are the same for every chunk of a bulk export.
type Rules struct {
	Deadline time.Duration // of one export at Fullstory
	Floor    time.Duration // a window of twice this or more is halved when its export fails
	Single   bool          // a single export: created once, never halved or exported again
	Fetch    bool          // the file is fetched; of a single export only on request
}

const (
	planned     = ledger.ChunkPlanned
	creating    = ledger.ChunkCreating
	uncertain   = ledger.ChunkUncertain
	running     = ledger.ChunkRunning
	completed   = ledger.ChunkCompleted
	ready       = ledger.ChunkReady
	downloading = ledger.ChunkDownloading
	stored      = ledger.ChunkStored
	failed      = ledger.ChunkFailed
	split       = ledger.ChunkSplit
	cancelled   = ledger.ChunkCancelled
)

// Kind says what happened to an attempt.
type Kind string

// The kinds of events. Those of a create and of an operation come from
// Fullstory's answers, those of a fetch from the archive, the rest from callers.
const (
	Send        Kind = "send"        // the intent is committed before the create is sent
	Reuse       Kind = "reuse"       // an identical operation is used instead of a new one
	Accept      Kind = "accept"      // Fullstory named the operation
	Reject      Kind = "reject"      // Fullstory rejected the create
	Throttle    Kind = "throttle"    // 429
	Unsent      Kind = "unsent"      // the create did not reach Fullstory, or the key was rejected
	LoseAnswer  Kind = "lose answer" // Fullstory may have created an export
	Find        Kind = "find"        // a search found operations that may be the export
	FindNone    Kind = "find none"
	Pend        Kind = "pend" // the operation runs
	Complete    Kind = "complete"
	NoExport    Kind = "no export" // the operation is completed, but names no file
	Fail        Kind = "fail"
	Vanish      Kind = "vanish" // Fullstory does not know the operation
	Unread      Kind = "unread" // its status, or the list of operations, could not be read
	Fetch       Kind = "fetch"
	Store       Kind = "store"     // the file is verified and has its name
	Interrupt   Kind = "interrupt" // the process that fetched ends
	Postpone    Kind = "postpone"  // the export is fine, but its file cannot be stored now
	NotReady    Kind = "not ready" // Fullstory or its store does not return the file
	BreakOff    Kind = "break off" // the transfer failed
	FindDamage  Kind = "find damage"
	FindForeign Kind = "find foreign" // the file of a candidate is that of another export
	RequestFile Kind = "request file" // a caller requests the file of a single export
	Settle      Kind = "settle"       // the rows have settled since the file was exported
	Redo        Kind = "redo"         // the stored file is missing
	BringIn     Kind = "bring in"     // a file with the rows of older exports has its name
	Retry       Kind = "retry"        // a failed chunk gets back all its tries
	Break       Kind = "break"        // a bug, or a record that cannot be read
	Cancel      Kind = "cancel"
)

// Event is something that happened to an attempt. Only the fields of its kind are set.
type Event struct {
	Kind      Kind
	Operation string             // the one it is about; "": that of the attempt
	Is        client.Operation   // of Reuse and Complete
	Found     []ledger.Candidate // of Find
	At        time.Time          // by Fullstory's clock
	After     time.Duration      // the least time to wait
	Reason    string             // a sentence, for people
	Damage    string             // of FindDamage: the kind of damage
	Failure   json.RawMessage    // of Reject and FindNone: what a single export fails with
	// Final means of Reject and NotReady that a retry cannot help, of Postpone that an
	// administrator must act, and of FindDamage that the file is too large.
	Final bool
	Early bool         // of Reject: Fullstory has accepted nothing of the bulk export so far
	Empty bool         // of FindForeign: the file has no rows, so it may be that of the export
	File  archive.File // of Store and BringIn
}

// Do is the kind of an effect. All but Discard are in the transaction that saves the attempt.
type Do string

// The effects.
const (
	Record   Do = "record"   // save the facts about Operation
	Note     Do = "note"     // add Event to the audit log
	Split    Do = "split"    // plan the two halves of the window
	Publish  Do = "publish"  // File becomes the file of the chunk
	Accepted Do = "accepted" // Fullstory accepts creates of the bulk export
	Rejected Do = "rejected" // Fullstory rejected a create, see Final and Early
	Delay    Do = "delay"    // create nothing of the bulk export for the time After
	End      Do = "end"      // the single export ends in State
	Discard  Do = "discard"  // move the file away: the chunk was cancelled
)

// Effect is something to be done because of a transition.
type Effect struct {
	Do        Do
	Operation ledger.Operation
	Event     ledger.Event
	Reason    string
	File      archive.File
	After     time.Duration
	State     ledger.BulkState
	Final     bool
	Early     bool
}

// transition is one row of the table: in one of the states from, the event leads to
// one of the states to. do decides to which, and sets the rest of the attempt.
type transition struct {
	from  []ledger.ChunkState
	event Kind
	to    []ledger.ChunkState
	do    func(*step, Event)
	any   bool // the event may be about an operation that the attempt does not know
}

func in(states ...ledger.ChunkState) []ledger.ChunkState { return states }

func become(state ledger.ChunkState) func(*step, Event) {
	return func(s *step, _ Event) { s.State = state }
}
