package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

type listSyncsIn struct {
	Name string `json:"name,omitempty" jsonschema:"maxLength=200" jsonschema_description:"Only this one."`
}

type listSyncsOut struct {
	Summary string               `json:"summary"`
	Syncs   []exports.SyncStatus `json:"syncs" schema:"brief"`
	HasMore bool                 `json:"has_more"`
	Next    string               `json:"next,omitempty"`
}

func listSyncs(accounts Accounts) Tool[listSyncsIn, listSyncsOut] {
	return Tool[listSyncsIn, listSyncsOut]{
		Name:        "list_syncs",
		Title:       "List syncs",
		Description: "Lists exports that are kept up to date: what is stored and missing, and when each looks next.",
		Effect:      Read,
		Draws:       drawSyncs(accounts, func(out any) []exports.SyncStatus { return out.(listSyncsOut).Syncs }),
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in listSyncsIn) (listSyncsOut, error) {
			if in.Name != "" {
				s, err := a.SyncStatus(ctx, in.Name)
				return listSyncsOut{Summary: s.Summary, Syncs: []exports.SyncStatus{s}, Next: s.Next}, err
			}
			all, err := a.Syncs(ctx)
			if err != nil {
				return listSyncsOut{}, err
			}
			for i := range all {
				all[i].Export = all[i].Export.Brief()
			}
			out := listSyncsOut{Syncs: all[:exports.Fitting(all)], Summary: exports.Counted(len(all), "sync") + "."}
			if out.HasMore = len(out.Syncs) < len(all); out.HasMore {
				out.Next = "The list is cut; `name` shows one of them."
			}
			if len(all) == 0 {
				out.Next = "`sync_export` with the action create sets one up."
			}
			return out, nil
		}),
	}
}
