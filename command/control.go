package command

import (
	"context"
	"errors"

	"fullstory-export-mcp/exports"
)

// bulkArgument names a bulk export.
type bulkArgument struct {
	Name string `arg:"" help:"Name or id of the bulk export."`
	JSON bool   `help:"Print the status afterwards as one JSON object on stdout." name:"json"`
}

// pauseCommand is `pause`.
type pauseCommand struct{ bulkArgument }

// Run pauses a bulk export, whichever process carries it out.
func (c *pauseCommand) Run(ctx context.Context, a *app) error { return c.change(ctx, a, exports.Pause) }

// cancelCommand is `cancel`.
type cancelCommand struct {
	bulkArgument
	Yes bool `help:"Confirm the cancellation of a bulk export of over 5,000 chunks (--confirm-chunks)." short:"y"`
}

// Run cancels a bulk export, whichever process carries it out.
func (c *cancelCommand) Run(ctx context.Context, a *app) error {
	return c.changeAfter(ctx, a, exports.Cancel, c.Yes)
}

// change carries out an action, and prints the bulk export afterwards.
func (n *bulkArgument) change(ctx context.Context, a *app, action exports.Action) error {
	return n.changeAfter(ctx, a, action, false)
}

// changeAfter is change for an action that may need the user's consent, which yes gives.
func (n *bulkArgument) changeAfter(ctx context.Context, a *app, action exports.Action, yes bool) error {
	return a.observe(ctx, func(account *exports.Account) error {
		changed, err := withConsent(ctx, a, yes, func(agreed bool, c exports.Consent) (exports.BulkSummary, error) {
			return account.ControlBulk(ctx, exports.ControlRequest{
				BulkID: n.Name, Action: action, Typed: true, Confirmed: agreed, Consent: c,
			})
		})
		if err != nil {
			return err
		}
		s, err := account.BulkStatus(ctx, changed.BulkID)
		if err != nil {
			return err
		}
		if n.JSON {
			return printableJSON{a.newView(a.stdout).out}.print(s)
		}
		a.newView(a.stdout).good(exports.ForTerminal(s.Summary))
		return nil
	})
}

// carriedOut is a command that changes a bulk export and carries it out.
type carriedOut struct {
	bulkArgument
	Detach bool `help:"Do not carry it out here, and do not wait: a server on the same ledger carries it out."`
}

// resumeCommand is `resume`.
type resumeCommand struct{ carriedOut }

// Run resumes a bulk export, also one whose process has died, and waits for its end.
func (c *resumeCommand) Run(ctx context.Context, a *app) error {
	return c.carryOut(ctx, a, exports.Resume)
}

// retryCommand is `retry`.
type retryCommand struct{ carriedOut }

// Run exports again what a bulk export lacks, and waits for its end.
func (c *retryCommand) Run(ctx context.Context, a *app) error {
	return c.carryOut(ctx, a, exports.RetryFailed)
}

// carryOut carries out an action and, unless --detach is given, the export.
func (c *carriedOut) carryOut(ctx context.Context, a *app, action exports.Action) error {
	if a.config.ReadOnly {
		return &exitError{statusUsage, errors.New("this exports, which --read-only forbids")}
	}
	if c.Detach {
		return c.change(ctx, a, action)
	}
	return a.withAccount(ctx, false, func(account *exports.Account) error {
		changed, err := account.ControlBulk(ctx, exports.ControlRequest{BulkID: c.Name, Action: action})
		if err != nil {
			return err
		}
		r := &runCommand{JSON: c.JSON}
		return r.await(ctx, a, account, changed.BulkID, changed.Name)
	})
}
