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
		// A plan without a segment needs no account.
		Call: func(ctx context.Context, in exports.PlanRequest) (exports.Planned, error) {
			return exports.PlanChunks(ctx, accounts, in, s.zone(), s.Now())
		},
	}
}
