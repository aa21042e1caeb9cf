package bulk

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/rows"
)

const (
	// slots is how many files are fetched at once.
	slots = 6
	// slotsShared is how many of them any bulk export may use. The next one is for a bulk
	// export that has none, so that the slow stores of others do not block it, and the last
	// one for a caller that has none.
	slotsShared = slots - 2
	// busyAgain and copyAgain are the delays before the retry of a file that another
	// process fetches, and of one that could not be copied to the mirror.
	busyAgain = time.Second
	copyAgain = 10 * time.Second
)

// fetch fetches the files of completed exports, up to slots at once. It returns after
// the fetches under way have ended.
func (w *worker) fetch(ctx context.Context) {
	free := semaphore.NewWeighted(slots)
	defer free.Acquire(context.WithoutCancel(ctx), slots) // waits for the fetches under way
	for free.Acquire(ctx, 1) == nil {
		began := time.Now()
		begun, wait, err := w.fetchNext(ctx, func() { free.Release(1) })
		if begun {
			continue
		}
		free.Release(1)
		if err != nil && ctx.Err() == nil {
			w.handle(ctx, err, began)
		}
		if !await(ctx, w.fetches, wait) {
			return
		}
	}
}

// fetchNext begins to fetch the file that is due, and calls done when that has ended.
// If none is due, begun is false and wait is the time until the next one is.
func (w *worker) fetchNext(ctx context.Context, done func()) (begun bool, wait time.Duration, err error) {
	b, a, err := w.nextFile(ctx)
	if err != nil {
		return false, retryPause, err
	}
	if a == nil {
		wait, err = w.untilDue(ctx, ready, nil)
		return false, wait, err
	}
	now, _, err := w.apply(ctx, b, *a, Event{Kind: Fetch})
	if err != nil || now.State != downloading {
		w.release(b)
		return false, retryPause, w.confine(ctx, b, *a, err)
	}
	go func() {
		defer func() {
			w.release(b)
			done()
			w.Wake(w.fetches)
		}()
		w.fetchOne(ctx, b, now)
	}()
	return true, 0, nil
}

// nextFile returns a chunk whose file is due, nil if there is none: of the caller and its
// bulk export with the fewest fetches under way. It counts the fetch in busy until release.
func (w *worker) nextFile(ctx context.Context) (of ledger.Bulk, chosen *ledger.Attempt, err error) {
	due, err := w.o.Ledger.Next(ctx, w.o.Account, ready, time.Now())
	if err != nil {
		return of, nil, err
	}
	for i, a := range due {
		b, ok, err := w.bulkOf(ctx, a)
		if err != nil {
			return of, nil, err
		}
		w.mu.Lock()
		n, ofCaller := w.busy.Of(b)
		free := w.busy.All < slotsShared || n == 0 && w.busy.All <= slotsShared || ofCaller == 0
		if ok && free && (chosen == nil || w.busy.Before(b, of, &w.fetched)) {
			of, chosen = b, &due[i]
		}
		w.mu.Unlock()
	}
	if chosen != nil {
		w.mu.Lock()
		w.busy.Add(of, 1)
		w.fetched.Serve(of)
		w.mu.Unlock()
	}
	return of, chosen, nil
}

// release ends the count of one fetch of a bulk export.
func (w *worker) release(b ledger.Bulk) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy.Add(b, -1)
}

// fetchOne fetches the file of a chunk and records the outcome. It retries the record
// while the ledger fails: otherwise the chunk would stay downloading until the next
// leaseholder takes over.
func (w *worker) fetchOne(ctx context.Context, b ledger.Bulk, a ledger.Attempt) {
	spanned, done := traced(ctx, "fetch chunk", b, a)
	began := time.Now()
	var e Event
	if err := w.catchPanic(func() { e = w.fetchFile(spanned, b, a) }); err != nil {
		e = Event{Kind: BreakOff, Operation: a.Operation, Reason: "The file could not be fetched: " + err.Error() + "."}
	}
	done()
	for {
		_, _, err := w.apply(ctx, b, a, e)
		if err = w.confine(ctx, b, a, err); err == nil {
			if e.Kind == Store {
				w.block(ctx, nil)
			}
			return
		}
		w.handle(ctx, err, began)
		if !await(ctx, nil, retryPause) {
			return
		}
	}
}

