package exports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
)

// Offer is a stored file, or all stored files of a bulk export as one tar file, that a
// caller may fetch with a ticket.
type Offer struct {
	Subject string // what the ticket is for, for OpenOffer
	Name    string // of the file
	Type    string // its MIME type
	Bytes   int64  // of the file; 0 for a tar file

	operation, bulk string // for the audit log; one of them is empty
}

// The MIME types of what is offered.
const (
	gzipType = "application/gzip"
	tarType  = "application/x-tar"
)

// shortSum is how many characters of its sha256 identify a file of a chunk: a chunk that is
// exported again has another one.
const shortSum = 16

// OfferFile returns the offer of a stored file; ok is false if this server does not have
// the file.
func OfferFile(f Fetched) (o Offer, ok bool) {
	if f.File == nil || f.Path == "" && f.Object == "" || len(f.File.SHA256) < shortSum {
		return o, false
	}
	subject := fmt.Sprintf("%s/%d/%s", f.Attempt.Bulk, f.Attempt.Number, f.File.SHA256[:shortSum])
	return Offer{
		Subject: subject, Name: f.File.Name, Type: gzipType, Bytes: f.File.Bytes, operation: f.Attempt.Operation,
	}, true
}

// OfferBulk returns the offer of the files of a bulk export. ok is false while it is running,
// without files, and if one is missing.
func (a *Account) OfferBulk(ctx context.Context, s BulkSummary) (o Offer, ok bool, err error) {
	if s.State == string(ledger.BulkRunning) || s.Chunks.Stored == 0 {
		return o, false, nil
	}
	if s.State != string(ledger.BulkComplete) { // otherwise the status has looked for the files
		if err := a.allHere(ctx, s.BulkID); err != nil {
			return o, false, ignoreIncomplete(err)
		}
	}
	return Offer{Subject: s.BulkID, Name: s.Name + ".tar", Type: tarType, bulk: s.BulkID}, true, nil
}

// allHere fails with ErrIncomplete if a stored file of a bulk export is missing.
func (a *Account) allHere(ctx context.Context, id string) error {
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	b, err := engine.o.Ledger.Bulk(ctx, engine.o.Account, id)
	if err != nil {
		return err
	}
	m, err := engine.Manifest(ctx, b)
	if err != nil {
		return err
	}
	return engine.lookFor(ctx, b.Name, m.Files)
}

func ignoreIncomplete(err error) error {
	if errors.Is(err, ErrIncomplete) {
		return nil
	}
	return err
}

// NoteOffer records in the audit log that the caller of ctx receives a ticket that is valid
// until an instant. Without that record the caller must not get it.
func (a *Account) NoteOffer(ctx context.Context, o Offer, until time.Time) error {
	return a.noteOf(ctx, ledger.Entry{
		Event: ledger.Offered, Operation: o.operation, Bulk: o.bulk,
		Detail: detail(map[string]string{"file": o.Name, "until": Stamp(until)}),
	})
}

// detail returns the detail of an entry of the audit log.
func detail(facts map[string]string) json.RawMessage {
	raw, err := json.Marshal(facts)
	if err != nil { // it cannot be: the facts are texts
		return nil
	}
	return raw
}

// noteOf adds an entry about the caller of ctx to the audit log of the account.
func (a *Account) noteOf(ctx context.Context, e ledger.Entry) error {
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	return engine.note(context.WithoutCancel(ctx), e)
}

// Content is what a ticket is for. The reader must close it.
type Content struct {
	io.ReadSeekCloser
	Name, Type string
	Sum        string // equal for equal content alone; of a file its sha256
}

var (
	// ErrReplaced says that a ticket is for a file that was exported again since.
	ErrReplaced = errors.New("the file was replaced")
	// ErrNotHere says that a stored file is neither on disk nor in the mirror, or is not
	// what was stored.
	ErrNotHere = errors.New("a stored file is missing")
	// ErrIncomplete says that this is so of one of the files of a tar file.
	ErrIncomplete = errors.New("a stored file of a bulk export is missing")
)

// IsTar reports whether a subject is the tar file of a bulk export.
func IsTar(subject string) bool { return !strings.Contains(subject, "/") }

// OpenOffer opens what the subject of an offer names, as it is now: a verified stored file
// of this account, or the tar file of a bulk export. With fetch it first records in the
// audit log that the caller of ctx fetches it. It fails with ledger.ErrNotFound,
// ErrReplaced, ErrNotHere or, for a tar file, ErrIncomplete: each of its files is looked for
// first.
func (a *Account) OpenOffer(ctx context.Context, subject string, fetch bool) (c Content, err error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return c, err
	}
	id, chunk, single := strings.Cut(subject, "/")
	b, err := engine.o.Ledger.Bulk(ctx, engine.o.Account, id)
	if err == nil && b.ID != id { // a name, which no subject has
		err = ledger.ErrNotFound
	}
	if err != nil {
		return c, err
	}
	var e ledger.Entry
	if single {
		c, e, err = engine.openFile(ctx, b, chunk)
	} else {
		c, e, err = engine.openBundle(ctx, b)
	}
	if err != nil || !fetch {
		return c, err
	}
	e.Event, e.Detail = ledger.Served, detail(map[string]string{"file": c.Name, "sha256": c.Sum})
	if err = a.noteOf(ctx, e); err != nil {
		c.Close()
	}
	return c, err
}

