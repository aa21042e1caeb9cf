package tools

import (
	"context"

	"fullstory-export-mcp/exports"
)

func planTimeChunks(accounts Accounts, s Settings) Tool[exports.PlanRequest, exports.Planned] {
	return Tool[exports.PlanRequest, exports.Planned]{
		Name:  "plan_time_chunks",
		Title: "Plan time chunks",
		Description: "Cuts a range into half-open chunks that tile it exactly, on the calendar of a time zone " +
			"(days of 23 and 25 hours included), by elapsed time, or by the size that files should have. Starts " +
			"nothing; start_bulk_export makes its own plan.",
		Effect: Read,
		// A plan without a segment needs no account; it takes the time from one if there is one.
		Call: func(ctx context.Context, in exports.PlanRequest) (exports.Planned, error) {
			var used *exports.Account
			account := func(ctx context.Context) (a *exports.Account, err error) {
				a, err = accounts(ctx)
				used = a
				return a, err
			}
			planned, err := exports.PlanChunks(ctx, account, in, s.zone(), s.Now())
			if err == nil && used != nil {
				markSimulated(used, &planned)
			}
			return planned, err
		},
	}
}