// fetchFile fetches the file of a chunk and returns the outcome as an event.
func (w *worker) fetchFile(ctx context.Context, b ledger.Bulk, a ledger.Attempt) Event {
	progress, end := w.progress.Track(a.Operation)
	defer end()
	began := time.Now()
	r, err := RequestOf(b, a)
	if err != nil {
		return Event{Kind: BreakOff, Operation: a.Operation, Reason: err.Error()}
	}
	wanted := archive.Wanted{
		Folder: FolderOf(b, a), OperationID: a.Operation,
		Name:       w.o.Archive.NameFor(FolderOf(b, a), a.Operation, a.Start, a.End, archive.Suffix(string(r.Format))),
		Rules:      rows.RulesOf(string(r.Type), string(r.Format), r.Fields).Within(a.Start, a.End),
		ExportedAt: a.CreatedAt, Took: a.FinishedAt.Sub(a.CreatedAt),
		Check: w.verifyCandidate(ctx, a, r), Copy: w.o.Mirror.Copy(FolderOf(b, a)),
		Replace: true, KeepDamaged: a.Damaged > 0 && a.Damage != "",
	}
	bring := w.o.Archive.Bring
	if b.Single { // its manifest is not the finish loop's
		bring = w.o.Archive.BringOnce
	}
	file, superseded, err := bring(ctx, wanted, w.load(a, progress))
	if err == nil && b.Single && r.SegmentID != "" {
		err = w.o.Archive.Describe(ctx, wanted.Folder, archive.Manifest{
			Account: b.Account, OperationID: a.Operation, SegmentName: b.SegmentName, Request: b.Request,
			Now: b.CreatedAt, CreatedAt: b.CreatedAt, Notices: b.Notices, Program: w.o.Program,
		})
	}
	if err == nil && b.Single {
		err = w.o.Mirror.CopyManifest(ctx, w.o.Archive, wanted.Folder)
	}
	if err != nil {
		return w.fetchFailed(ctx, b, a, err, began)
	}
	if a.Provisional {
		file.Settled = w.compare(ctx, wanted.Folder, superseded, file)
	}
	file.Provisional = !a.End.IsZero() && file.ExportedAt.Before(a.End.Add(Settled))
	return Event{Kind: Store, Operation: a.Operation, File: file}
}

// load returns the function that downloads the file of an export into the archive.
func (w *worker) load(a ledger.Attempt, progress func(done, total int64)) archive.Load {
	source := download.Source{
		Link: func(ctx context.Context) (string, error) {
			link, err := w.client.ExportResults(ctx, a.SearchExport)
			return link.URL, err
		},
		AllowLoopback: w.client.Loopback(), Stores: w.o.Stores, Tries: 1, Progress: progress,
	}
	return func(ctx context.Context, p *archive.Part) (archive.Loaded, error) {
		result, err := source.To(ctx, p)
		return archive.Loaded(result), err
	}
}

// compare returns how a settled file differs from the replaced one; nil if that is not known.
func (w *worker) compare(ctx context.Context, folder, superseded string, file archive.File) *archive.Difference {
	difference, err := w.o.Archive.Compare(ctx, folder, superseded, file)
	if err != nil {
		w.o.Log.Warn("a settled file could not be compared with the one before", "file", file.Name, "error", err)
		return nil
	}
	return &difference
}

// Progress returns how many bytes of the file of an operation have arrived, and of how
// many, -1 if that is unknown. ok is false if this process is not fetching it.
func (e *Engine) Progress(operation string) (done, total int64, ok bool) {
	return e.progress.Arrived(operation)
}

