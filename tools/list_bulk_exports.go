package tools

import (
	"context"
	"strconv"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

type listBulkIn struct {
	State  ledger.BulkState `json:"state,omitempty" jsonschema:"enum=running,enum=paused,enum=complete,enum=partial,enum=failed,enum=cancelled" jsonschema_description:"Only those."`
	Limit  int              `json:"limit,omitempty" jsonschema:"minimum=1,maximum=50,default=10" jsonschema_description:"Most to return."`
	Cursor string           `json:"cursor,omitempty" jsonschema:"maxLength=20" jsonschema_description:"next_cursor of an earlier answer."`
}

type listBulkOut struct {
	Summary    string        `json:"summary"`
	Bulks      []bulkSummary `json:"bulks" schema:"brief"`
	HasMore    bool          `json:"has_more"`
	NextCursor string        `json:"next_cursor,omitempty"`
	Next       string        `json:"next,omitempty"`
}

func listBulkExports(account func(context.Context) (*Account, error)) Tool[listBulkIn, listBulkOut] {
	return Tool[listBulkIn, listBulkOut]{
		Name:        "list_bulk_exports",
		Title:       "List bulk exports",
		Description: "Lists bulk exports, newest first, each as get_bulk_export tells it.",
		Effect:      Read,
		Call: func(ctx context.Context, in listBulkIn) (listBulkOut, error) {
			out := listBulkOut{Bulks: []bulkSummary{}}
			from := 0
			if in.Cursor != "" {
				var err error
				if from, err = strconv.Atoi(in.Cursor); err != nil || from < 0 {
					return out, &preflight.Refusal{Field: "cursor", Message: "it is none that this tool gave. Leave it out for the first page."}
				}
			}
			a, err := account(ctx)
			if err != nil {
				return out, err
			}
			engine, err := a.Engine(ctx)
			if err != nil {
				return out, err
			}
			bulks, err := engine.List(ctx, in.State, from, in.Limit+1)
			if err != nil {
				return out, err
			}
			if len(bulks) > in.Limit {
				bulks, out.HasMore, out.NextCursor = bulks[:in.Limit], true, strconv.Itoa(from+in.Limit)
			}
			for _, b := range bulks {
				s, err := engine.StatusOf(ctx, b)
				if err != nil {
					return out, err
				}
				out.Bulks = append(out.Bulks, summarize(engine, s))
			}
			out.Summary = counted(len(out.Bulks), "bulk export") + "."
			switch {
			case out.HasMore:
				out.Next = "Call again with next_cursor for more."
			case len(out.Bulks) == 0:
				out.Next = "start_bulk_export starts one."
			}
			return out, nil
		},
	}
}
