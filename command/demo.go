package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/tools"
)

type demoCommand struct{}

// What the demo exports: whole sessions of those who reached the checkout, on
// the last days whose rows are final.
const (
	demoSegment = "Checkout visitors"
	demoDays    = 3
)

// demoChunk is one chunk of the demo on its way into a file.
type demoChunk struct {
	plan.Piece
	day  string
	file archive.File
	path string
	show func(stage string, percent int)
}

// Run shows the whole job against the sandbox, as a person would want to see
// it: the plan, progress, files, and a look at the rows.
func (demoCommand) Run(ctx context.Context, t *terminal) error {
	t.config.Sandbox = true
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	a, err := c.account(ctx)
	if err != nil {
		return err
	}
	zone, err := plan.Zone(c.settings.Zone)
	if err != nil {
		return err
	}
	window, err := demoWindow(a.Now(), zone)
	if err != nil {
		return err
	}
	day, err := plan.ParseChunk("day")
	if err != nil {
		return err
	}
	p, err := plan.Split(window, plan.Cut{Chunk: day, Calendar: plan.Calendar{Zone: zone, Week: time.Monday}})
	if err != nil {
		return err
	}
	var chunks []*demoChunk
	for _, piece := range p.Page(0, p.Count()) {
		chunks = append(chunks, &demoChunk{Piece: piece, day: piece.Start.Format("Mon 2006-01-02")})
	}
	check := preflight.Check{Client: a.Client, Zone: zone.String(), Now: a.Now()}
	t.showPlan(window, zone, chunks)

	finish := t.showProgress(ctx, chunks)
	var all sync.WaitGroup
	errs := make([]error, len(chunks))
	for i, one := range chunks {
		all.Go(func() { errs[i] = one.run(ctx, a, check) })
	}
	all.Wait()
	finish()
	if ctx.Err() != nil {
		return errors.New("the demo was interrupted")
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the demo failed: %w", err)
	}
	return t.showFiles(chunks)
}

// demoWindow returns the last demoDays days of zone that ended a day or more
// before now.
func demoWindow(now time.Time, zone *time.Location) (plan.Range, error) {
	return plan.Resolve(fmt.Sprintf("now-%dd/d", demoDays+1), "now-1d/d", plan.Calendar{Zone: zone, Week: time.Monday}, now)
}

// run creates the export of a chunk, follows it, and fetches its file.
func (d *demoChunk) run(ctx context.Context, a *tools.Account, check preflight.Check) error {
	window := client.TimeRange{Start: d.Start.Format(time.RFC3339), End: d.End.Format(time.RFC3339)}
	export, err := check.Resolve(ctx, client.ExportRequest{
		SegmentID: demoSegment, Type: client.TypeSessions, Format: client.FormatNDJSON, TimeRange: window, SegmentTimeRange: &window,
	})
	if err != nil {
		return err
	}
	operation, err := a.Client.CreateSegmentExport(ctx, export.Request)
	if err != nil {
		return err
	}
	request, err := json.Marshal(export.Request)
	if err != nil {
		return err
	}
	account, err := a.ID(ctx)
	if err != nil {
		return err
	}
	folder := archive.OperationFolder(operation)
	err = a.Archive.UpdateManifest(folder, func(m *archive.Manifest) error {
		m.Account, m.OperationID, m.Request, m.CreatedAt = account, operation, request, a.Now().UTC()
		return nil
	})
	if err != nil {
		return err
	}
	op, err := d.follow(ctx, a, operation)
	if err != nil {
		return err
	}
	d.file, err = a.Archive.Fetch(ctx, archive.Fetch{
		Folder: folder, Name: archive.FileName(d.Start, d.End, ".ndjson.gz"), OperationID: operation,
		Start: d.Start, End: d.End, Format: string(client.FormatNDJSON), TimeColumn: "EventStart", AllowLoopback: true,
		ExportedAt: op.CreatedAt, Took: op.FinishedAt.Sub(op.CreatedAt),
		Link: func(ctx context.Context) (string, error) {
			link, err := a.Client.ExportResults(ctx, op.ExportID)
			return link.URL, err
		},
		Progress: func(done, total int64) { d.show("downloading", 50+int(49*done/max(total, done, 1))) },
	})
	if err != nil {
		return err
	}
	d.path = filepath.Join(a.Archive.Dir(), folder, d.file.Name)
	if _, err := os.Stat(d.path); err != nil {
		return err
	}
	d.show(fmt.Sprintf("verified, %d rows", d.file.Rows), 100)
	return nil
}

// follow waits for the operation to complete.
func (d *demoChunk) follow(ctx context.Context, a *tools.Account, operation string) (client.Operation, error) {
	for {
		op, err := a.Client.Operation(ctx, operation)
		switch {
		case err != nil:
			return op, err
		case op.State == client.Completed:
			return op, nil
		case op.State == client.Failed:
			return op, fmt.Errorf("the export of %s failed: %s", d.day, op.Error)
		}
		d.show("exporting", op.Percent/2)
		select {
		case <-ctx.Done():
			return op, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}
