package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/ledger"
)

// syncCommand is `sync`: exports that are kept up to date.
type syncCommand struct {
	Add    syncAddCommand    `cmd:"" help:"Keep the export of a segment up to date: its windows are exported as they end."`
	Change syncChangeCommand `cmd:"" help:"Change a sync. What is not given stays; another request begins a new folder."`
	List   syncListCommand   `cmd:"" help:"List syncs: what is stored, what is missing, when each looks next."`
	Run    syncRunCommand    `cmd:"" help:"Export what is missing now, and wait for it: for cron, systemd, launchd or Kubernetes."`
	Pause  syncPauseCommand  `cmd:"" help:"Pause a sync."`
	Resume syncResumeCommand `cmd:"" help:"Resume a sync. A server, or the next sync run, exports what is missing."`
	Remove syncRemoveCommand `cmd:"" help:"Remove a sync. Its files stay."`
	Adopt  syncAdoptCommand  `cmd:"" help:"Bring the files of an older export into a sync, so that they are not exported again."`
}

// syncFlags describe a sync. All are optional where one is changed.
type syncFlags struct {
	Segment string   `help:"Id, exact name or URL of the segment." placeholder:"SEGMENT"`
	Every   string   `help:"How often to look for windows that are over: hour, day, week or month. Default: day." placeholder:"PERIOD"`
	At      string   `help:"Time of day at which to look, such as 06:00. Default: as soon as rows have settled." placeholder:"HH:MM"`
	From    string   `help:"Start of the first window: 2026-09-01, 2026-09, last_month, RFC 3339. Default: the present period." placeholder:"TIME"`
	Chunk   string   `help:"Length of a window, as in run. Default: that of --every." placeholder:"LENGTH"`
	Lag     string   `help:"How long after its end a window is exported. Default: 24h, when its rows have settled; with less it is exported once more then." placeholder:"DURATION"`
	CatchUp string   `help:"Which windows that are over are exported: all, or only the latest. Default: all." placeholder:"all|latest"`
	Window  string   `help:"Period over which the segment's filters are evaluated: own (the segment's window, ending with each window), range (each window), all, or START/END. Default: range for everyone, else own." name:"segment-window" placeholder:"own|range|all|START/END"`
	Type    string   `help:"Rows: events, pages, sessions or individuals, or as the API writes them. Default: events." placeholder:"TYPE"`
	Scope   string   `help:"With --type events: all rows of the events, pages, sessions or individuals that match." placeholder:"SCOPE"`
	Format  string   `help:"ndjson, json or csv. Default: ndjson." placeholder:"FORMAT"`
	Fields  []string `help:"Columns, in this order. Default: the default set and all custom variables." placeholder:"NAME"`
	Parquet bool     `help:"Also make Parquet files of what is stored."`
	Table   string   `help:"delta: make a Delta Lake table of the Parquet files, which it implies." placeholder:"delta"`
	Into    string   `help:"Address of a PostgreSQL that the rows are loaded into, such as postgres://user@host/database; leave the password to PGPASSWORD or ~/.pgpass of the process that exports. none: no longer." placeholder:"ADDRESS"`
	Place   string   `help:"With --into: table that the rows are loaded into, such as web.visits. Default: the name of the sync." name:"into-table" placeholder:"TABLE"`
	Yes     bool     `help:"Confirm the start of over 5,000 windows at once (--confirm-chunks)." short:"y"`
	DryRun  bool     `help:"Check only, and say what would be exported." name:"dry-run"`
	JSON    bool     `help:"Print one JSON object on stdout." name:"json"`
}

