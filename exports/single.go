package exports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	createOp = "create segment export"
	// createPollInterval is the pause between two reads of the ledger while a caller
	// waits for its single export to be created.
	createPollInterval = 25 * time.Millisecond
)

// Created is a single export that Fullstory accepted.
type Created struct {
	Operation string
	Reused    bool // it existed before
	CreatedAt time.Time
}

// Single is a single export to be created.
type Single struct {
	Request     client.ExportRequest // as resolved
	SegmentName string               // as Fullstory calls the segment; may be empty
	NowGiven    bool                 // the caller chose Request.Now
}

// Reusable returns an identical export that serves for s: one that is running, or that
// has not expired and was created after its rows had settled. It fails with
// ledger.ErrNotFound if there is none.
func (e *Exports) Reusable(ctx context.Context, s Single) (Created, error) {
	fingerprint := client.Fingerprint(s.Request, s.NowGiven)
	op, err := e.engine.Serves(ctx, fingerprint, e.now(), client.Instant(s.Request.TimeRange.End))
	if err != nil {
		return Created{}, err
	}
	return Created{Operation: op.ID, Reused: true, CreatedAt: op.CreatedAt}, nil
}

// Create creates a single export, and waits for its operation. Unless forceNew is set it
// uses an identical one, see Reusable. Run must be running, in this process or in
// another one that works for the account. A create that Fullstory throttled was certainly
// not executed, so Create sends another one while the deadline of ctx leaves time for it.
//
// It fails with Fullstory's answer, a *client.Error. If ctx ends first, the error says
// whether the export may still be created.
func (e *Exports) Create(ctx context.Context, s Single, forceNew bool) (Created, error) {
	raw, err := json.Marshal(s.Request)
	if err != nil {
		return Created{}, err
	}
	fingerprint := client.Fingerprint(s.Request, s.NowGiven)
	start, end := client.Instant(s.Request.TimeRange.Start), client.Instant(s.Request.TimeRange.End)
	if !forceNew {
		existing, err := e.Reusable(ctx, s)
		if err == nil {
			return existing, e.note(ctx, ledger.Entry{Event: ledger.Reused, Operation: existing.Operation})
		}
		if !errors.Is(err, ledger.ErrNotFound) {
			return Created{}, err
		}
	}
	for try := 1; ; try++ {
		b := e.single(ledger.NewID("export"), raw)
		b.Fingerprint, b.SegmentName, b.NowGiven, b.Trace = fingerprint, s.SegmentName, s.NowGiven, traceOf(ctx)
		a := ledger.Attempt{Bulk: b.ID, Account: b.Account, Start: start, End: end, State: ledger.ChunkPlanned}
		if err := e.add(ctx, b, []ledger.Attempt{a}, Order{}); err != nil {
			return Created{}, err
		}
		created, err := e.awaitCreated(ctx, b)
		if err == nil || try == throttledCreates || !awaitThrottled(ctx, err) {
			return created, err
		}
	}
}

// throttledCreates bounds the creates that Create sends if Fullstory throttles them. The
// client retries each of them first.
const throttledCreates = 4

// awaitThrottled waits until Fullstory accepts requests again, if err is that it throttled a
// create. It reports false, at once, if err is another one or ctx ends before that.
func awaitThrottled(ctx context.Context, err error) bool {
	if client.KindOf(err) != client.Throttled {
		return false
	}
	wait := max(client.RetryAfter(err), time.Second)
	if end, ok := ctx.Deadline(); !ok || time.Until(end) <= wait+leastCreate {
		return false
	}
	return pausedFor(ctx, wait)
}

// leastCreate is the time that a create needs at least.
const leastCreate = time.Second

// single returns a single export: a bulk export of one chunk that lists do not contain.
func (e *Exports) single(id string, request json.RawMessage) ledger.Bulk {
	return ledger.Bulk{
		ID: id, Account: e.o.Account, Name: id, Request: request, State: ledger.BulkRunning,
		CreatedAt: e.o.Now(), Single: true, Key: e.o.Client.KeyHash(),
	}
}

// awaitCreated waits until the process that works for the account has created a
// single export.
func (e *Exports) awaitCreated(ctx context.Context, b ledger.Bulk) (Created, error) {
	for {
		a, err := e.o.Ledger.Attempt(ctx, b.ID, 0)
		if err != nil && ctx.Err() == nil {
			return Created{}, err
		}
		switch {
		case a.Operation != "":
			return Created{Operation: a.Operation, CreatedAt: a.CreatedAt}, nil
		case a.State == ledger.ChunkFailed || a.State == ledger.ChunkCancelled:
			return Created{}, failureOf(a.Failure)
		}
		select {
		case <-time.After(createPollInterval):
		case <-ctx.Done():
			return Created{}, e.withdraw(context.WithoutCancel(ctx), b)
		}
	}
}

