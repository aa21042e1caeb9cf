// Package exports carries out the use cases of an account: it checks the connection,
// plans, creates, starts, follows, controls, fetches and lists exports, and explains
// every failure (Explain). Tools and commands call it; it knows neither MCP nor the
// command line. Package bulk does the durable work.
package exports

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
)

// Exports are the exports of one account. Its methods may be called in every process
// that uses the ledger: they record what to do there, and the process whose Run holds
// the account's lease does it. Exports is safe for concurrent use.
type Exports struct {
	o      bulk.Options
	engine *bulk.Engine
	quota  ledger.Quota // of the account

	mu          sync.Mutex              // guards the fields below
	copies      map[string]listing      // of the mirror, by the id of the bulk export
	files       map[string]checkedFiles // by the id of the bulk export
	stored      map[string]storedChunks // by the id of the bulk export
	brokenSince time.Time               // since when the ledger fails; zero if it works
}

// New returns the exports of an account. It starts no work; see Run.
func New(o bulk.Options) *Exports {
	return &Exports{
		o: o, engine: bulk.New(o), copies: map[string]listing{},
		files: map[string]checkedFiles{}, stored: map[string]storedChunks{},
		quota: ledger.Quota{Exports: maxOpen, Chunks: maxOpenChunks, Own: 0.1},
	}
}

// What an account may have open at the same time. The engine looks at every open export
// before each create, and the ledger has a row for each chunk.
const (
	maxOpen       = 1000    // exports
	maxOpenChunks = 500_000 // their chunks that are not finished
)

// Run works for the account whenever this process holds its lease. It returns when ctx
// has ended and the work has stopped.
func (e *Exports) Run(ctx context.Context) { e.engine.Run(ctx) }

// Manifest returns the present manifest of a bulk export, by the ledger. The one in its
// folder may be a minute older.
func (e *Exports) Manifest(ctx context.Context, b ledger.Bulk) (archive.Manifest, error) {
	return e.engine.Manifest(ctx, b)
}

// Order is a bulk export to be started.
type Order struct {
	Name        string               // of its folder
	SegmentName string               // as Fullstory calls the segment; may be empty
	Request     client.ExportRequest // as resolved, for the whole range
	NowGiven    bool                 // the caller chose Request.Now
	Chunk       string               // granularity, in words
	Windows     []plan.Chunk         // of the chunks
	MaxInFlight int                  // concurrency limit at Fullstory; 0: adapts automatically
	Settle      bool                 // export chunks again that are exported before their rows settle
	Notices     json.RawMessage      // about the request, kept with the bulk export; may be empty
	Consent     string               // how the user agreed, for the audit log
	Parquet     bool                 // make Parquet files of the stored ones
	Table       ledger.TableFormat   // and one table of these
}

// Start starts a bulk export. If one with the same name and request exists, Start
// returns that one and reused is true; Parquet files that o requests are made of its files
// too. It fails with ErrTaken if the name belongs to another one, or with an error of the
// ledger.
func (e *Exports) Start(ctx context.Context, o Order) (b ledger.Bulk, reused bool, err error) {
	request, err := json.Marshal(o.Request)
	if err != nil {
		return b, false, err
	}
	b = ledger.Bulk{
		ID: ledger.NewID("bulk"), Account: e.o.Account, Name: o.Name, Request: request,
		Fingerprint: client.Fingerprint(o.Request, o.NowGiven, o.Chunk), Granularity: o.Chunk, MaxInFlight: o.MaxInFlight,
		Settle: o.Settle, NowGiven: o.NowGiven, State: ledger.BulkRunning, CreatedAt: e.o.Now(), Trace: traceOf(ctx),
		Fetch: true, Key: e.o.Client.KeyHash(), Notices: o.Notices, SegmentName: o.SegmentName, Consent: o.Consent,
	}
	attempts := make([]ledger.Attempt, len(o.Windows))
	for i, w := range o.Windows {
		attempts[i] = ledger.Attempt{
			Bulk: b.ID, Number: int64(i), Account: b.Account, Start: w.Start, End: w.End, State: ledger.ChunkPlanned,
		}
	}
	err = e.add(ctx, b, attempts, o)
	if !errors.Is(err, ledger.ErrConflict) {
		return b, false, err
	}
	existing, err := e.o.Ledger.Bulk(ctx, e.o.Account, o.Name)
	if err == nil && existing.Fingerprint != b.Fingerprint {
		err = taken(existing)
	}
	if err == nil {
		err = e.note(ctx, existing.About(ledger.Reused))
	}
	if err == nil && o.Parquet {
		err = e.requestParquet(ctx, existing, o.Table)
	}
	return existing, true, err
}

// add records a bulk export with its chunks in one transaction, also that o wants Parquet
// files, and wakes the process that works for the account. It fails
// with ledger.ErrConflict if the name is taken, and with a *ledger.QuotaError if too much is
// open.
func (e *Exports) add(ctx context.Context, b ledger.Bulk, attempts []ledger.Attempt, o Order) error {
	err := e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.AddBulk(b); err != nil {
			return err
		}
		if err := t.Admit(b, len(attempts), e.quota); err != nil {
			return err
		}
		if err := t.AddAttempts(attempts); err != nil {
			return err
		}
		if o.Parquet {
			if err := t.RequestConversion(b, o.Table); err != nil {
				return err
			}
		}
		return t.Wake(b.Account)
	})
	if err == nil {
		e.engine.Wake()
	}
	return err
}

// note adds an entry about the caller of ctx to the audit log.
func (e *Exports) note(ctx context.Context, entry ledger.Entry) error {
	entry.Account, entry.Caller = e.o.Account, ""
	return e.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return t.Note(entry) })
}

// traceOf returns the W3C traceparent of the trace that ctx is part of; "" without one.
func traceOf(ctx context.Context) string {
	kept := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, kept)
	return kept["traceparent"]
}
