package tools

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
)

type downloadIn struct {
	OperationID string `json:"operation_id" jsonschema:"minLength=1,maxLength=500" jsonschema_description:"From create_segment_export or list_export_operations."`
	WaitSeconds int    `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=20,default=0" jsonschema_description:"Wait up to this long for the file."`
}

type downloadOut struct {
	Summary     string   `json:"summary"`
	OperationID string   `json:"operation_id"`
	State       string   `json:"state" jsonschema_description:"waiting for Fullstory, downloading, stored, or failed."`
	Percent     int      `json:"percent" jsonschema_description:"Of what state names."`
	Path        string   `json:"path,omitempty" jsonschema_description:"The verified gzip file, beside manifest.json."`
	Bytes       int64    `json:"bytes,omitempty" jsonschema_description:"Compressed, so far."`
	Object      string   `json:"object,omitempty"`
	SHA256      string   `json:"sha256,omitempty"`
	Rows        int64    `json:"rows" jsonschema_description:"0 is an empty export."`
	FirstEvent  string   `json:"first_event,omitempty"`
	LastEvent   string   `json:"last_event,omitempty"`
	Columns     []string `json:"columns,omitempty"`
	Error       string   `json:"error,omitempty" jsonschema_description:"Why it failed, and what helps."`
	Next        string   `json:"next,omitempty"`
}

func downloadExport(account func(context.Context) (*Account, error)) Tool[downloadIn, downloadOut] {
	return Tool[downloadIn, downloadOut]{
		Name:        "download_export",
		Title:       "Download an export",
		Description: "Fetches the file of an export to disk and verifies it: size, checksum, gzip, format, rows, event times inside the window. It waits for the operation as well, so it can follow create_segment_export directly. The download goes on in the background; calling again tells how far it is, and fetches nothing twice. Returns the path, not the rows.",
		Effect:      Write,
		Call: func(ctx context.Context, in downloadIn) (downloadOut, error) {
			a, err := account(ctx)
			if err != nil {
				return downloadOut{}, err
			}
			return a.download(ctx, in.OperationID, waitUntil(in.WaitSeconds))
		},
	}
}

// download begins or joins the download of an operation, and tells how it
// stands at until or when it has ended. While another process fetches the file
// it waits for that one.
func (a *Account) download(ctx context.Context, operationID string, until time.Time) (downloadOut, error) {
	for {
		out, busy, err := a.tryDownload(ctx, operationID, until)
		if err == nil && out.State == string(archive.Stored) {
			err = a.note(ctx, ledger.Fetched, operationID)
		}
		if !busy || time.Until(until) < busyPause {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(busyPause):
		}
	}
}

// busyPause is between two looks at what another process is doing.
const busyPause = time.Second

func (a *Account) tryDownload(ctx context.Context, operationID string, until time.Time) (out downloadOut, busy bool, err error) {
	f, err := a.fetch(ctx, operationID)
	if err != nil {
		return out, false, err
	}
	out.OperationID = operationID
	if file, ok, err := a.kept(ctx, f); ok || err != nil {
		return a.storedResult(out, f, file), false, err
	}
	running := a.Downloads.Get(operationID)
	if running == nil {
		op, err := a.await(ctx, operationID, until)
		if err != nil {
			return out, false, err
		}
		if op.State != client.Completed {
			return waitingResult(out, op, a.Now()), false, nil
		}
		f.ExportedAt, f.Took = op.CreatedAt, op.FinishedAt.Sub(op.CreatedAt)
		f.Link = func(ctx context.Context) (string, error) {
			link, err := a.Client.ExportResults(ctx, op.ExportID)
			return link.URL, a.refusal(ctx, err)
		}
		running = a.Downloads.Start(operationID, f)
	}
	status := awaitDownload(ctx, running, until)
	if status.State != archive.Downloading {
		a.Downloads.Forget(operationID, running) // told; the disk knows of a stored one
	}
	if status.State == archive.Stored {
		err := a.Mirror.CopyManifest(ctx, a.Archive, f.Folder)
		return a.storedResult(out, f, status.File), false, err
	}
	var by *archive.BusyError
	return loadingResult(out, status), errors.As(status.Err, &by), nil
}

