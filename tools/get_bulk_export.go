package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

type getBulkIn struct {
	BulkID      string         `json:"bulk_id" jsonschema:"minLength=1,maxLength=200" jsonschema_description:"Id or name, from start_bulk_export or list_bulk_exports."`
	WaitSeconds int            `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=20" jsonschema_description:"Wait up to this long for its end."`
	Detail      exports.Detail `json:"detail,omitempty" jsonschema:"enum=summary,enum=problems,enum=chunks,default=summary" jsonschema_description:"problems: windows that failed, files that are missing, warnings. chunks: every window."`
	Offset      int            `json:"offset,omitempty" jsonschema:"minimum=0" jsonschema_description:"First chunk to list."`
	Limit       int            `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200,default=50" jsonschema_description:"Most chunks or problems to list."`
}

func getBulkExport(accounts Accounts) Tool[getBulkIn, exports.BulkStatus] {
	return Tool[getBulkIn, exports.BulkStatus]{
		Name:  "get_bulk_export",
		Title: "Get a bulk export",
		Description: "Shows the state of a bulk export: chunks, rows and bytes stored so far, when it will end, " +
			"problems and their remedies.",
		Effect: Read,
		Call: accounting(accounts, func(
			ctx context.Context, a *exports.Account, in getBulkIn,
		) (exports.BulkStatus, error) {
			q := exports.BulkQuery{Detail: in.Detail, Offset: in.Offset, Limit: in.Limit}
			return a.Bulk(ctx, in.BulkID, q, waitUntil(in.WaitSeconds), reporting(ctx))
		}),
	}
}