// openFile opens the file of a chunk of b, which is given by its number and a part of the
// sha256 of its file.
func (e *Exports) openFile(ctx context.Context, b ledger.Bulk, chunk string) (c Content, _ ledger.Entry, err error) {
	numbered, sum, _ := strings.Cut(chunk, "/")
	number, err := strconv.ParseInt(numbered, 10, 64)
	if err != nil {
		return c, ledger.Entry{}, ledger.ErrNotFound
	}
	record, err := e.o.Ledger.FileOf(ctx, b.ID, number)
	if err != nil {
		return c, ledger.Entry{}, err
	}
	var f archive.File
	if err := json.Unmarshal(record.Detail, &f); err != nil {
		return c, ledger.Entry{}, fmt.Errorf("read the record of a stored file: %w", err)
	}
	if len(f.SHA256) < shortSum || f.SHA256[:shortSum] != sum {
		return c, ledger.Entry{}, &Error{Err: ErrReplaced, Explanation: Explanation{
			Kind: File, Cause: "This file was exported again since the link was made.", Remedy: newLink,
		}}
	}
	content, err := e.opener(ctx, record.Folder)(f)
	if err != nil {
		return c, ledger.Entry{}, err
	}
	c = Content{archive.Verified(content, f), f.Name, gzipType, f.SHA256}
	return c, ledger.Entry{Operation: f.OperationID}, nil
}

// newLink is the remedy for a link that does not work any more.
const newLink = "Ask the assistant for a new link."

// opener opens the files of a folder as storedOpener does. A file that is neither on disk nor
// in the mirror is ErrNotHere.
func (e *Exports) opener(ctx context.Context, folder string) archive.Opener {
	stored := storedOpener(ctx, e.o.Archive, e.o.Mirror, folder)
	return func(f archive.File) (io.ReadSeekCloser, error) {
		content, err := stored(f)
		if err == nil || !isNotHere(err) {
			return content, err
		}
		return nil, notHere(f.Name, ErrNotHere)
	}
}

// storedOpener opens the files of a folder from disk or, those that are not there, from the
// mirror, if there is one. A file that is in neither is fs.ErrNotExist.
func storedOpener(ctx context.Context, files *archive.Archive, m *mirror.Mirror, folder string) archive.Opener {
	onDisk := files.Opener(folder)
	if m == nil {
		return onDisk
	}
	return func(f archive.File) (io.ReadSeekCloser, error) {
		content, err := onDisk(f)
		if err != nil {
			content, err = m.Opener(ctx, folder)(f)
		}
		if errors.Is(err, mirror.ErrMissing) {
			err = fs.ErrNotExist
		}
		return content, err
	}
}

// isNotHere reports whether err says that a file is missing, is not what was stored, or
// cannot be read on this disk. Others are of a store that does not answer.
func isNotHere(err error) bool {
	_, disk := errors.AsType[*archive.DiskError](err)
	return disk || errors.Is(err, fs.ErrNotExist) || errors.Is(err, archive.ErrChanged) ||
		errors.Is(err, mirror.ErrMissing)
}

// notHere explains err, ErrNotHere or ErrIncomplete, of the file of that name.
func notHere(name string, err error) error {
	return &Error{Err: err, Explanation: Explanation{
		Kind:  File,
		Cause: fmt.Sprintf("The stored file %s is not on this server any more, or has changed.", name),
		Remedy: "Ask the assistant to fetch it again: `download_export` does so for an operation, and " +
			"`control_bulk_export` with `retry_failed` for the missing files of a bulk export.",
	}}
}

// openBundle opens the tar file of the files of b that are stored.
func (e *Exports) openBundle(ctx context.Context, b ledger.Bulk) (c Content, _ ledger.Entry, err error) {
	m, err := e.Manifest(ctx, b)
	if err != nil {
		return c, ledger.Entry{}, err
	}
	// The manifest is written at the same time whenever it is read, so that a download can
	// be resumed.
	m.WrittenAt = lastChange(b, m.Files)
	if err := e.lookFor(ctx, b.Name, m.Files); err != nil {
		return c, ledger.Entry{}, err
	}
	documents, err := e.o.Archive.Documents(b.Name, m)
	if errors.Is(err, fs.ErrNotExist) {
		err = notHere(archive.ManifestName, ErrIncomplete)
	}
	if err != nil {
		return c, ledger.Entry{}, err
	}
	bundle, err := archive.NewBundle(documents, m.WrittenAt, m.Files, e.opener(ctx, b.Name))
	if err != nil {
		return c, ledger.Entry{}, err
	}
	return Content{bundle, b.Name + ".tar", tarType, bundle.Sum()}, ledger.Entry{Bulk: b.ID}, nil
}

// lastChange returns when a bulk export ended, or its last file was exported.
func lastChange(b ledger.Bulk, files []archive.File) time.Time {
	last := b.CreatedAt
	for _, f := range files {
		if f.ExportedAt.After(last) {
			last = f.ExportedAt
		}
	}
	if !b.FinishedAt.IsZero() {
		last = b.FinishedAt
	}
	return last.UTC()
}

// lookFor fails with ErrIncomplete unless each of the files is on disk, or in the mirror with
// its size.
func (e *Exports) lookFor(ctx context.Context, folder string, files []archive.File) error {
	holds, done := e.o.Archive.Holds(folder)
	defer done()
	missing := slices.DeleteFunc(slices.Clone(files), holds)
	if len(missing) == 0 {
		return nil
	}
	var copied map[string]int64
	if e.o.Mirror != nil {
		var err error
		if copied, err = e.o.Mirror.List(ctx, folder); err != nil {
			return err
		}
	}
	for _, f := range missing {
		if bytes, ok := copied[folder+"/"+f.Name]; !ok || bytes != f.Bytes {
			return notHere(f.Name, ErrIncomplete)
		}
	}
	return nil
}
