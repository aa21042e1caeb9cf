package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

type controlBulkOut struct {
	exports.BulkSummary `schema:"summary"` // get_bulk_export describes the other fields
}

func controlBulkExport(accounts Accounts) Tool[exports.ControlRequest, controlBulkOut] {
	return Tool[exports.ControlRequest, controlBulkOut]{
		Name:  "control_bulk_export",
		Title: "Control a bulk export",
		Description: "Pauses, resumes or cancels a bulk export, or retries its failed chunks. Returns its state " +
			"like get_bulk_export.",
		Effect: Destroy,
		Draws:  drawBulks(accounts, func(out any) []string { return []string{out.(controlBulkOut).BulkID} }),
		Call: accounting(accounts, func(
			ctx context.Context, a *exports.Account, in exports.ControlRequest,
		) (controlBulkOut, error) {
			s, err := a.ControlBulk(ctx, in)
			return controlBulkOut{s}, err
		}),
	}
}
