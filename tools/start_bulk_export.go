package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

func startBulkExport(accounts Accounts, s Settings, seen *seenNotices) Tool[exports.BulkRequest, exports.BulkStarted] {
	return Tool[exports.BulkRequest, exports.BulkStarted]{
		Name:  "start_bulk_export",
		Title: "Start a bulk export",
		Description: "Exports a long range in chunks, each created at Fullstory, fetched, verified and stored in " +
			"one folder with a manifest. Returns at once; work continues in the background, also after a " +
			"restart: see get_bulk_export. No window is lost or exported twice. Arguments as in " +
			"create_segment_export. Required: segment_id, type and time_range, or like_bulk_id.",
		Effect: Write,
		Draws:  drawBulks(accounts, func(out any) []string { return []string{out.(exports.BulkStarted).BulkID} }),
		Call: accounting(accounts, func(
			ctx context.Context, a *exports.Account, in exports.BulkRequest,
		) (exports.BulkStarted, error) {
			out, err := a.StartBulk(ctx, in, s.zone())
			dry := in.DryRun
			in.DryRun, in.Confirm = false, "" // what is left is the request
			out.Warnings = seen.result(ctx, dry, in, out.Warnings)
			return out, err
		}),
	}
}
