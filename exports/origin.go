package exports

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"regexp"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// origin is the request that an export was created for. It does not change.
type origin struct {
	request  client.ExportRequest // of this export, as resolved
	segment  string               // name of the segment; empty: not known
	bulkID   string               // empty for a single export
	nowGiven bool                 // the caller chose request.Now
	followed bool                 // the segment's window was equal to the range of the whole export
	choseOwn bool                 // the segment's own window can only have been chosen, see windowOf
}

// originOf returns the origin of an attempt of b.
func originOf(b ledger.Bulk, a ledger.Attempt) (o origin, err error) {
	o = origin{segment: b.SegmentName, nowGiven: b.NowGiven}
	if !b.Single {
		o.bulkID = b.ID
	}
	if o.request, err = bulk.RequestOf(b, a); err != nil {
		return o, err
	}
	whole, _ := requestOf(b)
	o.followed, o.choseOwn = segmentWindowOf(whole)
	return o, nil
}

// segmentWindowOf says how the window of the segment was given in r, the request of a whole
// export: equal to the range, or as the segment's own where that, left out, would have
// become another one or been rejected.
func segmentWindowOf(r client.ExportRequest) (followed, choseOwn bool) {
	if w := r.SegmentTimeRange; w != nil {
		return *w == r.TimeRange, false
	}
	return false, r.SegmentID == preflight.Everyone || preflight.BeyondOwnWindow(r)
}

// operationOrigin returns the origin of an operation of an account. It fails with
// ledger.ErrNotFound for an operation of another program.
func operationOrigin(ctx context.Context, l *ledger.Ledger, account, operation string) (origin, error) {
	o, err := l.Operation(ctx, account, operation)
	if err != nil {
		return origin{}, err
	}
	b, err := l.Bulk(ctx, account, o.Bulk)
	if err != nil {
		return origin{}, err
	}
	a, err := l.Attempt(ctx, o.Bulk, o.Number)
	if err != nil {
		return origin{}, err
	}
	from, err := originOf(b, a)
	if err == nil && from.request.SegmentID == "" { // another program created it
		err = ledger.ErrNotFound
	}
	return from, err
}

// mostKeptFields is the most columns of a request that is cached.
const mostKeptFields = 50

// origin returns the origin of an operation by the ledger or, for an operation that is
// older than the ledger, by the manifest of its folder. It fails with
// ledger.ErrNotFound if this program did not create the operation.
func (a *Account) origin(ctx context.Context, operation string) (o origin, err error) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return o, err
	}
	key := operationKey{id, operation}
	if o, ok := a.origins.get(key); ok {
		return o, nil
	}
	o, err = operationOrigin(ctx, l, id, operation)
	if errors.Is(err, ledger.ErrNotFound) {
		return a.archivedOrigin(id, operation)
	}
	if err == nil && len(o.request.Fields) <= mostKeptFields {
		a.origins.put(key, o)
	}
	return o, err
}

// archivedOrigin is origin by the manifest of the operation's folder.
func (a *Account) archivedOrigin(account, operation string) (o origin, err error) {
	m, err := a.Archive.Manifest(archive.OperationFolder(operation))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return o, err
	}
	if m.Account != account || len(m.Request) == 0 || json.Unmarshal(m.Request, &o.request) != nil ||
		o.request.SegmentID == "" {
		return o, ledger.ErrNotFound
	}
	o.segment = m.SegmentName
	o.followed, o.choseOwn = segmentWindowOf(o.request)
	return o, nil
}

// About is what this program knows about an operation, beyond what Fullstory says.
type About struct {
	Export  *Description // nil if its request is not known
	BulkID  string       // of its bulk export; empty for a single export
	Content string       // sentences: what is exported, and over what period filters are evaluated; empty: not known
	Foreign bool         // another client created it
	// Cancelled: this program has asked Fullstory to stop it, or Fullstory says that it was
	// stopped. Once it has stopped, Fullstory calls it FAILED.
	Cancelled bool
}

// About returns what this program knows about an operation. It asks Fullstory nothing.
// If the ledger cannot be read, it knows nothing.
func (a *Account) About(ctx context.Context, op client.Operation) About {
	about, err := a.about(ctx, op)
	if err != nil {
		return About{}
	}
	return about
}

// about is About with the error of the ledger or the archive.
func (a *Account) about(ctx context.Context, op client.Operation) (about About, err error) {
	o, err := a.origin(ctx, op.ID)
	_, damaged := errors.AsType[*archive.ManifestError](err) // reported when its file is fetched
	switch {
	case err == nil:
		about.Export, about.BulkID = describe(o.request, o.segment), o.bulkID
		about.Content = contentSentences(o.request, o.segment)
	case errors.Is(err, ledger.ErrNotFound):
		about.Foreign = true
	case !damaged:
		return about, err
	}
	if op.State == client.Completed {
		return about, nil
	}
	about.Cancelled, err = a.hasCancelled(ctx, op.ID)
	about.Cancelled = about.Cancelled || saysCancelled(op.Error)
	return about, err
}

// cancelledWords are those of an error that says that an operation was cancelled. An
// error such as "context canceled" says something else.
var cancelledWords = regexp.MustCompile(`(?i)\b(was|been) cancell?ed\b`)

// saysCancelled reports whether the error of an operation says that it was cancelled, by
// whomever. The API has no state for that.
func saysCancelled(text string) bool { return cancelledWords.MatchString(text) }

// hasCancelled reports whether this program has asked Fullstory to stop an operation.
func (a *Account) hasCancelled(ctx context.Context, operation string) (bool, error) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return false, err
	}
	o, err := l.Operation(ctx, id, operation)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	return o.Outcome == ledger.OperationCancelled, err
}
