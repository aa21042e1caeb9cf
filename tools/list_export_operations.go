package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

type operationsIn struct {
	State  client.State `json:"state,omitempty" jsonschema:"enum=PENDING,enum=COMPLETED,enum=FAILED" jsonschema_description:"Only operations in this state."`
	Limit  int          `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,default=20" jsonschema_description:"Most operations to return."`
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
	Known           bool              `json:"known" jsonschema_description:"This server started it; the following fields say what for."`
	SegmentID       string            `json:"segment_id,omitempty"`
	Type            client.Type       `json:"type,omitempty"`
	TimeRange       *client.TimeRange `json:"time_range,omitempty"`
	BulkID          string            `json:"bulk_id,omitempty"`
	Stored          bool              `json:"stored,omitempty" jsonschema_description:"Its file is on disk."`
}

func listExportOperations(account func(context.Context) (*Account, error)) Tool[operationsIn, operationsOut] {
	return Tool[operationsIn, operationsOut]{
		Name:        "list_export_operations",
		Title:       "List export operations",
		Description: "Lists the organisation's segment exports, whoever started them: state, times, and for those that this server started the segment, type and time range. Find a lost operation_id here.",
		Effect:      Read,
		Call: func(ctx context.Context, in operationsIn) (operationsOut, error) {
			a, err := account(ctx)
			if err != nil {
				return operationsOut{}, err
			}
			page, err := a.Client.Operations(ctx, client.OperationQuery{State: in.State, Type: client.SearchExport, Limit: in.Limit, Cursor: in.Cursor})
			if err != nil {
				return operationsOut{}, err
			}
			id, err := a.ID(ctx)
			if err != nil {
				return operationsOut{}, err
			}
			out := operationsOut{Operations: []operationRow{}, HasMore: page.Next != "", NextCursor: page.Next}
			known := 0
			for _, op := range page.Operations {
				row, err := a.operationRow(ctx, op, id)
				if err != nil {
					return operationsOut{}, err
				}
				if row.Known {
					known++
				}
				out.Operations = append(out.Operations, row)
			}
			out.Summary = fmt.Sprintf("%s, %d of them started by this server.", counted(len(out.Operations), "export operation"), known)
			switch {
			case len(out.Operations) == 0:
				out.Next = "Start an export with create_segment_export."
			case out.HasMore:
				out.Next = "Call again with next_cursor for more."
			default:
				out.Next = "Give an operation_id to get_export_operation or download_export, which takes over also those that this server did not start."
			}
			return out, nil
		},
	}
}

func (a *Account) operationRow(ctx context.Context, op client.Operation, account string) (operationRow, error) {
	row := operationRow{
		OperationID:     op.ID,
		State:           op.State,
		Percent:         op.Percent,
		CreatedAt:       stamp(op.CreatedAt),
		ExportExpiresAt: stamp(op.ExportExpires),
		Error:           clean(op.Error, 200),
	}
	request, bulkID, err := a.purpose(ctx, op.ID, account)
	var damaged *archive.ManifestError
	if errors.As(err, &damaged) {
		return row, nil // told where its file is asked for
	}
	if err != nil || request == nil {
		return row, err
	}
	row.Known, row.BulkID = true, bulkID
	row.SegmentID, row.Type, row.TimeRange = request.SegmentID, request.Type, &request.TimeRange
	if m, err := a.Archive.Manifest(archive.OperationFolder(op.ID)); err == nil {
		row.Stored = len(m.Files) > 0
	}
	return row, nil
}

// purpose returns what an operation was started for, by the ledger or, of one
// that is older than that, by the manifest of its folder; nil when this server
// did not start it.
func (a *Account) purpose(ctx context.Context, operation, account string) (request *client.ExportRequest, bulkID string, err error) {
	l, err := a.Ledger(ctx)
	if err != nil {
		return nil, "", err
	}
	raw := json.RawMessage(nil)
	switch x, err := l.ByOperation(ctx, account, operation); {
	case err == nil:
		raw, bulkID = x.Request, x.Bulk
	case !errors.Is(err, ledger.ErrUnknown):
		return nil, "", err
	default:
		m, err := a.Archive.Manifest(archive.OperationFolder(operation))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		if m.Account == account {
			raw = m.Request
		}
	}
	var r client.ExportRequest
	if len(raw) == 0 || json.Unmarshal(raw, &r) != nil {
		return nil, "", nil
	}
	return &r, bulkID, nil
}