// awaitDownload returns how a download stands at until, or when it has ended.
func awaitDownload(ctx context.Context, d *archive.Download, until time.Time) archive.DownloadStatus {
	for {
		look := time.Now().Add(time.Second)
		wait, cancel := context.WithDeadline(ctx, earlier(look, until))
		status := d.Wait(wait)
		cancel()
		if status.State != archive.Downloading || !look.Before(until) || ctx.Err() != nil {
			return status
		}
		if status.Total > 0 {
			tell(ctx, float64(100*status.Done/status.Total), fmt.Sprintf("The file is being fetched: %d of %d bytes.", status.Done, status.Total))
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// fetch returns what to fetch for an operation, as its manifest has it. Of an
// export that this server did not create only the id is known: its format is
// found out, and its times cannot be checked.
func (a *Account) fetch(ctx context.Context, operationID string) (archive.Fetch, error) {
	f := archive.Fetch{
		Folder: archive.OperationFolder(operationID), OperationID: operationID,
		TimeColumn: archive.TimeColumn(""), AllowLoopback: a.Client.Loopback(),
	}
	request, ok, err := a.request(ctx, operationID)
	if err != nil {
		return f, err
	}
	if ok {
		f.Start, f.End = parseInstant(request.TimeRange.Start), parseInstant(request.TimeRange.End)
		f.Format, f.TimeColumn = string(request.Format), archive.TimeColumn(string(request.Type))
	}
	f.Copy = a.Mirror.Copy(f.Folder)
	f.Name = archive.FileName(f.Start, f.End, archive.Suffix(f.Format))
	return f, nil
}

// kept returns the file to be fetched if it is stored already: with a mirror
// there, by whichever process, or else on disk.
func (a *Account) kept(ctx context.Context, f archive.Fetch) (archive.File, bool, error) {
	if a.Mirror == nil {
		file, ok := a.Archive.Stored(f)
		return file, ok, nil
	}
	m, err := a.Mirror.Manifest(ctx, f.Folder)
	if errors.Is(err, mirror.ErrMissing) {
		return archive.File{}, false, nil
	}
	for _, file := range m.Files {
		if file.Name == f.Name && file.OperationID == f.OperationID {
			return file, true, nil
		}
	}
	return archive.File{}, false, err
}

// request returns the request of an operation that this server created for
// this account.
func (a *Account) request(ctx context.Context, operationID string) (r client.ExportRequest, ok bool, err error) {
	id, err := a.ID(ctx)
	if err != nil {
		return r, false, err
	}
	found, _, err := a.purpose(ctx, operationID, id)
	if err != nil || found == nil {
		return r, false, err
	}
	return *found, true, nil
}

func parseInstant(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// columnLimit is the most columns of a result.
const columnLimit = 200

func (a *Account) storedResult(out downloadOut, f archive.Fetch, file archive.File) downloadOut {
	out.State, out.Percent = string(archive.Stored), 100
	if _, ok := a.Archive.Stored(f); ok {
		out.Path = a.Archive.Path(f.Folder, file.Name)
	}
	if a.Mirror != nil {
		out.Object = a.Mirror.Address(f.Folder + "/" + file.Name)
	}
	out.Bytes, out.SHA256, out.Rows = file.Bytes, file.SHA256, file.Rows
	out.FirstEvent, out.LastEvent = file.FirstEvent, file.LastEvent
	for _, c := range file.Columns[:min(len(file.Columns), columnLimit)] {
		out.Columns = append(out.Columns, clean(c, 100))
	}
	out.Summary = fmt.Sprintf("The file is stored and verified: %s.", counted(int(file.Rows), "row"))
	if more := len(file.Columns) - columnLimit; more > 0 {
		out.Summary += fmt.Sprintf(" It has %d more columns than are listed here; manifest.json has all.", more)
	}
	switch {
	case file.Rows == 0:
		out.Summary = "The file is stored and verified: the export is empty, no row matched."
		out.Next = "If rows were expected, check segment, type and the two windows (guide troubleshooting)."
	case f.TimeColumn != "" && file.FirstEvent == "":
		out.Summary += " Event times could not be checked, because the file has no EventStart column."
	case f.TimeColumn != "" && f.Start.IsZero() && f.End.IsZero():
		out.Summary += " Event times were not checked against a window: none is known for it."
	}
	return out
}

func waitingResult(out downloadOut, op client.Operation, now time.Time) downloadOut {
	stands := operationResult(op, now)
	out.State, out.Percent, out.Summary, out.Next = "waiting", stands.Percent, stands.Summary, stands.Next
	if op.State == client.Failed {
		out.State, out.Error = string(archive.Failed), stands.Error
	}
	return out
}

func loadingResult(out downloadOut, s archive.DownloadStatus) downloadOut {
	var busy *archive.BusyError
	out.State, out.Bytes = string(s.State), s.Done
	if s.Total > 0 {
		out.Percent = int(100 * s.Done / s.Total)
	}
	switch {
	case errors.As(s.Err, &busy):
		out.State = string(archive.Downloading)
		out.Summary = "Another process on this machine is fetching the file."
		out.Next = "Call again with wait_seconds."
	case s.State == archive.Failed:
		out.Error = explain(s.Err)
		out.Summary = "The file could not be fetched; the reason is in error."
		out.Next = "If error says that a repeat helps, call again; what arrived whole is not fetched twice."
	default:
		out.Summary = fmt.Sprintf("The file is being fetched: %d %% so far.", out.Percent)
		out.Next = "Call again with wait_seconds."
	}
	return out
}
