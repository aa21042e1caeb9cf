package tools

import (
	"context"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/rows"
)

type downloadIn struct {
	OperationID string `json:"operation_id" jsonschema:"minLength=1,maxLength=2400" jsonschema_description:"From create_segment_export or list_export_operations."`
	WaitSeconds int    `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=20" jsonschema_description:"Wait up to this long for the file."`
	Columns     bool   `json:"columns,omitempty" jsonschema_description:"List the columns, not only their number."`
}

type downloadOut struct {
	Summary     string   `json:"summary"`
	OperationID string   `json:"operation_id"`
	State       string   `json:"state" jsonschema_description:"waiting for Fullstory, downloading, stored, or failed."`
	Percent     int      `json:"percent"`
	Path        string   `json:"path,omitempty" jsonschema_description:"The verified gzip file, beside manifest.json."`
	FileURL     string   `json:"file_url,omitempty"`
	Bytes       int64    `json:"bytes,omitempty" jsonschema_description:"Compressed, so far."`
	Object      string   `json:"object,omitempty"`
	SHA256      string   `json:"sha256,omitempty"`
	Rows        int64    `json:"rows"`
	FirstEvent  string   `json:"first_event,omitempty"`
	LastEvent   string   `json:"last_event,omitempty"`
	ColumnCount int      `json:"column_count,omitempty"`
	Columns     []string `json:"columns,omitempty"`
	Error       string   `json:"error,omitempty" jsonschema_description:"Why it failed and what to fix."`
	Next        string   `json:"next,omitempty"`

	Export *exports.Description `json:"export,omitempty" schema:"brief"`

	file *fileLink
}

func (out downloadOut) link() *fileLink { return out.file }

func downloadExport(accounts Accounts, s Settings) Tool[downloadIn, downloadOut] {
	return Tool[downloadIn, downloadOut]{
		Name:  "download_export",
		Title: "Download an export",
		Description: "Fetches the file of an export to disk and verifies it: size, checksum, gzip, format, rows, " +
			"event times inside the window. It waits for the operation as well, so it can follow " +
			"create_segment_export directly. The download continues in the background; calling again shows its " +
			"progress and fetches nothing twice. Returns the path, not the rows.",
		Effect: Write,
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in downloadIn) (downloadOut, error) {
			f, err := a.Fetch(ctx, in.OperationID, waitUntil(in.WaitSeconds), reporting(ctx))
			if err != nil {
				return downloadOut{}, err
			}
			out := downloadOut{OperationID: in.OperationID, Export: f.Export}
			if f.File == nil {
				out = out.pending(f, a.Clock())
			} else if out = out.stored(f); in.Columns {
				out.list(f.File.Columns)
			}
			if f.Export == nil {
				out.Summary += startedElsewhere
			}
			if f.File == nil {
				return out, nil
			}
			return out.linked(ctx, a, s, f)
		}),
	}
}

// eventTime returns the time of a row in RFC 3339. Rows write it in several ways. It is
// "" for text that is not a time.
func eventTime(text string) string {
	if t, _, ok := rows.ParseTime(text); ok {
		return t.Format(time.RFC3339Nano)
	}
	return ""
}

// columnLimit is the most columns that a result lists.
const columnLimit = 200

