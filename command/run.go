package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/landing"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// runCommand is `run`: one bulk export, from a terminal or cron.
type runCommand struct {
	requestFlags
	Yes     bool   `help:"Confirm the start of over 5,000 chunks (--confirm-chunks), of an estimate over 50 GB (--confirm-gigabytes), or with columns that are not documented." short:"y"`
	Detach  bool   `help:"When interrupted, do not pause the export: a server or another run on this folder continues it."`
	Parquet bool   `help:"Also make Parquet files of what is stored, as convert does, once it has ended."`
	Table   string `help:"delta: make a Delta Lake table of the Parquet files, which it implies." placeholder:"delta"`
	JSON    bool   `help:"Print the final status as one JSON object on stdout; progress goes to stderr." name:"json"`
}

// Help is the text that --help prints above the flags.
func (*runCommand) Help() string {
	return "Exit status: 0 complete; 1 failed; 2 wrong usage; 3 incomplete (interrupted, or chunks failed);\n" +
		"4 blocked (paused until you fix the cause)."
}

// pollInterval is how often the status of a bulk export is read while its progress
// is shown.
const pollInterval = 200 * time.Millisecond

// Run starts one bulk export, or resumes it, and waits for its end.
func (r *runCommand) Run(ctx context.Context, a *app) error {
	if a.config.ReadOnly {
		return &exitError{statusUsage, errors.New("run exports, which --read-only forbids")}
	}
	request, err := r.request()
	if err != nil {
		return err
	}
	if request.Table, err = tableFormat(r.Table); err != nil {
		return err
	}
	r.Parquet = r.Parquet || request.Table != ledger.NoTable
	request.Parquet = &r.Parquet
	return a.withAccount(ctx, false, func(account *exports.Account) error {
		account.ConvertOnRequest = r.Parquet // so that convert shows how far it is
		if err := r.checkFields(ctx, a, account, request); err != nil {
			return err
		}
		// The same request under the same name finds the export of an earlier run (Reused).
		started, err := withConsent(ctx, a, r.Yes, func(agreed bool, c exports.Consent) (exports.BulkStarted, error) {
			request.Confirmed, request.Consent = agreed, c
			return account.StartBulk(ctx, request, a.config.Timezone)
		})
		if err != nil && ctx.Err() != nil {
			return &exitError{statusIncomplete, errors.New("interrupted before anything was started")}
		}
		if err != nil {
			return err
		}
		out := a.newView(a.told(r.JSON))
		out.line(exports.ForTerminal(started.Summary))
		showNotices(a.newView(a.warned()), started.Warnings)
		if started.Reused {
			doing, err := account.ResumeBulk(ctx, started.BulkID)
			if err != nil && ctx.Err() == nil {
				return err
			}
			if doing != "" {
				out.line(exports.ForTerminal(doing))
			}
		}
		return r.await(ctx, a, account, started.BulkID, started.Name)
	})
}

// checkFields rejects columns that are not documented, unless --yes is given: a misspelt
// one would be missing in every file.
func (r *runCommand) checkFields(
	ctx context.Context, a *app, account *exports.Account, request exports.BulkRequest,
) error {
	if len(request.Fields) == 0 || r.Yes {
		return nil
	}
	request.DryRun = true
	checked, err := account.StartBulk(ctx, request, a.config.Timezone)
	if err != nil {
		return err
	}
	for _, n := range checked.Warnings {
		if n.Code == preflight.UnknownField {
			return &exitError{statusUsage, fmt.Errorf("--fields: %s Nothing was started; --yes exports all the same",
				exports.ForTerminal(n.Message+" "+n.Fix))}
		}
	}
	return nil
}