// fetchFailed turns the failure of a fetch into an event, and blocks what it
// concerns beyond the chunk.
func (w *worker) fetchFailed(ctx context.Context, b ledger.Bulk, a ledger.Attempt, cause error, began time.Time) Event {
	e := Event{Kind: BreakOff, Operation: a.Operation, At: w.apiNow(ctx)}
	said, remedy := w.o.Explain(ctx, cause)
	if b.Single { // its caller sees nothing else
		said = strings.TrimSpace(said + " " + remedy)
	}
	e.Reason = "The file of the export could not be fetched: " + said
	var content *rows.Error
	var foreign *foreignError
	var disk *archive.DiskError
	var busy *archive.BusyError
	var copying *mirror.Error
	var link *download.LinkError
	var transfer *download.TransferError
	var api *client.Error
	switch {
	case ctx.Err() != nil:
		e.Kind = Interrupt
	case errors.As(cause, &foreign):
		e.Kind, e.Empty, e.Reason = FindForeign, foreign.empty, foreign.Error()
	case errors.As(cause, &content) && (Attempt{Attempt: a}).unproved():
		e.Kind, e.Reason = FindForeign, client.Plain(content.Error(), 300)
	case errors.As(cause, &content):
		e.Kind, e.Final, e.Damage, e.Reason = FindDamage, content.TooLarge, string(content.Kind), damageOf(content)
		if len(content.Stack) > 0 {
			w.o.Log.Error("internal error", "error", content, "stack", string(content.Stack))
		}
	case errors.As(cause, &copying) && copying.Temporary:
		e.Kind, e.After = Postpone, copyAgain
	case errors.As(cause, &disk), errors.As(cause, &copying), errors.As(cause, &link) && link.Unlisted:
		e.Kind, e.After, e.Final = Postpone, copyAgain, true
		w.pause(ctx, cause, began, func(other ledger.Bulk) bool { return concerns(disk, link, b, other) })
	case errors.As(cause, &busy):
		e.Kind, e.After = Postpone, busyAgain
	case errors.As(cause, &link):
		e.Kind, e.Final = NotReady, link.Status != 0 && !link.Stale()
	case errors.As(cause, &transfer):
		e.After = transfer.RetryAfter
	case errors.As(cause, &api):
		e = w.noLink(ctx, b, e, api, began)
	}
	w.o.Log.Debug("bulk", "fetch", cause, "bulk", b.Name, "chunk", a.Number, "event", e.Kind)
	return e
}

// noLink turns a failure to get a link into an event.
func (w *worker) noLink(ctx context.Context, b ledger.Bulk, e Event, failed *client.Error, began time.Time) Event {
	switch failed.Kind() {
	case client.KeyRejected:
		e.Kind, e.After, e.Final = Postpone, busyAgain, true
		w.rejectKey(ctx, b, failed, began)
	case client.Throttled:
		e.Kind, e.After = Postpone, failed.RetryAfter
	case client.Rejected, client.NotTheAPI:
		e.Kind, e.Final = NotReady, failed.Status == http.StatusGone
	}
	return e
}

// concerns reports whether an error of the disk, a link or else the mirror that blocks b blocks
// another bulk export too: not if it is about a link or the folder of b.
func concerns(disk *archive.DiskError, link *download.LinkError, b, other ledger.Bulk) bool {
	return other.ID == b.ID || link == nil && (disk == nil || !strings.HasSuffix(disk.Path, b.Name))
}

// damageOf returns the reason of a chunk whose file is damaged.
func damageOf(content *rows.Error) string {
	text := "The file of the export is damaged: " + client.Plain(content.Reason, 300) + "."
	if content.Kept != "" {
		text += " It is kept in " + content.Kept + "."
	}
	return text
}

// FolderOf returns the folder of the archive that has the file of an attempt.
func FolderOf(b ledger.Bulk, a ledger.Attempt) string {
	if b.Single {
		return archive.OperationFolder(a.Operation)
	}
	return b.Name
}
