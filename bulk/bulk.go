// Package bulk carries out exports durably: a range in hundreds or thousands of
// chunks, or a single one, each created at Fullstory, watched, fetched, verified
// and recorded. The ledger is the truth: whatever happens to a process, the next
// one continues from there. One process at a time works for an account, which makes
// the search for a create whose answer was lost decidable: no other is under way.
//
// Every decision is in machine.go: Next maps an attempt and an event to the next
// attempt and to effects, without I/O. The loops of a worker (create, watch, fetch,
// cancel, finish) do the I/O for one item at a time, turn its result into an event,
// and apply that in one transaction. docs/states.md draws the transitions.
package bulk

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
)

// Settled is how long after its end a window may still change: identities are
// linked, durations settle and late bundles arrive for a day (Fullstory's
// documentation of export freshness).
const Settled = 24 * time.Hour

// everyone is the id of the built-in segment that has all users.
const everyone = "everyone"

// Options are the dependencies and settings of an engine. All but Mirror, Stores,
// Program, Convert, Explain, Log, Deadline and Floor are required.
type Options struct {
	Ledger  *ledger.Ledger
	Client  *client.Client
	Archive *archive.Archive
	Mirror  *mirror.Mirror   // keeps copies of the files; nil: no copies
	Stores  *download.Stores // hosts that links to files may name; nil: every public one
	Account string
	Now     func() time.Time // the account's clock: real, or the sandbox's
	Program string           // version of this program, for manifests; "": left out
	Convert Convert          // makes Parquet files; nil: this process makes none

	// Explain returns the cause of an error, and the remedy if somebody must act, "" if
	// nobody must. Both are sentences. The engine retries chunks, so their reasons are
	// causes alone.
	Explain func(context.Context, error) (cause, remedy string)
	Log     *slog.Logger

	Deadline time.Duration // of one export at Fullstory; 0: two hours
	Floor    time.Duration // the shortest window that halving makes; 0: 15 minutes
}

// Engine works for one account. Its methods may be called in every process; the one
// whose Run holds the account's lease does the work. It is safe for concurrent use.
type Engine struct {
	o      Options
	client *client.Client // its requests give way to interactive ones

	// These wake the loops of Run.
	creates, watches, fetches, cancels, ends, converts, syncs chan struct{}
	asked                                                     chan struct{} // work since the key was rejected

	progress download.Tracker // of files being fetched, by operation

	mu           sync.Mutex // guards the fields below
	blocked      string     // a sentence: why all work waits; "": it does not
	ledgerFailed bool       // the ledger is the cause, so nothing can be recorded
}

// New returns an engine. It does nothing until Run.
func New(o Options) *Engine {
	o.Deadline = cmp.Or(o.Deadline, 2*time.Hour)
	o.Floor = cmp.Or(o.Floor, 15*time.Minute)
	if o.Explain == nil {
		o.Explain = func(_ context.Context, err error) (string, string) { return err.Error(), "" }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	signal := func() chan struct{} { return make(chan struct{}, 1) }
	return &Engine{
		o: o, client: o.Client.ForBulk(),
		creates: signal(), watches: signal(), fetches: signal(), cancels: signal(), ends: signal(),
		converts: signal(), syncs: signal(), asked: signal(),
	}
}

// Wake makes loops look for work; without arguments all of them. It does not block.
func (e *Engine) Wake(loops ...chan struct{}) {
	if len(loops) == 0 {
		loops = []chan struct{}{e.creates, e.watches, e.fetches, e.cancels, e.ends, e.converts, e.syncs, e.asked}
	}
	for _, loop := range loops {
		select {
		case loop <- struct{}{}:
		default:
		}
	}
}

// RequestOf returns the request of a chunk. For everyone and in a sync, a segment window equal
// to the range follows the chunk; any other segment window is that of every chunk. A sync has no
// instant that suits all its windows, so what is relative to now is relative to the end of each.
func RequestOf(b ledger.Bulk, a ledger.Attempt) (r client.ExportRequest, err error) {
	if err := json.Unmarshal(b.Request, &r); err != nil || b.Single {
		return r, err
	}
	window := client.TimeRange{Start: a.Start.UTC().Format(time.RFC3339Nano), End: a.End.UTC().Format(time.RFC3339Nano)}
	if b.Sync != "" {
		r.Now = window.End
	}
	if (r.SegmentID == everyone || b.Sync != "") && r.SegmentTimeRange != nil && *r.SegmentTimeRange == r.TimeRange {
		r.SegmentTimeRange = &window
	}
	r.TimeRange = window
	return r, nil
}