// request returns the request that the flags describe.
func (f *syncFlags) request(action exports.SyncAction, name string) (exports.SyncRequest, error) {
	kind, err := chosen("type", "TYPE_", f.Type, types)
	scope, scopeErr := chosen("scope", "SCOPE_", f.Scope, scopes)
	format, formatErr := chosen("format", "FORMAT_", f.Format, formats)
	catchUp, catchUpErr := chosen("catch-up", "", f.CatchUp, map[string]ledger.CatchUp{
		"all": ledger.CatchUpAll, "latest": ledger.CatchUpLatest,
	})
	if err = errors.Join(err, scopeErr, formatErr, catchUpErr); err != nil {
		return exports.SyncRequest{}, &exitError{statusUsage, err}
	}
	table, err := tableFormat(f.Table)
	if err != nil {
		return exports.SyncRequest{}, err
	}
	if strings.ContainsAny(name, `/\\`) {
		err := fmt.Errorf("NAME: got %q: it names a folder in the folder of --dir, so it cannot be a path", name)
		return exports.SyncRequest{}, &exitError{statusUsage, err}
	}
	request := exports.SyncRequest{
		Action: action, Name: name, SegmentID: f.Segment, Type: kind, Scope: scope, Format: format, Fields: f.Fields,
		Every: everyOf(f.Every), At: f.At, From: f.From, Chunk: chunkOf(f.Chunk), Lag: f.Lag, CatchUp: catchUp,
		Table: table, DryRun: f.DryRun, Confirmed: f.Yes,
	}
	if f.Parquet {
		request.Parquet = &f.Parquet
	}
	if request.Into, err = f.destination(); err != nil {
		return exports.SyncRequest{}, err
	}
	if f.Window != "" {
		request.SegmentTimeRange = &client.TimeRange{Start: f.Window}
	}
	return request, nil
}

// destination returns the destination that the flags describe, nil if they do not.
func (f *syncFlags) destination() (*exports.Destination, error) {
	switch {
	case f.Into == "" && f.Place != "":
		return nil, &exitError{statusUsage, errors.New("--into-table needs --into, the address of the database")}
	case f.Into == "":
		return nil, nil
	case f.Into == "none" && f.Place != "":
		return nil, &exitError{statusUsage, errors.New("--into-table needs a database, and --into is none; " +
			"leave --into-table out, or give --into an address")}
	case f.Into == "none":
		return &exports.Destination{}, nil
	}
	return &exports.Destination{Address: f.Into, Table: f.Place}, nil
}

// everyOf returns what exports reads for a period that people write in another way, such as
// daily or 1d.
func everyOf(text string) string {
	if chunk := chunkOf(text); chunk != "" {
		return chunk
	}
	return text
}

// carryOut carries out the request, and prints the result.
func (f *syncFlags) carryOut(ctx context.Context, a *app, request exports.SyncRequest) error {
	return changeSync(ctx, a, request, f.JSON)
}

// changeSync carries out a request about a sync, and prints the result. Nothing is exported by
// this process.
func changeSync(ctx context.Context, a *app, request exports.SyncRequest, asJSON bool) error {
	if a.config.ReadOnly {
		return &exitError{statusUsage, errors.New("this changes a sync, which --read-only forbids")}
	}
	return nameFirst(a.observe(ctx, func(account *exports.Account) error {
		done, err := withConsent(ctx, a, request.Confirmed, func(agreed bool, c exports.Consent) (exports.SyncResult, error) {
			request.Confirmed, request.Consent = agreed, c
			return account.Sync(ctx, request, a.config.Timezone)
		})
		if err != nil {
			return err
		}
		if asJSON {
			return printableJSON{a.newView(a.stdout).out}.print(done)
		}
		out := a.newView(a.told(false))
		out.good(exports.ForTerminal(done.Summary))
		if done.Sync != nil && done.Sync.State == exports.BehindSync {
			out.line("A server exports what is missing, or now: fullstory-export-mcp sync run " + shellWord(done.Sync.Name))
		}
		showNotices(a.newView(a.warned()), done.Warnings)
		return nil
	}))
}

// nameFirst returns an error about the name of a sync as one about the argument NAME: a flag
// for it is only that of run.
func nameFirst(err error) error {
	exit, ok := errors.AsType[*exitError](err)
	if !ok {
		return err
	}
	if rest, found := strings.CutPrefix(exit.Error(), "--name: "); found {
		return &exitError{exit.status, errors.New("NAME: " + rest)}
	}
	return err
}

// syncAddCommand is `sync add`.
type syncAddCommand struct {
	Name string `arg:"" help:"Name of the sync and of its folder."`
	syncFlags
}

