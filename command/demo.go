package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/tools"
)

type demoCommand struct{}

// What the demo exports: whole sessions of those who reached the checkout, on
// the last days whose rows are final.
const (
	demoSegment = "Checkout visitors"
	demoDays    = 3
	demoChunk   = "PT3H"
)

// demonstration is one demo.
type demonstration struct {
	*terminal
	account *tools.Account
	request tools.BulkRequest
	name    string
}

// Run shows the whole job against the sandbox, as a person would want to see
// it: the plan, progress, a worker that is killed midway and another that goes
// on, files, and a look at the rows.
func (demoCommand) Run(ctx context.Context, t *terminal) error {
	t.config.Sandbox, t.config.ReadOnly = true, true // this process only looks on
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
	days, err := demoWindow(a.Now(), zone)
	if err != nil {
		return err
	}
	d := &demonstration{terminal: t, account: a, name: "demo-" + time.Now().Format("20060102-150405")}
	d.request = tools.BulkRequest{
		SegmentID: demoSegment, Type: client.TypeSessions, Format: client.FormatNDJSON, Timezone: zone.String(), Name: d.name, Chunk: demoChunk,
		TimeRange: client.TimeRange{Start: days.Start.Format(time.RFC3339), End: days.End.Format(time.RFC3339)}, DryRun: true,
	}
	planned, err := a.StartBulk(ctx, d.request, c.settings.Zone)
	if err != nil {
		return errors.New(tools.Explain(err))
	}
	t.showPlan(days, zone, planned)
	if err := d.work(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.New("the demo was interrupted")
		}
		return fmt.Errorf("the demo failed: %w", err)
	}
	checked, err := archive.Check(ctx, planned.Folder, nil)
	if err != nil {
		return err
	}
	if len(checked.Faults) > 0 {
		return fmt.Errorf("the demo failed: %s %s", checked.Faults[0].Name, checked.Faults[0].Problem)
	}
	return t.showFiles(planned.Folder, zone, checked)
}

// demoWindow returns the last demoDays days of zone that ended a day or more
// before now.
func demoWindow(now time.Time, zone *time.Location) (plan.Range, error) {
	return plan.Resolve(fmt.Sprintf("now-%dd/d", demoDays+1), "now-1d/d", plan.Calendar{Zone: zone, Week: time.Monday}, now)
}

// work lets a worker begin, kills it, and lets another one finish.
func (d *demonstration) work(ctx context.Context) error {
	first, err := d.startWorker(ctx)
	if err != nil {
		return err
	}
	show, finish := d.shown(d.stdout)
	at, err := d.await(ctx, first, show, func(s tools.BulkStatus) bool { return 3*s.Chunks.Stored >= s.Chunks.All })
	if err != nil {
		first.kill()
		return err
	}
	first.kill()
	finish(at)
	fmt.Fprintf(d.stdout, "The worker was killed just now, as a laptop or a host may at any moment (kill -9),\nwith %d of %d chunks stored. The next one goes on from the ledger:\n\n", at.Chunks.Stored, at.Chunks.All)

	second, err := d.startWorker(ctx)
	if err != nil {
		return err
	}
	defer second.kill()
	show, finish = d.shown(d.stdout)
	end, err := d.await(ctx, second, show, func(s tools.BulkStatus) bool { return s.State != "running" })
	finish(end)
	if err == nil && end.State != "complete" {
		err = errors.New(told(end))
	}
	fmt.Fprintln(d.stdout)
	return err
}

// worker is another process of this program that carries out the export.
type worker struct {
	process *exec.Cmd
	said    bytes.Buffer
	ended   chan error
}

func (w *worker) kill() {
	w.process.Process.Kill()
	<-w.ended
	w.ended <- nil // for a second kill
}

// startWorker starts the program as `run`, with the flags of the demo.
func (d *demonstration) startWorker(ctx context.Context) (*worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := slices.DeleteFunc(slices.Clone(d.args), func(a string) bool { return a == "demo" })
	args = append(args, "run", "--sandbox", "--json", "--name", d.name, "--segment", demoSegment, "--type", string(d.request.Type),
		"--from", d.request.TimeRange.Start, "--to", d.request.TimeRange.End, "--chunk", demoChunk)
	w := &worker{process: exec.CommandContext(ctx, program, args...), ended: make(chan error, 1)}
	w.process.Stderr = &w.said
	if err := w.process.Start(); err != nil {
		return nil, err
	}
	go func() { w.ended <- w.process.Wait() }()
	return w, nil
}

// await shows how the export stands until it is as wanted, or the worker has
// ended.
func (d *demonstration) await(ctx context.Context, w *worker, show func(tools.BulkStatus), wanted func(tools.BulkStatus) bool) (s tools.BulkStatus, err error) {
	for {
		if now, err := d.account.BulkStatus(ctx, d.name); err == nil { // not yet started: an error
			s = now
			show(s)
			if wanted(s) {
				return s, nil
			}
		}
		select {
		case err := <-w.ended:
			w.ended <- nil
			if s, e := d.account.BulkStatus(ctx, d.name); e == nil && wanted(s) {
				return s, nil
			}
			return s, errors.Join(err, errors.New(strings.TrimSpace(w.said.String())))
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(lookPause):
		}
	}
}
