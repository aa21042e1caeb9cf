package tools

import (
	"context"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

type cancelIn struct {
	OperationID string `json:"operation_id" jsonschema:"minLength=1,maxLength=500" jsonschema_description:"From create_segment_export or list_export_operations."`
}

type cancelOut struct {
	Summary     string       `json:"summary"`
	OperationID string       `json:"operation_id"`
	State       client.State `json:"state" jsonschema_description:"The state afterwards; Fullstory has no state of its own for cancelled exports."`
	Next        string       `json:"next,omitempty"`
}

func cancelExportOperation(account func(context.Context) (*Account, error)) Tool[cancelIn, cancelOut] {
	return Tool[cancelIn, cancelOut]{
		Name:        "cancel_export_operation",
		Title:       "Cancel an export operation",
		Description: "Asks Fullstory to stop an export that is still under way. It cannot be resumed, only created again. An export that has ended is left as it is, and files on disk are kept.",
		Effect:      Destroy,
		Call: func(ctx context.Context, in cancelIn) (cancelOut, error) {
			a, err := account(ctx)
			if err != nil {
				return cancelOut{}, err
			}
			op, err := a.Client.Operation(ctx, in.OperationID)
			if err != nil {
				return cancelOut{}, err
			}
			out := cancelOut{OperationID: op.ID, State: op.State}
			if op.State.Ended() {
				out.Summary = "Nothing to cancel: the export had already ended as " + string(op.State) + "."
				return out, nil
			}
			if err := a.Client.CancelOperation(ctx, in.OperationID); err != nil {
				return cancelOut{}, err
			}
			if err := a.note(ctx, ledger.Event(ledger.ExportCancelled), op.ID); err != nil {
				return cancelOut{}, err
			}
			if op, err = a.Client.Operation(ctx, in.OperationID); err != nil {
				return cancelOut{}, err
			}
			out.State = op.State
			out.Summary = "Fullstory accepted the cancellation; the operation is now " + string(op.State) + "."
			out.Next = "To export the same rows after all, use create_segment_export again."
			return out, nil
		},
	}
}
