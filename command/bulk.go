package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/tools"
)

type runCommand struct {
	Segment     string   `help:"Id, exact name or URL of the segment." required:"" placeholder:"SEGMENT"`
	From        string   `help:"Start of the range: 2026-09-01, 2026-09, last_month, now-30d/d, RFC 3339." required:"" placeholder:"TIME"`
	To          string   `help:"End of the range, excluded. Left out: the end of the period in --from." placeholder:"TIME"`
	Chunk       string   `help:"How the range is cut: hour, day, week, month, quarter, or such as PT6H." default:"day" placeholder:"LENGTH"`
	Name        string   `help:"Name of the folder. The same name with the same request goes on. Default: made of the request." placeholder:"NAME"`
	Type        string   `help:"TYPE_EVENT, TYPE_PAGES, TYPE_SESSIONS or TYPE_INDIVIDUAL." default:"TYPE_EVENT" enum:"TYPE_EVENT,TYPE_PAGES,TYPE_SESSIONS,TYPE_INDIVIDUAL" placeholder:"TYPE"`
	Scope       string   `help:"With TYPE_EVENT: SCOPE_EVENTS, SCOPE_PAGES, SCOPE_SESSIONS or SCOPE_INDIVIDUALS." enum:",SCOPE_EVENTS,SCOPE_PAGES,SCOPE_SESSIONS,SCOPE_INDIVIDUALS" default:"" placeholder:"SCOPE"`
	Format      string   `help:"FORMAT_NDJSON, FORMAT_JSON or FORMAT_CSV." default:"FORMAT_NDJSON" enum:"FORMAT_NDJSON,FORMAT_JSON,FORMAT_CSV" placeholder:"FORMAT"`
	Fields      []string `help:"Columns, in this order. Default: the default set and all custom variables." placeholder:"NAME"`
	MaxInFlight int      `help:"Exports at Fullstory at once. Default: found out." placeholder:"N"`
	Settle      bool     `help:"Wait until the rows of the last day have settled, and export those chunks again."`
	JSON        bool     `help:"Print how it ended as one JSON object on stdout; progress goes to stderr." name:"json"`
}

// lookPause is between two looks at a bulk export that is shown.
const lookPause = 200 * time.Millisecond

// Run carries out one bulk export to its end, or goes on with it.
func (r *runCommand) Run(ctx context.Context, t *terminal) error {
	if t.config.ReadOnly {
		return &exit{2, errors.New("run exports, which --read-only forbids")}
	}
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	a, err := c.account(ctx)
	if err != nil {
		return err
	}
	request := tools.BulkRequest{
		SegmentID: r.Segment, Type: client.Type(r.Type), Format: client.Format(r.Format), Scope: client.Scope(r.Scope), Fields: r.Fields,
		TimeRange: client.TimeRange{Start: r.From, End: r.To}, Chunk: r.Chunk, Name: r.Name, MaxInFlight: r.MaxInFlight, Settle: r.Settle,
	}
	started, err := a.StartBulk(ctx, request, c.settings.Zone)
	if err != nil {
		return r.refused(ctx, err)
	}
	out := t.stdout
	if r.JSON {
		out = t.stderr
	}
	fmt.Fprintln(out, started.Summary)
	showWarnings(out, started.Warnings)
	if started.Reused {
		if err := a.ResumeBulk(ctx, started.BulkID); err != nil {
			return r.refused(ctx, err)
		}
	}
	status, err := t.follow(ctx, a, started.BulkID, out)
	if err != nil && ctx.Err() == nil {
		return errors.New(tools.Explain(err))
	}
	return r.report(ctx, t, status)
}

// refused is a run that could not be started. An argument that is wrong is a
// wrong flag.
func (r *runCommand) refused(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &exit{3, errors.New("interrupted before anything was started")}
	}
	text := errors.New(tools.Explain(err))
	if tools.WrongArguments(err) {
		return &exit{2, text}
	}
	return text
}

func showWarnings(out interface{ Write([]byte) (int, error) }, warnings []preflight.Warning) {
	for _, w := range warnings {
		fmt.Fprintf(out, "%s: %s %s\n", w.Code, w.Message, w.Fix)
	}
}

// report prints how it ended, and makes the exit status of it.
func (r *runCommand) report(ctx context.Context, t *terminal, s tools.BulkStatus) error {
	if r.JSON {
		e := json.NewEncoder(t.stdout)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			return err
		}
	}
	switch s.State {
	case "complete":
		if !r.JSON {
			fmt.Fprintf(t.stdout, "%s\n%s\n", s.Summary, cmp.Or(s.Object, s.Folder))
		}
		return nil
	case "failed":
		return &exit{1, errors.New(told(s))}
	case "partial", "cancelled", "paused":
		return &exit{3, errors.New(told(s))}
	}
	return &exit{3, fmt.Errorf("interrupted: %s The same command goes on from here; so does a server on the same folder", s.Summary)}
}

// told is a summary with its problems.
func told(s tools.BulkStatus) string {
	text := s.Summary
	for _, p := range s.Problems[:min(len(s.Problems), 5)] {
		text += "\n" + p.Problem
		if p.Start != "" {
			text += " (" + p.Start + " to " + p.End + ")"
		}
	}
	return text
}
