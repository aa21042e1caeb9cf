package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"fullstory-export-mcp/exports"
)

// syncRunCommand is `sync run`.
type syncRunCommand struct {
	Name string `arg:"" optional:"" help:"Name of a sync. Default: all of them."`
	Due  bool   `help:"Only those that are due, or whose windows are not all stored."`
	JSON bool   `help:"Print one JSON object for each sync on stdout, a line each; progress goes to stderr." name:"json"`
}

// Help is the text that --help prints above the flags.
func (*syncRunCommand) Help() string {
	return "It may be started too often, too late or twice at once: each window is exported once.\n" +
		"Exit status: 0 up to date; 1 failed; 2 wrong usage; 3 incomplete (interrupted, or windows, Parquet files\n" +
		"or rows in a database failed, which is tried again); 4 blocked (fix the cause, then run sync resume).\n" +
		"A sync that is paused counts as up to date."
}

// Run exports what syncs lack.
func (c *syncRunCommand) Run(ctx context.Context, a *app) error {
	if a.config.ReadOnly {
		return &exitError{statusUsage, errors.New("sync run exports, which --read-only forbids")}
	}
	if c.Name != "" && c.Due {
		return &exitError{statusUsage, errors.New("give NAME or --due")}
	}
	return nameFirst(a.withAccount(ctx, false, func(account *exports.Account) error {
		names, err := c.chosen(ctx, account)
		if err != nil {
			return err
		}
		out := a.told(c.JSON)
		if len(names) == 0 && c.Due {
			a.newView(out).line("No sync is due.")
		}
		worst := 0
		for _, name := range names {
			status, err := c.one(ctx, a, account, name, out)
			if err != nil {
				return err
			}
			worst = max(worst, status)
		}
		if worst != 0 {
			return &exitError{worst, errors.New("not every sync is up to date")}
		}
		return nil
	}))
}

// chosen returns the syncs to run, by id or name.
func (c *syncRunCommand) chosen(ctx context.Context, account *exports.Account) (names []string, err error) {
	switch {
	case c.Name != "":
		return []string{c.Name}, nil
	case c.Due:
		return account.DueSyncs(ctx)
	}
	syncs, err := account.Syncs(ctx)
	for _, s := range syncs {
		names = append(names, s.SyncID)
	}
	return names, err
}

// one runs one sync, and returns the exit status for its state.
func (c *syncRunCommand) one(
	ctx context.Context, a *app, account *exports.Account, name string, out io.Writer,
) (status int, err error) {
	show, finish := a.progress(out)
	last := exports.BulkStatus{}
	s, err := account.RunSync(ctx, name, func(b exports.BulkStatus) {
		last = b
		show(b)
	})
	if last.BulkID != "" {
		last.State = map[bool]string{true: "complete", false: last.State}[s.State == exports.CurrentSync]
		finish(last)
	}
	if ctx.Err() != nil {
		return 0, &exitError{statusIncomplete, fmt.Errorf("interrupted: %s continues the next time it is run", s.Name)}
	}
	if err != nil {
		return 0, err
	}
	if c.JSON {
		if err := (printableJSON{a.newView(a.stdout).out}).print(s); err != nil {
			return 0, err
		}
	}
	v := a.newView(out)
	summary := exports.ForTerminal(s.Summary)
	for _, p := range s.Problems {
		summary += "\n" + exports.ForTerminal(p.Problem)
	}
	switch s.State {
	case exports.CurrentSync:
		v.good(summary)
		return 0, nil
	case exports.PausedSync:
		v.line(summary)
		return 0, nil
	case exports.FailingSync:
		v.bad(summary)
		if s.Windows.Failed > 0 {
			return statusIncomplete, nil
		}
		v.line("Once the cause is fixed: fullstory-export-mcp sync resume " + shellWord(s.Name))
		return statusBlocked, nil
	}
	v.warn(summary)
	return statusIncomplete, nil
}
