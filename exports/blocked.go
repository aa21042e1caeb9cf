package exports

import (
	"context"
	"errors"
	"slices"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

// ErrRole is the error of an export that was not started because the role of the key is
// too low.
var ErrRole = errors.New("the role of the key is too low for exports")

// DryRun describes an export that was not started, and the next step. what is its
// content in words. If notices are blockers, the next step is to fix them.
func DryRun(what string, e preflight.Export, notices []preflight.Notice) (summary, next string) {
	if blockers := preflight.Blockers(notices); len(blockers) > 0 {
		summary = "Nothing was started. This would be rejected:"
		for _, n := range blockers {
			summary, next = sentences(summary, n.Message), sentences(next, n.Fix)
		}
		return summary, next
	}
	summary = "Nothing was started. This would export " + what + ". "
	summary += sentences(preflight.FiltersOver(e.Request), preflight.TodayText(e.Today, e.Request.Timezone))
	next = "Call again without `dry_run` to start it."
	if slices.ContainsFunc(notices, func(n preflight.Notice) bool { return n.Code == preflight.UnknownField }) {
		next = "Correct `fields`, then call again without `dry_run` to start it."
	}
	return summary, next
}

// blocked returns the error of an export with these notices; nil if none is a blocker.
// A role that is too low comes first: no argument can change that.
func blocked(notices []preflight.Notice) error {
	for _, n := range notices {
		if n.Code == preflight.RoleTooLow {
			return &Error{Err: ErrRole, Explanation: Explanation{
				Kind: Fullstory, Operator: true, Retry: RetryAfter, Cause: "Nothing was started. " + n.Message,
				Remedy: "Get a key of the Architect role from a Fullstory administrator, and use it in place of the present one.",
			}}
		}
	}
	return preflight.Blocked(notices)
}

// unlessBlocked returns the next step after a plan: next, or what must be fixed before
// its chunks can be exported. Arguments that the plan itself does not have, such as
// segment_time_range, are given with the next step.
func unlessBlocked(notices []preflight.Notice, next string) string {
	fix, given := "", ""
	for _, n := range preflight.Blockers(notices) {
		if n.Code == preflight.WindowRequired {
			given = "For the export, " + lowered(n.Fix)
		} else {
			fix = sentences(fix, n.Fix)
		}
	}
	switch {
	case fix != "":
		return sentences("Nothing of this can be exported yet.", fix, given)
	case next == "":
		return ""
	}
	return sentences(next, given)
}

// role returns the role of the key. A role that is too low for exports is asked for
// anew, because an administrator may just have raised it.
func (a *Account) role(ctx context.Context) (client.Role, error) {
	me, err := a.hear(ctx)
	if err == nil && me.Role.TooLow() {
		me, err = a.askMe(ctx)
	}
	return me.Role, err
}
