package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

type controlBulkIn struct {
	BulkID string         `json:"bulk_id" jsonschema:"minLength=1,maxLength=200" jsonschema_description:"Id or name."`
	Action exports.Action `json:"action" jsonschema:"enum=pause,enum=resume,enum=cancel,enum=retry_failed" jsonschema_description:"cancel also cancels at Fullstory and cannot be undone; stored files stay. retry_failed also exports again what is missing on disk."`
}

type controlBulkOut struct {
	exports.BulkSummary `schema:"summary"` // get_bulk_export describes the other fields
}

func controlBulkExport(accounts Accounts) Tool[controlBulkIn, controlBulkOut] {
	return Tool[controlBulkIn, controlBulkOut]{
		Name:  "control_bulk_export",
		Title: "Control a bulk export",
		Description: "Pauses, resumes or cancels a bulk export, or retries its failed chunks. Returns its state " +
			"like get_bulk_export.",
		Effect: Destroy,
		Draws:  drawBulks(accounts, func(out any) []string { return []string{out.(controlBulkOut).BulkID} }),
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in controlBulkIn) (controlBulkOut, error) {
			s, err := a.ControlBulk(ctx, in.BulkID, in.Action)
			return controlBulkOut{s}, err
		}),
	}
}
