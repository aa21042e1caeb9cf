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
	"fullstory-export-mcp/plan"
)

// Where stdout is not a terminal and no bar can be drawn, there are at least lineInterval
// and a tenth of the time so far between two lines of progress, so that a day has some
// ninety.
const lineInterval = 5 * time.Second

// follow shows the progress of a bulk export until it stops running or ctx ends, and
// returns its last status, also with an error. It reads the status without ctx, so that
// an interrupt does not make a reading fail.
func (a *app) follow(
	ctx context.Context, account *exports.Account, id string, out io.Writer,
) (s exports.BulkStatus, err error) {
	return a.followWith(ctx, account, id, a.progress, out, nil)
}

// watch is follow with the calendar of the bulk export above the bar of a terminal.
func (a *app) watch(
	ctx context.Context, account *exports.Account, id string, out io.Writer,
) (s exports.BulkStatus, err error) {
	if !isTerminal(out) {
		return a.follow(ctx, account, id, out)
	}
	drawn := &drawnLines{coloured: a.coloured(out)}
	read := func() {
		if c, err := account.BulkCalendar(context.WithoutCancel(ctx), id); err == nil {
			drawn.set(calendarLines(c))
		}
	}
	read()
	bars := func(out io.Writer) (show, finish func(exports.BulkStatus)) { return bars(out, drawn.fillers()...) }
	return a.followWith(ctx, account, id, bars, out, read)
}

// followWith is follow with the functions that begin returns. each, if set, is called before each of
// them.
func (a *app) followWith(
	ctx context.Context, account *exports.Account, id string,
	begin func(io.Writer) (show, finish func(exports.BulkStatus)), out io.Writer, each func(),
) (s exports.BulkStatus, err error) {
	show, finish := begin(out)
	defer func() { finish(s) }()
	for {
		if s, err = account.BulkStatus(context.WithoutCancel(ctx), id); err != nil || s.State != "running" {
			return s, err
		}
		if each != nil {
			each()
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
// elsewhere a line when something changed, and at most as often as lineInterval says.
// finish must be called last.
func (a *app) progress(out io.Writer) (show, finish func(exports.BulkStatus)) {
	if isTerminal(out) {
		return bars(out)
	}
	began, last, shown := time.Now(), time.Time{}, ""
	show = func(s exports.BulkStatus) {
		counts, problem := progressLine(s)
		if counts+problem == shown || time.Since(last) < max(lineInterval, last.Sub(began)/10) {
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
	if text := landingLine(s); text != "" {
		counts += ", " + text
	}
	if len(s.Problems) > 0 {
		problem = "; " + strings.TrimRight(exports.ForTerminal(s.Problems[0].Problem), ".")
	}
	return counts, problem
}

// landingLine returns how far the Parquet files of stored chunks are, and their load into a database;
// "" if they are not being made.
func landingLine(s exports.BulkStatus) string {
	p := s.Parquet
	if p == nil || p.State != exports.ParquetPending || s.Chunks.Stored < s.Chunks.All {
		return ""
	}
	text := exports.Counted(p.Files, "Parquet file")
	if p.Loaded > 0 {
		text += fmt.Sprintf(", %s loaded", exports.Counted(p.Loaded, "window"))
	}
	return text
}

// bars draws one bar of the stored chunks, with files, rows, bytes a second since the
// bar appeared, and the expected end. above are lines above it.
func bars(out io.Writer, above ...mpb.BarFiller) (show, finish func(exports.BulkStatus)) {
	began, first := time.Now(), int64(-1) // first: bytes that were stored before the bar appeared
	set, end := bar(out, above...)
	show = func(s exports.BulkStatus) {
		if first < 0 {
			first = s.Bytes
		}
		if text := landingLine(s); text != "" {
			set(int64(s.Parquet.Files), int64(s.Chunks.All), "  "+text)
			return
		}
		set(int64(s.Chunks.Stored), int64(s.Chunks.All), fmt.Sprintf("  %d/%d files, %d rows, %s%s", s.Chunks.Stored,
			s.Chunks.All, s.Rows, rate(s.Bytes-first, time.Since(began)), doneAt(s)))
	}
	return show, func(s exports.BulkStatus) {
		show(s)
		end(s.State == "complete")
	}
}

// bar draws a bar on a terminal. set says how much of all is done, and the text beside the
// bar; end must be called last. The library draws in its own goroutine, so the text goes
// there through a channel that holds only the newest one.
func bar(out io.Writer, above ...mpb.BarFiller) (set func(done, all int64, text string), end func(complete bool)) {
	progress := mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond))
	newest, drawn, total := make(chan string, 1), "", int64(0)
	text := decor.Any(func(decor.Statistics) string {
		select {
		case drawn = <-newest:
		default:
		}
		return drawn
	})
	// The terminal shows ^C where the cursor is, so the line begins with a carriage return.
	percentage := mpb.PrependDecorators(decor.Name("\r  "), decor.Percentage(decor.WC{W: 5}))
	bar := progress.AddBar(0, percentage, mpb.AppendDecorators(text), mpb.BarTopExtender(above...))
	set = func(done, all int64, text string) {
		select {
		case <-newest:
		default:
		}
		newest <- text
		total = all
		bar.SetTotal(all, false)
		bar.SetCurrent(done)
	}
	return set, func(complete bool) {
		if complete {
			bar.SetTotal(total, true)
		}
		bar.Abort(false) // has no effect on a complete bar
		progress.Wait()
	}
}

// rate returns bytes a second, in MB. It counts at least one second, so that the
// first moments do not show an absurd rate.
func rate(bytes int64, d time.Duration) string {
	return fmt.Sprintf("%.1f MB/s", float64(bytes)/1e6/max(d.Seconds(), 1))
}

// doneAt returns the expected end of a bulk export, in the zone of its request, or "" if it
// is not known.
func doneAt(s exports.BulkStatus) string {
	eta, err := time.Parse(time.RFC3339, s.ETA)
	if err != nil {
		return ""
	}
	if s.Export != nil {
		if zone, err := plan.Zone(s.Export.Timezone); err == nil {
			eta = eta.In(zone)
		}
	}
	form := "15:04:05 MST"
	if time.Until(eta) > 12*time.Hour {
		form = "2 Jan 15:04 MST"
	}
	return ", done at " + eta.Format(form)
}
