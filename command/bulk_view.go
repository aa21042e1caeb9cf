package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"fullstory-export-mcp/tools"
)

// linePause is between two lines about a bulk export where no bar can be shown.
const linePause = 5 * time.Second

// follow shows how a bulk export goes on until it does not run any more or ctx
// ends, and returns how it stands then.
func (t *terminal) follow(ctx context.Context, a *tools.Account, id string, out io.Writer) (s tools.BulkStatus, err error) {
	show, finish := t.shown(out)
	defer func() { finish(s) }()
	for {
		if s, err = a.BulkStatus(context.WithoutCancel(ctx), id); err != nil || s.State != "running" {
			return s, err
		}
		show(s)
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(lookPause):
		}
	}
}

// shown returns what shows how a bulk export stands: bars on a terminal, or now
// and then a line.
func (t *terminal) shown(out io.Writer) (show, finish func(tools.BulkStatus)) {
	if isTerminal(out) {
		return bars(out)
	}
	var last time.Time
	stored := -1
	show = func(s tools.BulkStatus) {
		if s.Chunks.Stored == stored || time.Since(last) < linePause {
			return
		}
		last, stored = time.Now(), s.Chunks.Stored
		fmt.Fprintln(out, s.Summary)
	}
	return show, func(tools.BulkStatus) {}
}

// bars shows the chunks, and beside them rows, bytes, rate and what is left.
func bars(out io.Writer) (show, finish func(tools.BulkStatus)) {
	var now tools.BulkStatus
	began, first := time.Now(), int64(-1)
	progress := mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond))
	shown := make(chan tools.BulkStatus, 1)
	words := decor.Any(func(decor.Statistics) string {
		select {
		case now = <-shown:
		default:
		}
		return fmt.Sprintf("  %d/%d files, %d rows, %s%s", now.Chunks.Stored, now.Chunks.All, now.Rows, rate(now.Bytes-max(first, 0), time.Since(began)), left(now))
	})
	bar := progress.AddBar(0, mpb.PrependDecorators(decor.Name("  "), decor.Percentage(decor.WC{W: 5})), mpb.AppendDecorators(words))
	show = func(s tools.BulkStatus) {
		if first < 0 {
			first = s.Bytes
		}
		select {
		case <-shown:
		default:
		}
		shown <- s
		bar.SetTotal(int64(s.Chunks.All), false)
		bar.SetCurrent(int64(s.Chunks.Stored))
	}
	finish = func(s tools.BulkStatus) {
		show(s)
		if s.State == "complete" {
			bar.SetTotal(int64(s.Chunks.All), true)
		}
		bar.Abort(false) // does nothing to one that is complete
		progress.Wait()
	}
	return show, finish
}

func rate(bytes int64, d time.Duration) string {
	return fmt.Sprintf("%.1f MB/s", float64(bytes)/1e6/max(d.Seconds(), 1))
}

// left tells until when, if it is known.
func left(s tools.BulkStatus) string {
	eta, err := time.Parse(time.RFC3339, s.ETA)
	if err != nil {
		return ""
	}
	return ", done at " + eta.Local().Format(time.TimeOnly)
}
