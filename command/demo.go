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
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/plan"
)

// demoCommand is `demo`: the whole job against the sandbox.
type demoCommand struct {
	Sync bool `help:"Show an export that is kept up to date instead, while a week passes in half a minute."`
}

// What the demo exports: whole sessions of people who reached the checkout, on the last
// days whose rows have settled.
const (
	demoSegment = "Checkout visitors"
	demoDays    = 3
	demoChunk   = "PT3H"
)

// demonstration is one run of the demo. Its workers are other processes that share its
// ledger, which this process only reads.
type demonstration struct {
	*app
	account *exports.Account
	request exports.BulkRequest
	name    string // of the bulk export
}

// Run shows the plan, then progress while one worker is killed midway and another one
// continues, then the files and the types of their events. It verifies the files.
func (c *demoCommand) Run(ctx context.Context, a *app) error {
	if c.Sync {
		return demoSync(ctx, a)
	}
	a.config.Sandbox, a.config.ReadOnly = true, true // the workers export
	if err := a.inOwnFolder(); err != nil {
		return err
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
	zone, err := plan.Zone(d.settings.Zone)
	if err != nil {
		return err
	}
	window, err := demoWindow(account.Now(), zone)
	if err != nil {
		return err
	}
	demo := &demonstration{app: a, account: account, name: "demo-" + time.Now().Format("20060102-150405")}
	demo.request = exports.BulkRequest{
		SegmentID: demoSegment, Type: client.TypeSessions, Format: client.FormatNDJSON, Timezone: zone.String(),
		Name: demo.name, Chunk: demoChunk,
		TimeRange: client.TimeRange{Start: window.Start.Format(time.RFC3339), End: window.End.Format(time.RFC3339)},
		DryRun:    true,
	}
	planned, err := account.StartBulk(ctx, demo.request, d.settings.Zone)
	if err != nil {
		return errors.New(exports.Explain(err).ForTerminal())
	}
	a.showPlan(window, zone, planned)
	if err := demo.work(ctx); err != nil {
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
	return a.showFiles(planned.Folder, zone, checked)
}

// given reports whether a flag with a value, such as --dir, is on the command line.
func (a *app) given(name string) bool {
	return slices.ContainsFunc(a.flags, func(f string) bool { return strings.HasPrefix(f, name+"=") })
}

// inOwnFolder makes the demo use a new temporary folder unless --dir is given, and no
// database or mirror but those of flags: the user's own exports stay apart.
func (a *app) inOwnFolder() error {
	if !a.given("--database") {
		a.config.Database = ""
	}
	if !a.given("--mirror") {
		a.config.Mirror = ""
	}
	if a.given("--dir") {
		return nil
	}
	dir, err := os.MkdirTemp("", "fullstory-export-demo-")
	a.config.Dir = dir
	a.flags = append(a.flags, "--dir="+dir)
	return err
}

// demoWindow returns the last demoDays days of zone that ended a day or more
// before now.
func demoWindow(now time.Time, zone *time.Location) (plan.Range, error) {
	calendar := plan.Calendar{Zone: zone, Week: time.Monday}
	return plan.Resolve(fmt.Sprintf("now-%dd/d", demoDays+1), "now-1d/d", calendar, now)
}

// work starts a worker, kills it when a third of the chunks is stored, and starts
// another one, which finishes the export.
func (d *demonstration) work(ctx context.Context) error {
	first, err := d.startWorker(ctx)
	if err != nil {
		return err
	}
	show, finish := d.progress(d.stdout)
	at, err := d.await(ctx, first, show, func(s exports.BulkStatus) bool { return 3*s.Chunks.Stored >= s.Chunks.All })
	if err != nil {
		first.kill()
		return err
	}
	first.kill()
	finish(at)
	d.newView(d.stdout).line(fmt.Sprintf("The worker was killed just now (kill -9), as can happen to any process at any "+
		"moment, with %d of %d chunks stored. The next one continues from the ledger:\n", at.Chunks.Stored, at.Chunks.All))
	second, err := d.startWorker(ctx)
	if err != nil {
		return err
	}
	defer second.kill()
	show, finish = d.progress(d.stdout)
	end, err := d.await(ctx, second, show, func(s exports.BulkStatus) bool { return s.State != "running" })
	finish(end)
	if err == nil && end.State != "complete" {
		err = errors.New(withProblems(end))
	}
	fmt.Fprintln(d.stdout)
	return err
}

// worker is a child process that carries out the export.
type worker struct {
	process *exec.Cmd
	stderr  bytes.Buffer // read it only after the process has ended
	ended   chan error   // has one value once the process has ended; readers put one back
}

// kill kills the process and waits for its end. It may be called more than once.
func (w *worker) kill() {
	w.process.Process.Kill()
	<-w.ended
	w.ended <- nil
}

// startWorker starts this program as `run`, with the flags of the demo, so that both use
// the same folder and the same simulated data.
func (d *demonstration) startWorker(ctx context.Context) (*worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(d.flags), "run", "--sandbox", "--json", "--name", d.name,
		"--segment", demoSegment, "--type", string(d.request.Type),
		"--from", d.request.TimeRange.Start, "--to", d.request.TimeRange.End, "--chunk", demoChunk)
	w := &worker{process: exec.CommandContext(ctx, program, args...), ended: make(chan error, 1)}
	w.process.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"FULLSTORY_EXPORT_DIR", "FULLSTORY_EXPORT_DATABASE", "FULLSTORY_EXPORT_MIRROR"}, name)
	})
	w.process.Stderr = &w.stderr
	if err := w.process.Start(); err != nil {
		return nil, err
	}
	go func() { w.ended <- w.process.Wait() }()
	return w, nil
}

// readsAfterEnd is how often the status is read after a worker has ended well: what it
// recorded last may take a moment to be seen.
const readsAfterEnd = 20

// await shows the status of the export until done reports true, and returns that status.
// It fails if the worker ends first, with what the worker printed on stderr.
func (d *demonstration) await(
	ctx context.Context, w *worker, show func(exports.BulkStatus), done func(exports.BulkStatus) bool,
) (s exports.BulkStatus, err error) {
	var ended error
	end, reads := w.ended, 0 // after the end
	for {
		now, unread := d.account.BulkStatus(ctx, d.name) // fails until the worker has started it
		if unread == nil {
			s = now
			show(s)
			if done(s) {
				return s, nil
			}
		}
		if reads > 0 && (ended != nil || reads > readsAfterEnd) {
			return s, errors.Join(ended, unread, errors.New(strings.TrimSpace(w.stderr.String())))
		}
		select {
		case ended = <-end:
			w.ended <- ended
			end, reads = nil, 1
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(pollInterval):
			if end == nil {
				reads++
			}
		}
	}
}