// failureOf returns the error that the engine recorded as JSON.
func failureOf(raw json.RawMessage) error {
	var e client.Error
	if json.Unmarshal(raw, &e) != nil {
		return errors.New("the export failed, and the ledger does not say why")
	}
	return &e
}

// withdraw cancels a single export whose caller has stopped waiting, if its create was
// not sent, and returns the error for the caller. Once the create was sent, the export
// may exist, and the error is uncertain.
func (e *Exports) withdraw(ctx context.Context, b ledger.Bulk) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	withdrawn := false
	err := e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		current, err := t.Attempt(b.ID, 0)
		if err != nil || current.State != ledger.ChunkPlanned {
			return err
		}
		withdrawn = true
		if err := t.CancelAttempts(b.ID); err != nil {
			return err
		}
		return t.MoveBulk(b.ID, ledger.BulkRunning, ledger.BulkCancelled, "", e.o.Now())
	})
	switch {
	case err != nil:
		return err
	case withdrawn:
		return e.notInTime()
	}
	return &client.Error{Op: createOp, Uncertain: true, Err: errors.New("no answer in time")}
}

// notInTime is the error of an export whose create was not sent while its caller waited. It
// says until when Fullstory accepts no requests, if that is why.
func (e *Exports) notInTime() error {
	x := Explanation{
		Kind: Ended, Retry: RetrySafeLater,
		Cause: "The export was not started in time, because other creates come first or Fullstory asked this program to " +
			"wait.",
	}
	if pause := time.Until(e.o.Client.PausedUntil()); pause > 0 {
		x.Cause, x.After = sentences(x.Cause, acceptsAgain(e.now(), pause)), pause
	}
	return &Error{Explanation: x}
}

// Download is the state of the file of an operation.
type Download struct {
	Attempt     ledger.Attempt
	Request     client.ExportRequest // empty for an operation of another program
	Export      *Description         // nil likewise
	Folder      string               // in the archive
	File        *archive.File        // nil until it is stored, and if it is not there any more
	Lost        string               // a sentence if the file of a chunk of a bulk export is not there any more
	Done, Total int64                // bytes, if this process is fetching; Total -1: not known
}

// Download returns the state of the file of an operation.
//
// With request it asks the process that works for the account to fetch the file, unless
// it is stored or being fetched. With refresh it asks Fullstory whether the operation has
// completed, and goes by the ledger if Fullstory fails for now. An operation that the ledger
// does not have becomes a single export: another program may have created it, or a version
// of this one before the ledger. Download fails with a *client.Error if Fullstory does not
// know the operation either.
func (e *Exports) Download(ctx context.Context, operation string, request, refresh bool) (Download, error) {
	b, a, err := e.chunkOf(ctx, operation)
	if errors.Is(err, ledger.ErrNotFound) {
		b, a, err = e.addForeign(ctx, operation)
	}
	if err == nil && request && b.Single && a.State != ledger.ChunkStored && (!b.Fetch || a.State == ledger.ChunkFailed) {
		b.Fetch = true
		a, err = e.requestFile(ctx, b, a)
	}
	if err == nil && refresh && b.Single && a.State == ledger.ChunkRunning {
		var now ledger.Attempt
		if now, err = e.refresh(ctx, b, a); err == nil {
			a = now
		} else if passing(err) { // the process that works for the account asks as well
			err = nil
		}
	}
	if err != nil {
		return Download{}, err
	}
	d := Download{Attempt: a, Folder: bulk.FolderOf(b, a), Total: -1}
	if d.Request, err = bulk.RequestOf(b, a); err != nil {
		return d, err
	}
	d.Export = describe(d.Request, b.SegmentName)
	if a.State == ledger.ChunkStored {
		return e.downloaded(ctx, b, d, request)
	}
	if done, total, ok := e.engine.Progress(operation); ok {
		d.Done, d.Total = done, total
	}
	return d, nil
}

// downloaded adds the stored file to a Download. If the file is missing from the disk, or
// from the mirror where there is one, the Download has no file. With request, that of a
// single export is fetched again.
func (e *Exports) downloaded(ctx context.Context, b ledger.Bulk, d Download, request bool) (Download, error) {
	file, err := e.fileOf(ctx, d.Attempt)
	if err != nil {
		return d, err
	}
	there, err := e.there(ctx, d.Folder, file)
	switch {
	case err != nil:
	case there:
		d.File = &file
	case !b.Single:
		d.Lost = fmt.Sprintf("The stored file %s of the bulk export %s is missing or has another size.", file.Name, b.Name)
	case request:
		d.Attempt, err = e.requestFile(ctx, b, d.Attempt)
	}
	return d, err
}

