package tools

import (
	"context"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

type operationIn struct {
	OperationID string `json:"operation_id" jsonschema:"minLength=1,maxLength=2400" jsonschema_description:"From create_segment_export or list_export_operations."`
	WaitSeconds int    `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=20" jsonschema_description:"Wait up to this long for it to finish."`
	IncludeURL  bool   `json:"include_download_url,omitempty" jsonschema_description:"Also return a link to the file. It is valid for minutes, for anyone."`
}

type operationOut struct {
	Summary            string       `json:"summary"`
	OperationID        string       `json:"operation_id"`
	State              client.State `json:"state" jsonschema_description:"PENDING, COMPLETED, FAILED or UNKNOWN."`
	Percent            int          `json:"percent" jsonschema_description:"Fullstory's estimate, 0 to 100."`
	Step               string       `json:"step,omitempty"`
	CreatedAt          string       `json:"created_at,omitempty"`
	FinishedAt         string       `json:"finished_at,omitempty"`
	ExportExpiresAt    string       `json:"export_expires_at,omitempty" jsonschema_description:"Until when the file can be fetched."`
	Error              string       `json:"error,omitempty" jsonschema_description:"Why it failed, in Fullstory's words."`
	Cancelled          bool         `json:"cancelled,omitempty"`
	PollAfterSeconds   int          `json:"poll_after_seconds,omitempty" jsonschema_description:"Absent at the end."`
	DownloadURL        string       `json:"download_url,omitempty"`
	DownloadURLExpires string       `json:"download_url_expires_at,omitempty"`
	Next               string       `json:"next,omitempty"`

	Export *exports.Description `json:"export,omitempty" schema:"brief"`
}

func getExportOperation(accounts Accounts, s Settings) Tool[operationIn, operationOut] {
	return Tool[operationIn, operationOut]{
		Name:  "get_export_operation",
		Title: "Get an export operation",
		Description: "Shows the state of an export: PENDING with a percentage, COMPLETED with the time until which " +
			"the file can be fetched, or FAILED with the reason. wait_seconds waits for the end instead of " +
			"polling. Does not fetch the file; download_export does.",
		Effect: Read,
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in operationIn) (operationOut, error) {
			op, err := a.Operation(ctx, in.OperationID, waitUntil(in.WaitSeconds), reporting(ctx))
			if err != nil {
				return operationOut{}, err
			}
			out := operationResult(op, a.About(ctx, op), a.Clock())
			switch {
			case !in.IncludeURL:
			case !s.mayLink(ctx):
				out.Summary += " " + noLinks
			case op.State == client.Completed:
				link, err := a.Link(ctx, op)
				if err != nil {
					return operationOut{}, err
				}
				if !a.Client.Shareable(link) {
					out.Next = "Fullstory's link is not a web address, so it is not shown; download_export says more."
					return out, nil
				}
				out.DownloadURL, out.DownloadURLExpires = link.URL, exports.Stamp(link.Expires)
			}
			return out, nil
		}),
	}
}

// noLinks is for callers that ask for a link and may not have one.
const noLinks = "No link is returned, because this caller may not get download links. " + askForLinks

// askForLinks is what the user can do about that.
const askForLinks = "Ask the operator of this server for that right: `links` of the caller in the file of callers " +
	"(serve token NAME --links), or the scope exports:links of the token."

// answerReserve is the part of callLimit that remains for the answer after a wait.
const answerReserve = 2 * time.Second

// waitUntil returns when a call that waits for up to seconds must stop waiting.
func waitUntil(seconds int) time.Time {
	return time.Now().Add(min(time.Duration(seconds)*time.Second, callLimit-answerReserve))
}

// startedElsewhere is about an operation of another client.
const startedElsewhere = " It was started by another client; its segment is not told."

// operationResult describes an operation at now, which is by Fullstory's clock.
func operationResult(op client.Operation, about exports.About, now time.Time) operationOut {
	out := operationOut{
		OperationID:     op.ID,
		State:           op.State,
		Percent:         op.Percent,
		Step:            client.Clean(op.Step, 200),
		CreatedAt:       exports.Stamp(op.CreatedAt),
		FinishedAt:      exports.Stamp(op.FinishedAt),
		ExportExpiresAt: exports.Stamp(op.ExportExpires),
		Error:           client.Clean(op.Error, 500),
		Cancelled:       about.Cancelled && op.State == client.Failed,
		Export:          about.Export,
	}
	out.inWords(op, about, now)
	switch {
	case about.Foreign:
		out.Summary += startedElsewhere
	case about.Content != "":
		out.Summary += " " + about.Content
	}
	return out
}

// inWords adds the summary of an operation, the next step, and when to take it.
func (out *operationOut) inWords(op client.Operation, about exports.About, now time.Time) {
	switch {
	case op.State == client.Completed && !op.ExportExpires.IsZero() && now.After(op.ExportExpires):
		out.Summary = "The export completed, but its file has expired at Fullstory: it could be fetched until " +
			out.ExportExpiresAt + "."
		out.Next = "Create the export again with create_segment_export."
	case op.State == client.Completed && op.Type == client.SearchExport && op.ExportID == "":
		out.PollAfterSeconds = pollAfter(0)
		out.Summary = "Fullstory calls the export completed, but does not name its file."
		out.Next = "Call again in a few seconds. If this lasts for minutes, create the export again."
	case op.State == client.Completed:
		out.Summary = "The export is complete and its file can be fetched."
		out.Next = "Fetch and verify the file with download_export."
	case out.Cancelled:
		out.Summary = "The export was cancelled; Fullstory has no other state for that than FAILED."
		out.Next = exportAfterAll(about.Export != nil)
	case op.State == client.Failed:
		out.Summary = "The export failed at Fullstory; the reason is in error."
		out.Next = "Create the export again; if that fails too, cut the window smaller with plan_time_chunks."
	default:
		out.FinishedAt = ""
		out.PollAfterSeconds = pollAfter(now.Sub(op.CreatedAt))
		out.Summary = fmt.Sprintf("The export is under way, at about %d %%.", op.Percent)
		if about.Cancelled {
			out.Summary = "Fullstory was asked to cancel the export, and has not stopped it yet."
		}
		if op.State != client.Pending {
			out.Summary = "Fullstory says that the export is in a state that this program does not know; the log has it."
		}
		out.Next = "Call again with wait_seconds, which waits inside the call."
	}
}

// pollAfter returns after how many seconds to poll an operation of an age again, from 2
// to 30. One that has run for long is unlikely to end within the next second.
func pollAfter(age time.Duration) int {
	return max(2, min(30, int(age.Seconds()/10)))
}
