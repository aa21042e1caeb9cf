package tools

import (
	"context"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

type cancelIn struct {
	OperationID string `json:"operation_id" jsonschema:"minLength=1,maxLength=2400" jsonschema_description:"From create_segment_export or list_export_operations."`
}

type cancelOut struct {
	Summary     string       `json:"summary"`
	OperationID string       `json:"operation_id"`
	State       client.State `json:"state" jsonschema_description:"Afterwards. FAILED if cancelled."`
	Cancelled   bool         `json:"cancelled,omitempty"`
	Next        string       `json:"next,omitempty"`

	Export *exports.Description `json:"export,omitempty" schema:"brief"`
}

// exportAfterAll returns the next step after a cancellation.
func exportAfterAll(known bool) string {
	if !known {
		return "To export the same rows after all, ask the client that started it, or describe them to create_segment_export."
	}
	return "To export the same rows after all, give the operation_id to create_segment_export as like_operation_id."
}

func cancelExportOperation(accounts Accounts) Tool[cancelIn, cancelOut] {
	return Tool[cancelIn, cancelOut]{
		Name:  "cancel_export_operation",
		Title: "Cancel an export operation",
		Description: "Asks Fullstory to stop an export that is still under way. It cannot be resumed, only created " +
			"again. Exports that have ended and files on disk stay as they are.",
		Effect: Destroy,
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in cancelIn) (cancelOut, error) {
			op, cancelled, err := a.CancelOperation(ctx, in.OperationID)
			if err != nil {
				return cancelOut{}, err
			}
			about := a.About(ctx, op)
			out := cancelOut{OperationID: op.ID, State: op.State, Cancelled: about.Cancelled, Export: about.Export}
			out.Summary, out.Next = cancelledInWords(op, about, cancelled)
			if about.Foreign {
				out.Summary += startedElsewhere
			}
			return out, nil
		}),
	}
}

// cancelledInWords describes an operation after a request to cancel it, and the next
// step. now is set if this request has cancelled it.
func cancelledInWords(op client.Operation, about exports.About, now bool) (summary, next string) {
	switch {
	case op.State == client.Failed && now:
		return "The export is cancelled; Fullstory has no other state for that than FAILED.",
			exportAfterAll(about.Export != nil)
	case now && op.State == client.Completed:
		return "Fullstory accepted the cancellation, but had completed the export.",
			"Its file can be fetched with download_export."
	case now:
		return "Fullstory accepted the cancellation, and still reports the export as " + string(op.State) + ".",
			"See with get_export_operation whether it has stopped."
	case about.Cancelled:
		return "Nothing to cancel: the export was cancelled before.", exportAfterAll(about.Export != nil)
	}
	return "Nothing to cancel: the export had already ended as " + string(op.State) + ".", ""
}
