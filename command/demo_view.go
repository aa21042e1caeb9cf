package command

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"fullstory-export-mcp/plan"
)

func (t *terminal) showPlan(r plan.Range, zone *time.Location, chunks []*demoChunk) {
	fmt.Fprintf(t.stdout, "A simulated Fullstory runs on this machine; nothing leaves it.\n\n")
	fmt.Fprintf(t.stdout, "Plan: every event of the sessions of %q,\n%s to %s (excluded), %s, by the day\n\n", demoSegment, r.Start.In(zone).Format(time.DateOnly), r.End.In(zone).Format(time.DateOnly), zone)
	table := tabwriter.NewWriter(t.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "  chunk\tday\tfrom (UTC)\tto, excluded (UTC)\thours")
	for _, c := range chunks {
		fmt.Fprintf(table, "  %d\t%s\t%s\t%s\t%v\n", c.Index+1, c.day, c.Start.UTC().Format("2006-01-02 15:04"), c.End.UTC().Format("2006-01-02 15:04"), c.Hours())
	}
	table.Flush()
	fmt.Fprintln(t.stdout)
}

// showProgress sets what each chunk shows its progress with: a bar on a
// terminal, lines otherwise. finish ends the showing.
func (t *terminal) showProgress(ctx context.Context, chunks []*demoChunk) (finish func()) {
	if !isTerminal(t.stdout) {
		t.showLines(chunks)
		return func() { fmt.Fprintln(t.stdout) }
	}
	bars := mpb.NewWithContext(ctx, mpb.WithOutput(t.stdout), mpb.WithWidth(40), mpb.WithRefreshRate(80*time.Millisecond))
	var all []*mpb.Bar
	for _, c := range chunks {
		var stage atomic.Value
		stage.Store("waiting")
		bar := bars.AddBar(100,
			mpb.PrependDecorators(decor.Name("  "+c.day+" ")),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Any(func(decor.Statistics) string { return "  " + stage.Load().(string) })),
		)
		all = append(all, bar)
		c.show = func(at string, percent int) {
			stage.Store(at)
			bar.SetCurrent(int64(percent))
		}
	}
	return func() {
		for _, bar := range all {
			bar.Abort(false) // does nothing to one that is complete
		}
		bars.Wait()
		fmt.Fprintln(t.stdout)
	}
}

// showLines prints a line for each new stage of a chunk.
func (t *terminal) showLines(chunks []*demoChunk) {
	var mu sync.Mutex
	for _, c := range chunks {
		last := ""
		c.show = func(stage string, _ int) {
			mu.Lock()
			defer mu.Unlock()
			if stage != last {
				fmt.Fprintf(t.stdout, "%s: %s\n", c.day, stage)
				last = stage
			}
		}
	}
}

// showFiles tells what came of it, and looks into the rows.
func (t *terminal) showFiles(chunks []*demoChunk) error {
	table := tabwriter.NewWriter(t.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "  day\trows\tbytes\tfirst event\tlast event")
	types := map[string]int{}
	rows := int64(0)
	for _, c := range chunks {
		fmt.Fprintf(table, "  %s\t%d\t%d\t%s\t%s\n", c.day, c.file.Rows, c.file.Bytes, eventTime(c.file.FirstEvent), eventTime(c.file.LastEvent))
		rows += c.file.Rows
		if err := countTypes(c.path, types); err != nil {
			return err
		}
	}
	table.Flush()
	fmt.Fprintf(t.stdout, "\n%d rows; size, checksum, gzip, format, rows and event times of each file were\nverified. A manifest.json beside each says what it is:\n\n", rows)
	for _, c := range chunks {
		fmt.Fprintf(t.stdout, "  %s\n", c.path)
	}
	fmt.Fprintln(t.stdout)
	t.showTypes(types)
	fmt.Fprintf(t.stdout, "To do this in conversation with an assistant, see what\n  fullstory-export-mcp doctor --sandbox\nprints for Claude Desktop, Claude Code, VS Code and Cursor.\n")
	return nil
}

// mostTypes is how many event types are listed.
const mostTypes = 8

func (t *terminal) showTypes(types map[string]int) {
	var names []string
	for name := range types {
		names = append(names, name)
	}
	if len(names) == 0 {
		return
	}
	slices.SortFunc(names, func(a, b string) int {
		if types[a] != types[b] {
			return types[b] - types[a]
		}
		return strings.Compare(a, b)
	})
	fmt.Fprintln(t.stdout, "Event types")
	fmt.Fprintln(t.stdout)
	most := types[names[0]]
	for _, name := range names[:min(len(names), mostTypes)] {
		fmt.Fprintf(t.stdout, "  %-16s %6d  %s\n", name, types[name], strings.Repeat("#", (30*types[name]+most-1)/most))
	}
	if more := len(names) - mostTypes; more > 0 {
		fmt.Fprintf(t.stdout, "  and %d more\n", more)
	}
	fmt.Fprintln(t.stdout)
}

// countTypes adds up the event types of the rows in the NDJSON file at path.
func countTypes(path string, types map[string]int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return err
	}
	for rows := json.NewDecoder(unpacked); ; {
		var row struct{ EventType string }
		switch err := rows.Decode(&row); err {
		case nil:
			types[row.EventType]++
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// eventTime shortens an instant for a table.
func eventTime(stamp string) string {
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return "-"
	}
	return at.UTC().Format("01-02 15:04:05")
}
