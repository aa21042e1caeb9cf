// Package bulk carries out exports that take longer than a call: a range in
// hundreds or thousands of chunks, each created at Fullstory, watched, fetched,
// verified and recorded. The ledger is the truth; whatever happens to a
// process, the next one goes on from there. One process at a time works for an
// account, which makes the order of creates, and with it the search for one
// that was cut off, certain.
//
// A single export of a call goes the same way as far as its creation, so that
// it is never lost either.
package bulk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
)

// Settled is how long after its end a window may still change: identities are
// linked, durations settle and late bundles arrive for a day (Fullstory's
// documentation of export freshness).
const Settled = 24 * time.Hour

// Options are what an engine works with. All but Mirror, Explain, Log, Deadline
// and Floor are required.
type Options struct {
	Ledger  *ledger.Ledger
	Client  *client.Client
	Archive *archive.Archive
	Mirror  *mirror.Mirror // where copies of the files are kept; nil: nowhere
	Account string
	Now     func() time.Time // the account's clock: real, or the sandbox's

	// Explain says in sentences what an error means and who does what about it.
	Explain func(context.Context, error) string
	Log     *slog.Logger

	Deadline time.Duration // of one export at Fullstory; 0: two hours
	Floor    time.Duration // the shortest window that a failed one is halved to; 0: 15 minutes
}

// Engine works for one account. Its methods may be called in every process;
// what they ask for is done by the one whose Run leads. It is safe for
// concurrent use.
type Engine struct {
	o      Options
	client *client.Client // whose requests stand behind those of a person

	creates, watches, downloads, ends chan struct{} // nudges of the parts of Run

	mu      sync.Mutex
	trouble string // what holds everything up at present, a sentence
	broken  bool   // it is the ledger, in which nothing can be noted
	copies  copies // in the mirror, of the bulk export that was looked at last
}

// New returns an engine that does nothing until Run.
func New(o Options) *Engine {
	o.Deadline = cmp.Or(o.Deadline, 2*time.Hour)
	o.Floor = cmp.Or(o.Floor, 15*time.Minute)
	if o.Explain == nil {
		o.Explain = func(_ context.Context, err error) string { return err.Error() }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	nudges := func() chan struct{} { return make(chan struct{}, 1) }
	return &Engine{
		o: o, client: o.Client.ForBulk(),
		creates: nudges(), watches: nudges(), downloads: nudges(), ends: nudges(),
	}
}

// nudge wakes one part of Run, if it sleeps.
func nudge(part chan struct{}) {
	select {
	case part <- struct{}{}:
	default:
	}
}

// wake wakes every part of Run.
func (e *Engine) wake() {
	for _, part := range []chan struct{}{e.creates, e.watches, e.downloads, e.ends} {
		nudge(part)
	}
}

// Order is a bulk export to be started.
type Order struct {
	Name        string               // of its folder, see Name
	Request     client.ExportRequest // as resolved, for the whole range
	NowGiven    bool                 // Request.Now was chosen by the caller
	Chunk       string               // how the range is cut, in words
	Windows     []plan.Piece         // the range, cut
	MaxInFlight int                  // exports at Fullstory at once; 0: as many as it bears
	Settle      bool                 // export once more what is exported too early
}

// TakenError says that a name belongs to another bulk export.
type TakenError struct {
	Name string
	Bulk ledger.Bulk
}

func (e *TakenError) Error() string { return "the name " + e.Name + " belongs to another bulk export" }

// Start starts a bulk export. One of the same name and with the same request
// goes on instead, and again is true. It fails with a *TakenError when the name
// belongs to another, or with an error of the ledger.
func (e *Engine) Start(ctx context.Context, o Order) (b ledger.Bulk, again bool, err error) {
	request, err := json.Marshal(o.Request)
	if err != nil {
		return b, false, err
	}
	b = ledger.Bulk{
		ID: ledger.NewID("bulk"), Account: e.o.Account, Name: o.Name, Fingerprint: fingerprint(o.Request, o.NowGiven, o.Chunk), Request: request,
		Chunk: o.Chunk, MaxInFlight: o.MaxInFlight, Settle: o.Settle, NowGiven: o.NowGiven, State: ledger.BulkRunning, CreatedAt: e.o.Now(), Trace: traceOf(ctx),
	}
	chunks := make([]ledger.Chunk, len(o.Windows))
	for i, w := range o.Windows {
		chunks[i] = ledger.Chunk{Bulk: b.ID, Number: int64(i), Start: w.Start, End: w.End, State: ledger.ChunkPlanned}
	}
	err = e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.AddBulk(b); err != nil {
			return err
		}
		return t.AddChunks(chunks)
	})
	if errors.Is(err, ledger.ErrMoved) {
		there, err := e.o.Ledger.Bulk(ctx, e.o.Account, o.Name)
		if err == nil && there.Fingerprint != b.Fingerprint {
			err = &TakenError{Name: o.Name, Bulk: there}
		}
		if err == nil {
			err = e.noteReused(ctx, ledger.Entry{Bulk: there.ID})
		}
		return there, true, err
	}
	e.wake()
	return b, false, err
}

