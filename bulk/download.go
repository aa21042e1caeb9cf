package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
)

const (
	// downloads is how many files are fetched at once.
	downloads = 4
	// unsound is how often a file is fetched before its export is given up.
	unsound = 3
	// fetchAgain is before a file is tried again; it doubles up to a minute.
	fetchAgain = time.Second
	// copyAgain is before a file is copied again whose mirror was away.
	copyAgain = 10 * time.Second
)

// download fetches the files of completed exports.
func (w *worker) download(ctx context.Context) {
	free := make(chan struct{}, downloads)
	for range downloads {
		free <- struct{}{}
	}
	defer func() { // what was begun is let go of in order
		for range downloads {
			<-free
		}
	}()
	for {
		b, c, err := w.nextFile(ctx)
		if err != nil {
			w.troubled(ctx, err)
		}
		if c == nil {
			if !await(ctx, w.downloads, lookAround) {
				return
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-free:
		}
		if !w.begin(ctx, c) {
			free <- struct{}{}
			continue
		}
		go func() {
			defer func() { free <- struct{}{} }()
			w.carryOut(ctx, b, *c)
		}()
	}
}

// nextFile returns a chunk whose file is due.
func (w *worker) nextFile(ctx context.Context) (of ledger.Bulk, c *ledger.Chunk, err error) {
	err = w.eachBulk(ctx, func(b ledger.Bulk) error {
		if c != nil {
			return nil
		}
		due, err := w.o.Ledger.Due(ctx, b.ID, ledger.ChunkReady, time.Now(), 1)
		if len(due) > 0 {
			of, c = b, &due[0]
		}
		return err
	}, ledger.BulkRunning)
	return of, c, err
}

// begin makes a file that is due one that is being fetched.
func (w *worker) begin(ctx context.Context, c *ledger.Chunk) bool {
	err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return move(t, *c, ledger.ChunkDownloading) })
	if err != nil {
		if !errors.Is(err, ledger.ErrMoved) {
			w.troubled(ctx, err)
			sleep(ctx, candidacy)
		}
		return false
	}
	c.State = ledger.ChunkDownloading
	return true
}

// carryOut fetches the file of a chunk. What could not be written down is done
// again: the chunk would otherwise stay as it is until another process leads.
func (w *worker) carryOut(ctx context.Context, b ledger.Bulk, c ledger.Chunk) {
	began := time.Now()
	spanned, done := step(ctx, "fetch chunk", b, c)
	err := w.fetch(spanned, b, c)
	done()
	for err != nil && ctx.Err() == nil {
		w.hindered(ctx, err, began)
		sleep(ctx, candidacy)
		err = w.readyAgain(context.WithoutCancel(ctx), c, fetchAgain)
	}
}

// fetch fetches the file of a chunk and records it.
func (w *worker) fetch(ctx context.Context, b ledger.Bulk, c ledger.Chunk) error {
	began := time.Now()
	x, err := w.o.Ledger.Export(ctx, c.Export)
	if err != nil {
		return err
	}
	var r client.ExportRequest
	if err := json.Unmarshal(x.Request, &r); err != nil {
		return err
	}
	f := archive.Fetch{
		Folder: b.Name, Name: fileName(c, r), OperationID: x.Operation, Start: c.Start, End: c.End,
		Format: string(r.Format), TimeColumn: archive.TimeColumn(string(r.Type)), ExportedAt: x.CreatedAt, Took: x.FinishedAt.Sub(x.CreatedAt),
		Unrecorded: true, AllowLoopback: w.client.Loopback(), Check: w.proof(ctx, x, r), Copy: w.o.Mirror.Copy(b.Name),
		Link: func(ctx context.Context) (string, error) {
			link, err := w.client.ExportResults(ctx, x.SearchExport)
			return link.URL, err
		},
	}
	replaced := ""
	if c.Provisional { // it was stored once, too early
		if replaced, err = w.o.Archive.SetAside(b.Name, f.Name, time.Now()); err != nil {
			return w.unfetched(ctx, attempt{b, c, x, f, began}, err)
		}
	}
	file, err := w.o.Archive.Fetch(ctx, f)
	if err != nil {
		return w.unfetched(ctx, attempt{b, c, x, f, began}, err)
	}
	return w.store(ctx, b, c, x, file, replaced)
}

func fileName(c ledger.Chunk, r client.ExportRequest) string {
	return archive.FileName(c.Start, c.End, archive.Suffix(string(r.Format)))
}

// store records a file that has its name.
func (w *worker) store(ctx context.Context, b ledger.Bulk, c ledger.Chunk, x ledger.Export, f archive.File, replaced string) error {
	ctx = context.WithoutCancel(ctx)
	if replaced != "" {
		if difference, err := w.o.Archive.Compare(ctx, b.Name, replaced, f); err == nil {
			f.Settled = &difference
		} else {
			w.o.Log.Warn("a settled file could not be compared with the one before", "file", f.Name, "error", err)
		}
	}
	f.Provisional = f.ExportedAt.Before(c.End.Add(Settled))
	detail, err := json.Marshal(f)
	if err != nil {
		return err
	}
	c.Rows, c.Bytes, c.StoredAt, c.Provisional, c.Error = f.Rows, f.Bytes, time.Now(), f.Provisional, ""
	err = w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.PutFile(ledger.File{Account: b.Account, Folder: b.Name, Name: f.Name, Bulk: b.ID, Number: c.Number, Detail: detail}); err != nil {
			return err
		}
		if err := noteStored(t, x, f); err != nil {
			return err
		}
		return move(t, c, ledger.ChunkStored)
	})
	nudge(w.ends)
	switch {
	case err == nil:
		w.troubled(ctx, nil)
	case errors.Is(err, ledger.ErrMoved):
		return w.unwantedFile(ctx, b, c, f.Name)
	}
	return err
}

