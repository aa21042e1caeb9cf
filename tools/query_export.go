package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

type queryIn struct {
	Source string `json:"source" jsonschema:"minLength=1,maxLength=2400" jsonschema_description:"As in describe_export; several with commas between are one table."`
	SQL    string `json:"sql" jsonschema:"minLength=1,maxLength=16000" jsonschema_description:"One SELECT over the table rows."`
	Limit  int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200,default=50" jsonschema_description:"Most rows of the answer."`
}

func queryExport(accounts Accounts) Tool[queryIn, exports.QueryAnswer] {
	return Tool[queryIn, exports.QueryAnswer]{
		Name:  "query_export",
		Title: "Query exported data",
		Description: "Answers SQL over the rows of stored exports: the table rows has the columns that describe_export " +
			"lists (dots are __), day and bulk. SQLite's dialect; times are UTC texts such as 2026-10-03 10:00:05.701000, " +
			"lists JSON for json_each(). Personal columns are hashes. Count and group rather than list.",
		Effect: Read,
		Call: accounting(accounts, func(
			ctx context.Context, a *exports.Account, in queryIn,
		) (exports.QueryAnswer, error) {
			return a.Query(ctx, exports.Question{Source: in.Source, SQL: in.SQL, Limit: in.Limit})
		}),
	}
}