// await shows the progress of a bulk export until it ends, and reports its end.
func (r *runCommand) await(ctx context.Context, a *app, account *exports.Account, id, name string) error {
	// An export that ended just before the interrupt is reported as ended.
	status, err := a.follow(ctx, account, id, a.told(r.JSON))
	if ctx.Err() != nil && (err != nil || status.State == "running") {
		status.BulkID, status.Name = id, name
		return r.interrupted(ctx, a, account, status)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	if r.Parquet && (status.State == "complete" || status.State == "partial") {
		return r.convert(ctx, a, account, status)
	}
	return r.report(a, status)
}

// convert makes the Parquet files of a bulk export that has ended, and reports its end. If
// this process does not complete them, the next one that works for the account does.
func (r *runCommand) convert(ctx context.Context, a *app, account *exports.Account, s exports.BulkStatus) error {
	out := a.told(r.JSON)
	done, err := convertedBy(ctx, s.Folder, out, func(show func(landing.Progress)) (landing.Result, error) {
		return account.ConvertBulk(ctx, s.BulkID, show)
	})
	if err == nil {
		done.show(a.newView(out))
		err = done.problem()
	}
	if now, failed := account.BulkStatus(context.WithoutCancel(ctx), s.BulkID); failed == nil {
		s = now
	}
	reported := r.report(a, s)
	return cmp.Or(err, reported)
}

// told returns where a command writes what it does: nowhere with --quiet, on stderr if
// its result is JSON on stdout, else on stdout.
func (a *app) told(json bool) io.Writer {
	switch {
	case a.config.Quiet:
		return io.Discard
	case json:
		return a.stderr
	}
	return a.stdout
}

// warned returns where a command writes warnings and notes: on stderr, and nowhere with --quiet.
func (a *app) warned() io.Writer {
	if a.config.Quiet {
		return io.Discard
	}
	return a.stderr
}

// pauseTimeout bounds how long an interrupted run waits for the pause of its export.
const pauseTimeout = 4 * time.Second

// interrupted ends a run before its bulk export has ended. It pauses the export, so
// that nothing continues unseen, unless --detach is given. ctx has already ended.
func (r *runCommand) interrupted(ctx context.Context, a *app, account *exports.Account, s exports.BulkStatus) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pauseTimeout)
	defer cancel()
	what := s.Name + " stays running; another process on this folder continues it"
	if !r.Detach {
		paused, err := account.PauseBulk(ctx, s.BulkID)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			what = s.Name + " could not be paused in time; another process on this folder continues it"
		case err != nil:
			what = fmt.Sprintf("%s could not be paused (%s)", s.Name, exports.Explain(err).ForTerminal())
		case paused.State != "paused": // it ended in the meantime
			return r.report(a, paused)
		default:
			s, what = paused, s.Name+" is paused"
		}
	}
	if err := r.printJSON(a, s); err != nil {
		return err
	}
	return &exitError{statusIncomplete, fmt.Errorf("interrupted: %s, with %d of %d chunks stored. "+
		"Run the same command to resume it", what, s.Chunks.Stored, s.Chunks.All)}
}

// report prints the final status of a run, and returns the error with its exit
// status, or nil if the export is complete.
func (r *runCommand) report(a *app, s exports.BulkStatus) error {
	if err := r.printJSON(a, s); err != nil {
		return err
	}
	switch s.State {
	case "complete":
		r.reportComplete(a, s)
		return nil
	case "failed":
		return &exitError{statusFailed, errors.New(withProblems(s))}
	case "paused":
		next := "Run the same command to resume it once the cause is fixed"
		if len(s.Problems) == 1 && s.Problems[0].Problem == exports.PausedOnRequest {
			next = "Resume it: fullstory-export-mcp resume " + shellWord(s.Name)
		}
		return &exitError{statusBlocked, errors.New(withProblems(s) + "\n" + next)}
	}
	return &exitError{statusIncomplete, errors.New(withProblems(s))}
}

// reportComplete prints the summary of a complete export, and where its files are.
// With --json that is on stdout already, and only the warning about an export
// without rows is printed, on stderr.
func (r *runCommand) reportComplete(a *app, s exports.BulkStatus) {
	out, summary, where := a.newView(a.stdout), exports.ForTerminal(s.Summary), cmp.Or(s.Object, s.Folder)
	switch {
	case !r.JSON && s.Rows == 0:
		out.warn(summary)
		out.line(exports.ForTerminal(s.Next))
		out.line(where)
	case !r.JSON:
		out.good(summary)
		out.line(where)
	case s.Rows == 0:
		a.newView(a.stderr).warn(summary + "\n" + exports.ForTerminal(s.Next))
	}
}

// printJSON prints s on stdout if --json is given.
func (r *runCommand) printJSON(a *app, s exports.BulkStatus) error {
	if !r.JSON {
		return nil
	}
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(s)
}

// maxProblems is how many problems of a bulk export are printed; `--json` has all.
const maxProblems = 5

// withProblems returns the summary of s, and below it the problems that the summary
// does not mention.
func withProblems(s exports.BulkStatus) string {
	text := exports.ForTerminal(s.Summary)
	for _, p := range s.Problems[:min(len(s.Problems), maxProblems)] {
		if strings.Contains(s.Summary, p.Problem) {
			continue
		}
		text += "\n" + exports.ForTerminal(p.Problem)
		if p.Start != "" {
			text += " (" + p.Start + " to " + p.End + ")"
		}
	}
	return text
}
