package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/local"
)

// runCommand is `run`: one bulk export, from a terminal or cron.
type runCommand struct {
	Segment     string   `help:"Id, exact name or URL of the segment." required:"" placeholder:"SEGMENT"`
	From        string   `help:"Start of the range: 2026-09-01, 2026-09, last_month, now-30d/d, RFC 3339." required:"" placeholder:"TIME"`
	To          string   `help:"End of the range, excluded. Default: the end of the period in --from." placeholder:"TIME"`
	Window      string   `help:"Period over which the segment's filters are evaluated: own (the segment's window), range (all of the range), all, or START/END. Default: range for everyone, own for a range of the last 30 days; required otherwise." name:"segment-window" placeholder:"own|range|all|START/END"`
	Chunk       string   `help:"Length of a chunk: hour, day, week, month, quarter, or a duration such as PT6H." default:"day" placeholder:"LENGTH"`
	Name        string   `help:"Name of the folder. The same name with the same request resumes the export. Default: made of the request." placeholder:"NAME"`
	Type        string   `help:"TYPE_EVENT, TYPE_PAGES, TYPE_SESSIONS or TYPE_INDIVIDUAL." default:"TYPE_EVENT" enum:"TYPE_EVENT,TYPE_PAGES,TYPE_SESSIONS,TYPE_INDIVIDUAL" placeholder:"TYPE"`
	Scope       string   `help:"With TYPE_EVENT: SCOPE_EVENTS, SCOPE_PAGES, SCOPE_SESSIONS or SCOPE_INDIVIDUALS." enum:",SCOPE_EVENTS,SCOPE_PAGES,SCOPE_SESSIONS,SCOPE_INDIVIDUALS" default:"" placeholder:"SCOPE"`
	Format      string   `help:"FORMAT_NDJSON, FORMAT_JSON or FORMAT_CSV." default:"FORMAT_NDJSON" enum:"FORMAT_NDJSON,FORMAT_JSON,FORMAT_CSV" placeholder:"FORMAT"`
	Fields      []string `help:"Columns, in this order. Default: the default set and all custom variables." placeholder:"NAME"`
	MaxInFlight int      `help:"Exports at Fullstory at once. Default: adapts automatically." placeholder:"N"`
	Settle      bool     `help:"Wait until the rows of the last day have settled, then export their chunks once more."`
	Yes         bool     `help:"Confirm the start of over 5,000 chunks, or of an estimate over 50 GB." short:"y"`
	Detach      bool     `help:"When interrupted, do not pause the export: a server or another run on this folder continues it."`
	JSON        bool     `help:"Print the final status as one JSON object on stdout; progress goes to stderr." name:"json"`
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
	d, err := newDeps(a)
	if err != nil {
		return err
	}
	defer d.close()
	account, err := d.account(ctx)
	if err != nil {
		return err
	}
	// The same request under the same name finds the export of an earlier run (Reused).
	started, err := account.StartBulk(ctx, r.request(), d.settings.Zone)
	if err != nil {
		return r.rejected(ctx, err)
	}
	out := a.stdout
	if r.JSON {
		out = a.stderr
	}
	fmt.Fprintln(out, exports.ForTerminal(started.Summary))
	showNotices(out, started.Warnings)
	if started.Reused {
		doing, err := account.ResumeBulk(ctx, started.BulkID)
		if err != nil && ctx.Err() == nil {
			return r.rejected(ctx, err)
		}
		if doing != "" {
			fmt.Fprintln(out, doing)
		}
	}
	// An export that ended just before the interrupt is reported as ended.
	status, err := a.follow(ctx, account, started.BulkID, out)
	if ctx.Err() != nil && (err != nil || status.State == "running") {
		status.BulkID, status.Name = started.BulkID, started.Name
		return r.interrupted(ctx, a, account, status)
	}
	if err != nil && ctx.Err() == nil {
		return errors.New(exports.Explain(err).ForTerminal())
	}
	return r.report(a, status)
}

// request returns the export that the flags describe. exports checks it.
func (r *runCommand) request() exports.BulkRequest {
	request := exports.BulkRequest{
		SegmentID: r.Segment, Type: client.Type(r.Type), Scope: client.Scope(r.Scope),
		Format: client.Format(r.Format), Fields: r.Fields,
		TimeRange: client.TimeRange{Start: r.From, End: r.To}, Chunk: r.Chunk, Name: r.Name,
		MaxInFlight: r.MaxInFlight, Settle: &r.Settle, Confirmed: r.Yes,
	}
	if r.Window != "" {
		request.SegmentTimeRange = &client.TimeRange{Start: r.Window}
	}
	return request
}

// rejected returns the error of an export that could not be started. Its status is
// statusUsage if an argument is wrong, since that argument came from a flag, and
// statusBlocked if the key must be given a higher role first.
func (r *runCommand) rejected(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &exitError{statusIncomplete, errors.New("interrupted before anything was started")}
	}
	x := exports.Explain(err)
	text := errors.New(x.ForTerminal())
	switch {
	case x.Kind == exports.Arguments:
		return &exitError{statusUsage, text}
	case errors.Is(err, exports.ErrRole):
		return &exitError{statusBlocked, text}
	}
	return text
}

// pauseTimeout bounds how long an interrupted run waits for the pause of its export.
const pauseTimeout = 1500 * time.Millisecond

// interrupted ends a run before its bulk export has ended. It pauses the export, so
// that nothing continues unseen, unless --detach is given. ctx has already ended.
func (r *runCommand) interrupted(ctx context.Context, a *app, account *exports.Account, s exports.BulkStatus) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pauseTimeout)
	defer cancel()
	what := s.Name + " stays running; another process on this folder continues it"
	if !r.Detach {
		paused, err := account.PauseBulk(ctx, s.BulkID)
		switch {
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
		return &exitError{statusBlocked, errors.New(withProblems(s) +
			"\nRun the same command to resume it once the cause is fixed")}
	}
	return &exitError{statusIncomplete, errors.New(withProblems(s))}
}

// reportComplete prints the summary of a complete export, and where its files are.
// With --json that is on stdout already, and only the warning about an export
// without rows is printed, on stderr.
func (r *runCommand) reportComplete(a *app, s exports.BulkStatus) {
	summary, where := exports.ForTerminal(s.Summary), local.Printable(cmp.Or(s.Object, s.Folder))
	switch {
	case !r.JSON && s.Rows == 0:
		fmt.Fprintf(a.stdout, "%s\n%s\n%s\n", summary, exports.ForTerminal(s.Next), where)
	case !r.JSON:
		fmt.Fprintf(a.stdout, "%s\n%s\n", summary, where)
	case s.Rows == 0:
		fmt.Fprintf(a.stderr, "%s\n%s\n", summary, exports.ForTerminal(s.Next))
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
