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
	State       client.State `json:"state" jsonschema_description:"The state afterwards; Fullstory has no state of its own for cancelled exports."`
	Next        string       `json:"next,omitempty"`
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
			out := cancelOut{OperationID: op.ID, State: op.State}
			if !cancelled {
				out.Summary = "Nothing to cancel: the export had already ended as " + string(op.State) + "."
				return out, nil
			}
			out.Summary = "Fullstory accepted the cancellation; the operation is now " + string(op.State) + "."
			out.Next = "To export the same rows after all, use create_segment_export again."
			return out, nil
		}),
	}
}
