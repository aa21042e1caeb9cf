package exports

import (
	"context"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// Report receives the progress of a call that waits, in percent and in a sentence. A nil
// Report discards it.
type Report func(percent float64, message string)

func (r Report) say(percent float64, format string, args ...any) {
	if r != nil {
		r(percent, fmt.Sprintf(format, args...))
	}
}

// Fetched is the file of an operation, or the progress towards it.
type Fetched struct {
	Download
	Path      string           // of the stored file on disk; empty if it is only in the mirror
	Object    string           // address of its copy; empty without a mirror
	Operation client.Operation // present until the download begins, otherwise empty
	Cancelled bool             // the export was cancelled, so that there will be no file
}

const (
	// downloadPollInterval is the pause between two reads of the state of a file.
	downloadPollInterval = 100 * time.Millisecond
	// pollsPerRequest is how many reads of the ledger there are for each request to
	// Fullstory: about one request a second.
	pollsPerRequest = 10
)

// Fetch requests the file of an operation and waits until it is stored or has failed, or
// until the instant until. The work continues after that, and when ctx ends.
func (a *Account) Fetch(ctx context.Context, operationID string, until time.Time, report Report) (Fetched, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return Fetched{}, err
	}
	asked := false
	for n := 0; ; n++ {
		ask, left := !asked, time.Until(until)
		d, err := engine.Download(ctx, operationID, ask, n%pollsPerRequest == 0)
		asked = asked || err == nil
		switch {
		case worthWaiting(err, left): // for an operation that the ledger does not have
			if !pausedFor(ctx, max(client.RetryAfter(err), time.Second)) {
				return Fetched{}, ctx.Err()
			}
			continue
		case err != nil:
			return Fetched{}, err
		case d.File != nil:
			return a.located(d), a.note(ctx, ledger.Fetched, operationID)
		case d.Lost != "":
			return Fetched{Download: d}, nil
		case !ask && ended(d.Attempt.State), left <= 0:
			return a.unfetched(ctx, operationID, d)
		}
		if d.Total > 0 {
			report.say(float64(100*d.Done/d.Total), "The file is being fetched: %d of %d bytes.", d.Done, d.Total)
		}
		select {
		case <-ctx.Done():
			return Fetched{}, ctx.Err()
		case <-time.After(min(downloadPollInterval, left)):
		}
	}
}

// ended reports whether work on an export has stopped until a caller asks for a retry.
func ended(s ledger.ChunkState) bool { return s == ledger.ChunkFailed || s == ledger.ChunkCancelled }

// located adds where a stored file is.
func (a *Account) located(d Download) Fetched {
	f := Fetched{Download: d}
	if onDisk(a.Archive, d.Folder, *d.File) {
		f.Path = a.Archive.Path(d.Folder, d.File.Name)
	}
	if a.Mirror != nil {
		f.Object = a.Mirror.Address(d.Folder + "/" + d.File.Name)
	}
	return f
}

// unfetched adds the operation, while Fullstory works on it.
func (a *Account) unfetched(ctx context.Context, operationID string, d Download) (Fetched, error) {
	f := Fetched{Download: d}
	var err error
	switch d.Attempt.State {
	case ledger.ChunkReady, ledger.ChunkDownloading:
	case ledger.ChunkCancelled:
		f.Cancelled = true
	case ledger.ChunkFailed:
		f.Cancelled = a.stoppedByCancel(ctx, operationID, d.Attempt.Reason)
	default:
		f.Operation, err = a.Client.Operation(ctx, operationID)
		if passing(err) { // the ledger knows that it runs
			f.Operation, err = client.Operation{
				ID: operationID, Type: client.SearchExport, State: client.Pending, CreatedAt: d.Attempt.CreatedAt,
			}, nil
		}
		f.Cancelled = err == nil && f.Operation.State == client.Failed && a.About(ctx, f.Operation).Cancelled
	}
	return f, err
}

// pausedFor waits for d. It returns false at once if ctx ends.
func pausedFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// stoppedByCancel reports whether Fullstory stopped an operation because it was
// cancelled. Its attempt failed for a reason. It asks Fullstory only about an operation
// that may have been cancelled, because a cancellation may have come after the end, and
// returns false if Fullstory does not answer.
func (a *Account) stoppedByCancel(ctx context.Context, operation, reason string) bool {
	cancelled, err := a.hasCancelled(ctx, operation)
	if err != nil || !cancelled && !saysCancelled(reason) {
		return false
	}
	op, err := a.operation(ctx, operation)
	return err == nil && op.State == client.Failed && (cancelled || saysCancelled(op.Error))
}