// stored returns the result for a file that is stored.
func (out downloadOut) stored(f exports.Fetched) downloadOut {
	file := *f.File
	out.State, out.Percent, out.Path, out.Object = "stored", 100, f.Path, f.Object
	out.Bytes, out.SHA256, out.Rows = file.Bytes, file.SHA256, file.Rows
	out.FirstEvent, out.LastEvent = eventTime(file.FirstEvent), eventTime(file.LastEvent)
	out.ColumnCount = len(file.Columns)
	out.Summary = fmt.Sprintf("The file is stored and verified: %s%s.",
		exports.Counted(int(file.Rows), "row"), exports.FileWindow(f))
	timed := rows.TimeColumn(string(f.Request.Type)) != ""
	switch {
	case file.Rows == 0:
		reason, try := exports.WhyEmpty(f.Request)
		out.Summary = "No row matched; the file is stored and verified, with 0 rows. " + reason
		out.Next = try
	case timed && file.FirstEvent == "":
		out.Summary += " Event times could not be checked, because the file has no EventStart column."
	case timed && f.Request.SegmentID == "":
		out.Summary += " Its events are from " + out.FirstEvent + " to " + out.LastEvent +
			"; whether that is the window of the export is not known."
	case timed && f.Attempt.Start.IsZero() && f.Attempt.End.IsZero():
		out.Summary += " Event times were not checked, because the export is not limited to a period."
	}
	if text := file.Warnings.String(); text != "" {
		out.Summary += " " + text
	}
	if f.Request.SegmentID != "" {
		out.Summary += " " + preflight.FiltersOver(f.Request)
	}
	return out
}

// linked adds the address of a stored file.
func (out downloadOut) linked(
	ctx context.Context, a *exports.Account, s Settings, f exports.Fetched,
) (downloadOut, error) {
	offer, ok := exports.OfferFile(f)
	link, sentence, err := s.fileLink(ctx, a, offer, ok)
	if err != nil {
		return downloadOut{}, err
	}
	out.Summary += sentence
	if out.file = link; link != nil {
		out.FileURL = link.url
	}
	return out, nil
}

// list adds the names of the columns.
func (out *downloadOut) list(columns []string) {
	for _, c := range columns[:min(len(columns), columnLimit)] {
		out.Columns = append(out.Columns, client.Plain(c, 100))
	}
	out.Columns = out.Columns[:exports.Fitting(out.Columns)]
	if more := len(columns) - len(out.Columns); more > 0 {
		out.Summary += fmt.Sprintf(" It has %d more columns than are listed here; manifest.json has all.", more)
	}
}

// pending returns the result for a file that is not stored, or not yet.
func (out downloadOut) pending(f exports.Fetched, now time.Time) downloadOut {
	if f.Cancelled {
		out.State, out.Error = "failed", "The export was cancelled."
		out.Summary, out.Next = "The export was cancelled, so there is no file.", exportAfterAll(f.Export != nil)
		return out
	}
	switch state := f.Attempt.State; {
	case f.Lost != "":
		out.State, out.Error = "failed", f.Lost
		out.Summary = "The file was stored, and is not there any more: " + f.Lost
		out.Next = "control_bulk_export with retry_failed exports it again."
	case state == ledger.ChunkFailed:
		out.State, out.Error = "failed", client.Clean(f.Attempt.Reason, 600)
		out.Summary = "The file could not be fetched; the reason is in error."
		out.Next = "Once the cause in error is fixed, call again: what has arrived is kept. If the file is damaged again " +
			"or the export has expired, create the export again with create_segment_export."
		if expires := f.Attempt.ExpiresAt; now.After(expires) && !expires.IsZero() {
			out.Next = "Fullstory had the file until " + exports.Stamp(expires) +
				". Create the export again with create_segment_export."
		} else if !expires.IsZero() {
			out.Next += " Fullstory has the file until " + exports.Stamp(expires) + "."
		}
	case state == ledger.ChunkReady, state == ledger.ChunkDownloading:
		out.State, out.Bytes = "downloading", f.Done
		if f.Total > 0 {
			out.Percent = int(100 * f.Done / f.Total)
		}
		out.Summary = fmt.Sprintf("The file is being fetched: %d %% so far.", out.Percent)
		if f.Attempt.Reason != "" {
			out.Summary = "The file could not be fetched yet; the download is retried: " +
				client.Clean(f.Attempt.Reason, 300)
		}
		out.Next = "Call again with wait_seconds."
	default:
		op := operationResult(f.Operation, exports.About{}, now)
		out.State, out.Percent, out.Summary, out.Next = "waiting", op.Percent, op.Summary, op.Next
		if f.Operation.State == client.Failed {
			out.State, out.Error = "failed", op.Error
		}
	}
	return out
}
