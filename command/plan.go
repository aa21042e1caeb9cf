package command

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"fullstory-export-mcp/exports"
)

// planCommand is `plan`: what `run` would do.
type planCommand struct {
	requestFlags
	JSON bool `help:"Print one JSON object on stdout, with all chunks." name:"json"`
}

// plannedRun is what `plan --json` prints: the chunks, and the export that run would start.
type plannedRun struct {
	exports.Planned
	Name   string              `json:"name"`
	Folder string              `json:"folder"`
	Export exports.Description `json:"export"`
}

const (
	// chunksAtOnce is how many chunks one call plans.
	chunksAtOnce = 500
	// shownChunks is how many chunks are printed without --json.
	shownChunks = 40
)

// Run plans a bulk export. It starts nothing.
func (p *planCommand) Run(ctx context.Context, a *app) error {
	request, err := p.request()
	if err != nil {
		return err
	}
	return a.observe(ctx, func(account *exports.Account) error {
		dry := request
		dry.DryRun = true
		started, err := account.StartBulk(ctx, dry, a.config.Timezone)
		if err != nil {
			return err
		}
		limit := shownChunks
		if p.JSON {
			limit = started.Chunks
		}
		planned, err := chunksOf(ctx, account, request, a.config.Timezone, limit)
		if err != nil {
			return err
		}
		planned.Warnings, planned.Estimate = started.Warnings, started.Estimate
		if p.JSON {
			planned.Summary, planned.Next = exports.ForTerminal(started.Summary), exports.ForTerminal(started.Next)
			out := plannedRun{planned, started.Name, started.Folder, started.Export}
			return printableJSON{a.newView(a.stdout).out}.print(out)
		}
		showPlan(a.newView(a.stdout), a.newView(a.stderr), started, planned)
		return nil
	})
}

// chunksOf returns the plan of a request with at most limit chunks of it.
func chunksOf(
	ctx context.Context, account *exports.Account, r exports.BulkRequest, zone string, limit int,
) (planned exports.Planned, err error) {
	align := true
	in := exports.PlanRequest{
		Align:     &align,
		TimeRange: r.TimeRange, Chunk: r.Chunk, TargetRows: r.TargetRows, TargetMB: r.TargetMB, SegmentID: r.SegmentID,
		Type: r.Type, Scope: r.Scope,
	}
	this := func(context.Context) (*exports.Account, error) { return account, nil }
	var chunks []exports.PlannedChunk
	for more := true; more && len(chunks) < limit; {
		in.Offset, in.Limit = len(chunks), min(chunksAtOnce, limit-len(chunks))
		if planned, err = exports.PlanChunks(ctx, this, in, zone, time.Now()); err != nil {
			return planned, err
		}
		more = planned.HasMore && len(planned.Chunks) > 0
		chunks = append(chunks, planned.Chunks...)
	}
	planned.Chunks = chunks
	return planned, nil
}

// showPlan prints a plan: the chunks on out, and the notices on errs.
func showPlan(out, errs view, started exports.BulkStarted, planned exports.Planned) {
	out.line(exports.ForTerminal(started.Summary))
	var rows [][]string
	for _, c := range planned.Chunks {
		expected := ""
		if c.Rows > 0 {
			expected = humanize.Comma(c.Rows)
		}
		rows = append(rows, []string{fmt.Sprint(c.Index + 1), c.Start, c.End, fmt.Sprintf("%g h", c.Hours), expected})
	}
	out.table([]string{"CHUNK", "START", "END (EXCLUDED)", "LENGTH", "ROWS, ABOUT"}, rows, 0, 3, 4)
	if more := planned.Count - len(planned.Chunks); more > 0 {
		out.line(fmt.Sprintf("%s more; --json lists all.", exports.Counted(more, "chunk")))
	}
	if e := started.Estimate; e != nil {
		out.line(fmt.Sprintf("About %s rows (%s to %s) and %g MB: %s.", humanize.Comma(e.Rows), humanize.Comma(e.Low),
			humanize.Comma(e.High), e.Megabytes, e.Basis))
	}
	out.line("Folder: " + started.Folder)
	showNotices(errs, started.Warnings)
}
