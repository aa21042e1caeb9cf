package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"fullstory-export-mcp/exports"
)

// lineInterval is the least time between two lines of progress, where stdout is not a
// terminal and no bar can be drawn.
const lineInterval = 5 * time.Second

// follow shows the progress of a bulk export until it stops running or ctx ends, and
// returns its last status, also with an error. It reads the status without ctx, so that
// an interrupt does not make a reading fail.
func (a *app) follow(
	ctx context.Context, account *exports.Account, id string, out io.Writer,
) (s exports.BulkStatus, err error) {
	show, finish := a.progress(out)
	defer func() { finish(s) }()
	for {
		if s, err = account.BulkStatus(context.WithoutCancel(ctx), id); err != nil || s.State != "running" {
			return s, err
		}
		show(s)
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// progress returns functions that show progress on out: a bar on a terminal, and
// elsewhere a line when something changed, at most every lineInterval. finish must
// be called last.
func (a *app) progress(out io.Writer) (show, finish func(exports.BulkStatus)) {
	if isTerminal(out) {
		return bars(out)
	}
	var last time.Time
	shown := ""
	show = func(s exports.BulkStatus) {
		counts, problem := progressLine(s)
		if counts+problem == shown || time.Since(last) < lineInterval {
			return
		}
		last, shown = time.Now(), counts+problem
		fmt.Fprintln(out, counts+doneAt(s)+problem)
	}
	return show, func(exports.BulkStatus) {}
}

// progressLine returns the counts of a bulk export, and its first problem, or "".
func progressLine(s exports.BulkStatus) (counts, problem string) {
	counts = fmt.Sprintf("%s: %d of %d chunks stored, %d rows", s.Name, s.Chunks.Stored, s.Chunks.All, s.Rows)
	if s.Chunks.Failed > 0 {
		counts += fmt.Sprintf(", %d failed", s.Chunks.Failed)
	}
	if len(s.Problems) > 0 {
		problem = "; " + strings.TrimRight(exports.ForTerminal(s.Problems[0].Problem), ".")
	}
	return counts, problem
}

// bars draws one bar of the stored chunks, with files, rows, bytes a second since the
// bar appeared, and the expected end. The library draws in its own goroutine, so the
// text beside the bar goes there through a channel that holds only the newest one.
func bars(out io.Writer) (show, finish func(exports.BulkStatus)) {
	began, first := time.Now(), int64(-1) // first: bytes that were stored before the bar appeared
	progress := mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond))
	newest, drawn := make(chan string, 1), ""
	text := decor.Any(func(decor.Statistics) string {
		select {
		case drawn = <-newest:
		default:
		}
		return drawn
	})
	percentage := mpb.PrependDecorators(decor.Name("  "), decor.Percentage(decor.WC{W: 5}))
	bar := progress.AddBar(0, percentage, mpb.AppendDecorators(text))
	show = func(s exports.BulkStatus) {
		if first < 0 {
			first = s.Bytes
		}
		select {
		case <-newest:
		default:
		}
		newest <- fmt.Sprintf("  %d/%d files, %d rows, %s%s", s.Chunks.Stored, s.Chunks.All, s.Rows,
			rate(s.Bytes-first, time.Since(began)), doneAt(s))
		bar.SetTotal(int64(s.Chunks.All), false)
		bar.SetCurrent(int64(s.Chunks.Stored))
	}
	finish = func(s exports.BulkStatus) {
		show(s)
		if s.State == "complete" {
			bar.SetTotal(int64(s.Chunks.All), true)
		}
		bar.Abort(false) // has no effect on a complete bar
		progress.Wait()
	}
	return show, finish
}

// rate returns bytes a second, in MB. It counts at least one second, so that the
// first moments do not show an absurd rate.
func rate(bytes int64, d time.Duration) string {
	return fmt.Sprintf("%.1f MB/s", float64(bytes)/1e6/max(d.Seconds(), 1))
}

// doneAt returns the expected end of a bulk export, in the local zone, or "" if it is
// not known.
func doneAt(s exports.BulkStatus) string {
	eta, err := time.Parse(time.RFC3339, s.ETA)
	if err != nil {
		return ""
	}
	return ", done at " + eta.Local().Format("15:04:05 MST")
}