// fingerprint is what makes two requests the same: all of it as it is sent, but
// for now, unless the caller chose it.
func fingerprint(r client.ExportRequest, nowGiven bool, more ...string) string {
	if !nowGiven {
		r.Now = ""
	}
	raw, err := json.Marshal(r.Wire())
	if err != nil {
		panic(err) // it has only texts
	}
	h := sha256.New()
	h.Write(raw)
	for _, m := range more {
		fmt.Fprintf(h, "\x00%s", m)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Action is what can be done to a bulk export.
type Action string

// The actions.
const (
	Pause       Action = "pause"
	Resume      Action = "resume"
	Cancel      Action = "cancel"
	RetryFailed Action = "retry_failed"
)

// StateError says that an action does not fit how a bulk export stands.
type StateError struct {
	Action Action
	State  ledger.BulkState
}

func (e *StateError) Error() string {
	return fmt.Sprintf("a bulk export that is %s cannot do %s", e.State, e.Action)
}

// Control carries out an action on a bulk export, given by id or name. What is
// so already is no error. It fails with ledger.ErrUnknown, a *StateError, or an
// error of the ledger.
func (e *Engine) Control(ctx context.Context, idOrName string, a Action) (ledger.Bulk, error) {
	b, err := e.o.Ledger.Bulk(ctx, e.o.Account, idOrName)
	if err != nil {
		return b, err
	}
	var spoilt []spoiltFile
	if a == RetryFailed {
		if spoilt, err = e.spoiltFiles(ctx, b, looked, 0); err != nil {
			return b, err
		}
	}
	err = e.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return e.act(t, b, a, spoilt) })
	if err != nil && !errors.Is(err, ledger.ErrMoved) {
		return b, err
	}
	e.wake()
	return e.o.Ledger.Bulk(ctx, e.o.Account, b.ID)
}

func (e *Engine) act(t *ledger.Tx, b ledger.Bulk, a Action, spoilt []spoiltFile) error {
	wrong := &StateError{Action: a, State: b.State}
	switch a {
	case Pause:
		if b.State == ledger.BulkPaused {
			return nil
		}
		if b.State != ledger.BulkRunning {
			return wrong
		}
		return t.MoveBulk(b.ID, b.State, ledger.BulkPaused, "Paused on request.", time.Time{})
	case Resume:
		if b.State == ledger.BulkRunning {
			return nil
		}
		if b.State != ledger.BulkPaused {
			return wrong
		}
		return t.MoveBulk(b.ID, b.State, ledger.BulkRunning, "", time.Time{})
	case Cancel:
		if b.State == ledger.BulkCancelled {
			return nil
		}
		if b.State.Ended() {
			return wrong
		}
		if _, err := t.MoveChunks(b.ID, ledger.ChunkCancelled, ledger.ChunkPlanned, ledger.ChunkCreating, ledger.ChunkUncertain, ledger.ChunkRunning, ledger.ChunkReady, ledger.ChunkDownloading); err != nil {
			return err
		}
		return t.MoveBulk(b.ID, b.State, ledger.BulkCancelled, "", e.o.Now())
	case RetryFailed:
		if b.State == ledger.BulkCancelled {
			return wrong
		}
		n, err := t.ForgiveChunks(b.ID)
		if err != nil || n+len(spoilt) == 0 {
			return err
		}
		for _, s := range spoilt {
			s.chunk.Export, s.chunk.Error, s.chunk.Attempts, s.chunk.NextAt, s.chunk.Provisional = "", "", 0, time.Time{}, false
			if err := move(t, s.chunk, ledger.ChunkPlanned); err != nil {
				return err
			}
		}
		return t.MoveBulk(b.ID, b.State, ledger.BulkRunning, "", time.Time{})
	}
	return fmt.Errorf("unknown action %q", a)
}

// Trouble returns what holds up all work of this process at present, a
// sentence, or "". broken is set when that is the ledger.
func (e *Engine) Trouble() (text string, broken bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trouble, e.broken
}

// troubled notes what holds work up; nil that nothing does any more.
func (e *Engine) troubled(ctx context.Context, err error) {
	text := ""
	if err != nil && ctx.Err() == nil {
		text = e.o.Explain(ctx, err)
		e.o.Log.Warn("bulk work is held up", "error", err)
	}
	var l *ledger.Error
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trouble, e.broken = text, errors.As(err, &l)
}