// noteStored notes what came of an export. That an operation which was found by
// a search is the export's is certain only now.
func noteStored(t *ledger.Tx, x ledger.Export, f archive.File) error {
	detail, err := json.Marshal(map[string]any{"file": f.Name, "rows": f.Rows, "bytes": f.Bytes, "sha256": f.SHA256})
	if err != nil {
		return err
	}
	note := ledger.Entry{Account: x.Account, Caller: x.AskedBy, Event: ledger.Created, Bulk: x.Bulk, Export: x.ID, Operation: x.Operation, Request: x.Request}
	if len(candidates(x)) > 0 {
		if err := t.Note(note); err != nil {
			return err
		}
	}
	note.Event, note.Request, note.Detail = ledger.Stored, nil, detail
	return t.Note(note)
}

// unwantedFile moves aside the file of a chunk that was cancelled meanwhile, so
// that it does not look like a part of the export. Of a chunk that another
// process has taken over the file stays: it is the right one.
func (w *worker) unwantedFile(ctx context.Context, b ledger.Bulk, c ledger.Chunk, name string) error {
	now, err := w.o.Ledger.Chunk(ctx, c.Bulk, c.Number)
	if err != nil || now.State != ledger.ChunkCancelled {
		return err
	}
	_, err = w.o.Archive.SetAside(b.Name, name, time.Now())
	return err
}

// attempt is a file that was tried to be fetched.
type attempt struct {
	bulk   ledger.Bulk
	chunk  ledger.Chunk
	export ledger.Export
	fetch  archive.Fetch
	began  time.Time
}

// unfetched takes in why a file could not be fetched.
func (w *worker) unfetched(ctx context.Context, a attempt, cause error) error {
	c, x := a.chunk, a.export
	var content *archive.ContentError
	var stranger *strangerError
	var disk *archive.DiskError
	var conflict *archive.ConflictError
	var busy *archive.BusyError
	var copying *mirror.Error
	var api *client.Error
	var link *archive.LinkError
	switch {
	case ctx.Err() != nil:
		return w.readyAgain(context.WithoutCancel(ctx), c, 0)
	case errors.As(cause, &stranger), errors.As(cause, &content) && len(candidates(x)) > 0:
		w.o.Log.Info("a file is not that of the export", "reason", cause, "bulk", a.bulk.Name)
		return w.reject(ctx, x, stranger != nil && stranger.empty)
	case errors.As(cause, &content):
		return w.spoilt(ctx, c, x, content)
	case errors.As(cause, &copying) && copying.Temporary:
		w.troubled(ctx, cause)
		return w.readyAgain(ctx, c, jitter(copyAgain))
	case errors.As(cause, &disk), errors.As(cause, &copying), errors.As(cause, &api) && accountFault(api):
		w.pauseAll(ctx, cause, a.began)
		return w.readyAgain(ctx, c, 0)
	case errors.As(cause, &conflict): // left by an export that was given up
		if _, err := w.o.Archive.SetAside(a.bulk.Name, a.fetch.Name, time.Now()); err != nil {
			w.pauseAll(ctx, err, a.began)
		}
		return w.readyAgain(ctx, c, 0)
	case errors.As(cause, &busy):
		return w.readyAgain(ctx, c, fetchAgain)
	case errors.As(cause, &api) && (api.Status == http.StatusNotFound || api.Status == http.StatusGone):
		return w.gaveUp(ctx, c, x, cause, false)
	}
	w.o.Log.Debug("bulk", "fetch", cause, "bulk", a.bulk.Name, "chunk", c.Number)
	n := w.count(x.ID)
	refused := errors.As(cause, &link) || errors.As(cause, &api) && refusedRequest(api)
	if refused && n >= unsound {
		return w.gaveUp(ctx, c, x, cause, false)
	}
	return w.readyAgain(ctx, c, jitter(min(time.Minute, fetchAgain<<min(n, 6))))
}

// spoilt takes in a file that is not sound: the next link may lead to a sound
// one, else a new export, and one that is too large has to be halved.
func (w *worker) spoilt(ctx context.Context, c ledger.Chunk, x ledger.Export, content *archive.ContentError) error {
	if !content.TooLarge && w.count(x.ID) < unsound {
		return w.readyAgain(ctx, c, fetchAgain)
	}
	return w.gaveUp(ctx, c, x, content, content.TooLarge)
}

// count counts the failed fetches of an export, in this process.
func (w *worker) count(export string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bad[export]++
	return w.bad[export]
}

// readyAgain puts back a file to be fetched after a while.
func (w *worker) readyAgain(ctx context.Context, c ledger.Chunk, after time.Duration) error {
	c.NextAt = time.Time{}
	if after > 0 {
		c.NextAt = time.Now().Add(after)
	}
	err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error { return move(t, c, ledger.ChunkReady) })
	return ignoreMoved(err)
}

// gaveUp gives up an export whose file is not to be had.
func (w *worker) gaveUp(ctx context.Context, c ledger.Chunk, x ledger.Export, cause error, halve bool) error {
	reason := "The file of the export could not be had: " + cause.Error() + "."
	x.State = ledger.ExportLost
	err := w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.SaveExport(x, ledger.ExportCompleted); err != nil {
			return err
		}
		return w.again(t, c, reason, halve)
	})
	nudge(w.creates)
	nudge(w.ends)
	return ignoreMoved(err)
}