// Help is the text that --help prints above the flags.
func (*syncAddCommand) Help() string {
	return "A server exports the windows as they end; without one, run `sync run --due` from cron or a timer.\n" +
		"The windows are those of the calendar in --timezone, whenever and however often it is run."
}

// Run adds a sync.
func (c *syncAddCommand) Run(ctx context.Context, a *app) error {
	if c.Segment == "" {
		return &exitError{statusUsage, errors.New("sync add needs --segment, such as --segment everyone; " +
			"fullstory-export-mcp segments lists the segments")}
	}
	if c.Type == "" {
		c.Type = "events"
	}
	request, err := c.request(exports.SyncCreate, c.Name)
	if err != nil {
		return err
	}
	request.Timezone = a.config.Timezone
	return c.carryOut(ctx, a, request)
}

// syncChangeCommand is `sync change`.
type syncChangeCommand struct {
	Name string `arg:"" help:"Name of the sync."`
	syncFlags
}

// Run changes a sync.
func (c *syncChangeCommand) Run(ctx context.Context, a *app) error {
	request, err := c.request(exports.SyncChange, c.Name)
	if err != nil {
		return err
	}
	if a.given("--timezone") {
		request.Timezone = a.config.Timezone
	}
	return c.carryOut(ctx, a, request)
}

// syncArgument names a sync.
type syncArgument struct {
	Name string `arg:"" help:"Name of the sync."`
	JSON bool   `help:"Print one JSON object on stdout." name:"json"`
}

func (s *syncArgument) change(ctx context.Context, a *app, action exports.SyncAction) error {
	return changeSync(ctx, a, exports.SyncRequest{Action: action, Name: s.Name}, s.JSON)
}

// syncPauseCommand is `sync pause`.
type syncPauseCommand struct{ syncArgument }

// Run pauses a sync.
func (c *syncPauseCommand) Run(ctx context.Context, a *app) error {
	return c.change(ctx, a, exports.SyncPause)
}

// syncResumeCommand is `sync resume`.
type syncResumeCommand struct{ syncArgument }

// Run resumes a sync.
func (c *syncResumeCommand) Run(ctx context.Context, a *app) error {
	return c.change(ctx, a, exports.SyncResume)
}

// syncRemoveCommand is `sync remove`.
type syncRemoveCommand struct{ syncArgument }

// Run removes a sync.
func (c *syncRemoveCommand) Run(ctx context.Context, a *app) error {
	return c.change(ctx, a, exports.SyncRemove)
}

// shortTime returns a time of a result, in its zone, to the minute; "" for none.
func shortTime(stamp string) string {
	t, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return stamp
	}
	return t.Format("2006-01-02 15:04")
}

// syncListCommand is `sync list`.
type syncListCommand struct {
	JSON bool `help:"Print one JSON object for each, a line each." name:"json"`
}

// Run lists syncs. It changes nothing.
func (c *syncListCommand) Run(ctx context.Context, a *app) error {
	return a.observe(ctx, func(account *exports.Account) error {
		syncs, err := account.Syncs(ctx)
		if err != nil {
			return err
		}
		out := a.newView(a.stdout)
		if c.JSON {
			return printEach(printableJSON{out.out}, syncs)
		}
		if len(syncs) == 0 {
			out.line("No syncs here yet. fullstory-export-mcp sync add NAME --segment SEGMENT adds one.")
			return nil
		}
		var rows [][]string
		for _, s := range syncs {
			rows = append(rows, []string{
				s.Name, string(s.State), strings.TrimSpace(s.Every + " " + s.At),
				fmt.Sprintf("%d/%d", s.Windows.Stored, s.Windows.Over), shortTime(s.Complete), shortTime(s.NextRun),
			})
		}
		out.table([]string{"NAME", "STATE", "EVERY", "WINDOWS", "COMPLETE UNTIL", "LOOKS NEXT"}, rows, 3)
		for _, s := range syncs {
			for _, p := range s.Problems {
				out.warn(s.Name + ": " + exports.ForTerminal(p.Problem))
			}
		}
		return nil
	})
}
