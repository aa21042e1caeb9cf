package command

import (
	"context"
	"errors"

	"charm.land/lipgloss/v2"

	"fullstory-export-mcp/exports"
)

// observe calls do with the account, whose exports are not worked on meanwhile.
func (a *app) observe(ctx context.Context, do func(*exports.Account) error) error {
	return a.withAccount(ctx, true, do)
}

// withAccount calls do with the account of the flags. This process works on its exports
// until do returns, unless idle is set. An error of do is explained to the user. After data of
// the built-in sandbox, a note says so.
func (a *app) withAccount(ctx context.Context, idle bool, do func(*exports.Account) error) error {
	d, err := newDeps(a)
	if err != nil {
		return err
	}
	defer d.close()
	d.accounts.idle = idle
	account, err := d.account(ctx)
	if err == nil {
		err = do(account)
		a.noteSimulated(account.Sandbox && (err == nil || Status(err) > statusUsage))
	}
	return explained(ctx, err)
}

// noteSimulated writes on stderr that what was printed is not about an organisation, if it is
// of the built-in sandbox.
func (a *app) noteSimulated(simulated bool) {
	if simulated {
		a.newView(a.warned()).marked(sign(lipgloss.Cyan, "note:"), "Simulated data, from the built-in sandbox.")
	}
}

// explained returns an error of exports as a user reads it, with its exit status:
// statusUsage if an argument is wrong, since that came from a flag, statusBlocked if the
// key must be given a higher role first, and statusIncomplete if ctx has ended.
func explained(ctx context.Context, err error) error {
	var exit *exitError
	switch {
	case err == nil || errors.As(err, &exit):
		return err
	case ctx.Err() != nil:
		return &exitError{statusIncomplete, errors.New("interrupted")}
	}
	x := exports.Explain(err)
	text := errors.New(x.ForTerminal())
	switch {
	case errors.Is(err, exports.ErrWrongState):
		return text
	case x.Kind == exports.Arguments:
		return &exitError{statusUsage, text}
	case errors.Is(err, exports.ErrRole):
		return &exitError{statusBlocked, text}
	}
	return text
}
