package tools

import (
	"context"
	"fmt"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

type operationsIn struct {
	State  client.State `json:"state,omitempty" jsonschema:"enum=PENDING,enum=COMPLETED,enum=FAILED" jsonschema_description:"Only operations in this state."`
	Limit  int          `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,default=20" jsonschema_description:"Most to return; fewer if they are long."`
	Cursor string       `json:"cursor,omitempty" jsonschema:"maxLength=2000" jsonschema_description:"next_cursor of an earlier answer, with the same state."`
}

type operationsOut struct {
	Summary    string         `json:"summary"`
	Operations []operationRow `json:"operations"`
	HasMore    bool           `json:"has_more"`
	NextCursor string         `json:"next_cursor,omitempty"`
	Next       string         `json:"next,omitempty"`
}

type operationRow struct {
	OperationID     string            `json:"operation_id"`
	State           client.State      `json:"state"`
	Percent         int               `json:"percent"`
	CreatedAt       string            `json:"created_at,omitempty"`
	ExportExpiresAt string            `json:"export_expires_at,omitempty"`
	Error           string            `json:"error,omitempty"`
	Known           bool              `json:"known" jsonschema_description:"This server started it; export says what it exports."`
	SegmentID       string            `json:"segment_id,omitempty"`
	Type            client.Type       `json:"type,omitempty"`
	TimeRange       *client.TimeRange `json:"time_range,omitempty" schema:"brief"`
	BulkID          string            `json:"bulk_id,omitempty"`
	Stored          bool              `json:"stored,omitempty" jsonschema_description:"Its file is on disk."`
	Cancelled       bool              `json:"cancelled,omitempty" jsonschema_description:"The reason for FAILED."`

	Export *exports.Description `json:"export,omitempty" schema:"brief"`
}

// usualOperations is the default limit.
const usualOperations = 20

func listExportOperations(accounts Accounts) Tool[operationsIn, operationsOut] {
	return Tool[operationsIn, operationsOut]{
		Name:  "list_export_operations",
		Title: "List export operations",
		Description: "Lists all segment exports of the organisation: state, times, and for those that this server " +
			"started what they export. Use it to find a lost operation_id.",
		Effect: Read,
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in operationsIn) (operationsOut, error) {
			q := client.OperationQuery{State: in.State, Limit: in.Limit, Cursor: in.Cursor}
			for {
				page, err := a.Operations(ctx, q)
				if err != nil {
					return operationsOut{}, err
				}
				out := operationsResult(page)
				n := exports.FittingPage(out.Operations, in.Limit, usualOperations)
				if n == len(out.Operations) {
					return out, nil
				}
				q.Limit = n
			}
		}),
	}
}

func operationsResult(page exports.OperationPage) operationsOut {
	out := operationsOut{Operations: []operationRow{}, HasMore: page.Next != "", NextCursor: page.Next}
	known, foreign := 0, 0
	for _, op := range page.Operations {
		if op.Export != nil {
			known++
		}
		if op.Foreign {
			foreign++
		}
		out.Operations = append(out.Operations, rowOf(op))
	}
	out.Summary = fmt.Sprintf("%s, %d of them started by this server.",
		exports.Counted(len(out.Operations), "export operation"), known) + page.LeftOut
	if foreign > 0 {
		out.Summary += fmt.Sprintf(" Started by another client, and their segment is not told: %d.", foreign)
	}
	switch {
	case out.HasMore:
		out.Summary += " There are more."
		out.Next = "Call again with next_cursor for more."
	case len(out.Operations) == 0:
		out.Next = "Start an export with create_segment_export."
	default:
		out.Next = "Give an operation_id to get_export_operation or download_export, which also accepts operations that " +
			"this server did not start."
	}
	return out
}

// rowOf returns the row of the list for an operation.
func rowOf(op exports.KnownOperation) operationRow {
	row := operationRow{
		OperationID:     op.ID,
		State:           op.State,
		Percent:         op.Percent,
		CreatedAt:       exports.Stamp(op.CreatedAt),
		ExportExpiresAt: exports.Stamp(op.ExportExpires),
		Error:           client.Clean(op.Error, 200),
		Cancelled:       op.Cancelled && op.State == client.Failed,
		BulkID:          op.BulkID,
		Stored:          op.Stored,
	}
	if e := op.Export.Brief(); e != nil {
		row.Known, row.SegmentID, row.Type, row.TimeRange, row.Export = true, e.SegmentID, e.Type, &e.TimeRange, e
	}
	return row
}
