package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

func syncExport(accounts Accounts, s Settings, seen *seenNotices) Tool[exports.SyncRequest, exports.SyncResult] {
	return Tool[exports.SyncRequest, exports.SyncResult]{
		Name:  "sync_export",
		Title: "Keep an export up to date",
		Description: "Sets up a sync, which exports the windows of a segment as they end, such as every day; or changes, " +
			"pauses, resumes or removes one. Files stay. Another request exports all windows anew, to another folder.",
		Effect: Write,
		Draws:  drawSyncs(accounts, func(out any) []exports.SyncStatus { return syncsOf(out.(exports.SyncResult)) }),
		Call: accounting(accounts, func(
			ctx context.Context, a *exports.Account, in exports.SyncRequest,
		) (exports.SyncResult, error) {
			out, err := a.Sync(ctx, in, s.zone())
			dry := in.DryRun
			in.DryRun, in.Confirm = false, "" // what is left is the request
			out.Warnings = seen.result(ctx, dry, in, out.Warnings)
			return out, err
		}),
	}
}

// syncsOf returns the sync of a result, if it has one.
func syncsOf(r exports.SyncResult) []exports.SyncStatus {
	if r.Sync == nil || r.Sync.SyncID == "" { // a dry run
		return nil
	}
	return []exports.SyncStatus{*r.Sync}
}
