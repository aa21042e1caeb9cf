package tools

import (
	"context"
	"strconv"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
)

type listBulkIn struct {
	State  ledger.BulkState `json:"state,omitempty" jsonschema:"enum=running,enum=paused,enum=complete,enum=partial,enum=failed,enum=cancelled" jsonschema_description:"Only those."`
	Limit  int              `json:"limit,omitempty" jsonschema:"minimum=1,maximum=50,default=10" jsonschema_description:"Most to return; fewer if they are long."`
	Cursor string           `json:"cursor,omitempty" jsonschema:"maxLength=20" jsonschema_description:"next_cursor of an earlier answer."`
}

type listBulkOut struct {
	Summary    string                `json:"summary"`
	Bulks      []exports.BulkSummary `json:"bulks" schema:"brief"`
	HasMore    bool                  `json:"has_more"`
	NextCursor string                `json:"next_cursor,omitempty"`
	Next       string                `json:"next,omitempty"`
}

// ids returns the ids of the bulk exports.
func (out listBulkOut) ids() (ids []string) {
	for _, b := range out.Bulks {
		ids = append(ids, b.BulkID)
	}
	return ids
}

func listBulkExports(accounts Accounts, s Settings) Tool[listBulkIn, listBulkOut] {
	return Tool[listBulkIn, listBulkOut]{
		Name:        "list_bulk_exports",
		Title:       "List bulk exports",
		Description: "Lists bulk exports, newest first, each as in get_bulk_export.",
		Effect:      Read,
		Draws:       drawBulks(accounts, func(out any) []string { return out.(listBulkOut).ids() }),
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in listBulkIn) (listBulkOut, error) {
			out := listBulkOut{Bulks: []exports.BulkSummary{}}
			from := 0
			if in.Cursor != "" {
				var err error
				if from, err = strconv.Atoi(in.Cursor); err != nil || from < 0 {
					message := "this tool did not return it. Leave it out for the first page."
					return out, &plan.Error{Field: "cursor", Message: message}
				}
			}
			page, err := a.Bulks(ctx, in.State, from, in.Limit)
			if err != nil {
				return out, err
			}
			if out.Bulks, out.HasMore = page.Bulks, page.Next > 0; out.HasMore {
				out.NextCursor = strconv.Itoa(page.Next)
			}
			out.Summary = exports.Counted(len(out.Bulks), "bulk export") + "."
			switch {
			case out.HasMore:
				out.Summary = exports.Counted(len(out.Bulks), "bulk export") + ", and there are more."
				out.Next = "Call again with next_cursor for more."
			case len(out.Bulks) == 0:
				out.Next = "start_bulk_export starts one."
			}
			if s.Files != nil && len(out.Bulks) > 0 {
				out.Summary += " Folders are on the server; get_bulk_export returns a link to the files for the user."
			}
			return out, nil
		}),
	}
}