// refresh asks Fullstory for the operation of a single export, and records the answer.
func (e *Exports) refresh(ctx context.Context, b ledger.Bulk, a ledger.Attempt) (ledger.Attempt, error) {
	op, err := e.o.Client.Operation(ctx, a.Operation)
	if err != nil {
		return a, err
	}
	event := e.engine.EventOf(ctx, a.Operation, op, nil, e.now())
	a, _, err = e.engine.Apply(ctx, b, a, event, func(t *ledger.Tx) error { return t.Wake(b.Account) })
	return a, err
}

// fileOf returns the record of the stored file of an attempt.
func (e *Exports) fileOf(ctx context.Context, a ledger.Attempt) (file archive.File, err error) {
	f, err := e.o.Ledger.FileOf(ctx, a.Bulk, a.Number)
	if err == nil {
		err = json.Unmarshal(f.Detail, &file)
	}
	if err != nil {
		err = fmt.Errorf("read the record of a stored file: %w", err)
	}
	return file, err
}

// chunkOf returns the chunk whose current export is an operation. It fails with
// ledger.ErrNotFound if there is none.
func (e *Exports) chunkOf(ctx context.Context, operation string) (b ledger.Bulk, a ledger.Attempt, err error) {
	id := e.foreignID(operation)
	a, err = e.o.Ledger.Attempt(ctx, id, 0)
	if errors.Is(err, ledger.ErrNotFound) {
		var o ledger.Operation
		if o, err = e.o.Ledger.Operation(ctx, e.o.Account, operation); err != nil {
			return b, a, err
		}
		id = o.Bulk
		if a, err = e.o.Ledger.Attempt(ctx, o.Bulk, o.Number); err == nil && a.Operation != operation {
			err = ledger.ErrNotFound // the chunk was exported again by another operation
		}
	}
	if err != nil {
		return b, a, err
	}
	b, err = e.o.Ledger.Bulk(ctx, e.o.Account, id)
	return b, a, err
}

// foreignID is the id of the single export of an operation that this ledger did not
// create. It is computed, so that concurrent calls make one export.
func (e *Exports) foreignID(operation string) string {
	sum := sha256.Sum256([]byte(e.o.Account + "\x00" + operation))
	return "export_" + hex.EncodeToString(sum[:10])
}

// addForeign records a single export for an operation that this ledger did not create.
// Versions before the ledger recorded its request in the manifest of its folder.
func (e *Exports) addForeign(ctx context.Context, operation string) (b ledger.Bulk, a ledger.Attempt, err error) {
	op, err := e.o.Client.Operation(ctx, operation)
	if err != nil {
		return b, a, err
	}
	request, name := json.RawMessage("{}"), ""
	m, err := e.o.Archive.Manifest(archive.OperationFolder(operation))
	if err == nil && m.Account == e.o.Account && len(m.Request) > 0 {
		request, name = m.Request, m.SegmentName
	}
	var r client.ExportRequest
	if err := json.Unmarshal(request, &r); err != nil {
		return b, a, err
	}
	b = e.single(e.foreignID(operation), request)
	b.Fetch, b.SegmentName = true, name
	a = ledger.Attempt{
		Bulk: b.ID, Account: b.Account, State: ledger.ChunkRunning,
		Start: client.Instant(r.TimeRange.Start), End: client.Instant(r.TimeRange.End),
		Operation: op.ID, IntentAt: op.CreatedAt, CreatedAt: op.CreatedAt, WatchedSince: time.Now(),
	}
	err = e.add(ctx, b, []ledger.Attempt{a}, Order{})
	if errors.Is(err, ledger.ErrConflict) { // a concurrent call was faster
		return e.chunkOf(ctx, operation)
	}
	return b, a, err
}

// requestFile records that the file of a single export is to be fetched, and wakes the
// process that works for the account. It returns the attempt as it is afterwards.
func (e *Exports) requestFile(ctx context.Context, b ledger.Bulk, a ledger.Attempt) (ledger.Attempt, error) {
	var next bulk.Attempt
	err := e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		current, err := t.Attempt(b.ID, a.Number)
		if err != nil {
			return err
		}
		attempt := bulk.Attempt{Attempt: current, Rules: e.engine.Rules(b)}
		next, _ = bulk.Next(attempt, bulk.Event{Kind: bulk.RequestFile}, time.Now())
		if err := t.RequestFile(b.ID); err != nil || next.State == current.State {
			return err
		}
		if err := t.SaveAttempt(next.Attempt, current.State); err != nil {
			return err
		}
		return t.Wake(b.Account)
	})
	e.engine.Wake()
	return next.Attempt, err
}
