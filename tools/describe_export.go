package tools

import (
	"context"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

type describeIn struct {
	Source    string             `json:"source" jsonschema:"minLength=1,maxLength=2400" jsonschema_description:"Id or name of a bulk export, an operation_id, or a path in the export folder, such as september/FILE."`
	TimeRange client.TimeRange   `json:"time_range,omitzero" jsonschema_description:"Only files of windows inside it: a day of a bulk export in days, for instance."`
	Columns   []string           `json:"columns,omitempty" jsonschema:"maxItems=100" jsonschema_description:"Names, or patterns such as evt_*. Left out: all."`
	Detail    exports.LookDetail `json:"detail,omitempty" jsonschema:"enum=summary,enum=columns,enum=values,enum=sample,default=summary" jsonschema_description:"columns: presence, distinct values, min and max. values: likewise with the most frequent values. sample: the first rows."`
	Offset    int                `json:"offset,omitempty" jsonschema:"minimum=0" jsonschema_description:"Of the first column."`
	Limit     int                `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200" jsonschema_description:"Most columns, or rows of a sample (at most 20)."`
}

func describeExport(accounts Accounts) Tool[describeIn, exports.Look] {
	return Tool[describeIn, exports.Look]{
		Name:  "describe_export",
		Title: "Describe exported data",
		Description: "Describes the rows of a stored export without reading them again: rows by event type and day, rage, " +
			"dead and error clicks, people, sessions, and for each column its type, presence, range and frequent values. " +
			"With time_range it describes a part, such as one day. Personal columns are masked.",
		Effect: Read,
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in describeIn) (exports.Look, error) {
			return a.Look(ctx, in.Source, exports.LookQuery{
				Columns: in.Columns, Detail: in.Detail, Range: in.TimeRange, Offset: in.Offset, Limit: in.Limit, Mask: true,
			})
		}),
	}
}
