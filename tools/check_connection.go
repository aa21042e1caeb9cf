package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

type connectionIn struct{}

func checkConnection(accounts Accounts) Tool[connectionIn, exports.Connection] {
	return Tool[connectionIn, exports.Connection]{
		Name:  "check_connection",
		Title: "Check the Fullstory connection",
		Description: "Shows whether the Fullstory API answers, the organisation and role of the API key, whether " +
			"the role can export, and where files are kept. Starts nothing. Use it first, and whenever another " +
			"tool reports a rejected key or a missing permission.",
		Effect: Read,
		Call: accounting(accounts, func(
			ctx context.Context, a *exports.Account, _ connectionIn,
		) (exports.Connection, error) {
			out, _ := a.Check(ctx)
			return out, nil
		}),
	}
}
