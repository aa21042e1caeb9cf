package command

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/gzip"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/tools"
)

func (t *terminal) showPlan(r plan.Range, zone *time.Location, planned tools.BulkStarted) {
	fmt.Fprintf(t.stdout, "A simulated Fullstory runs on this machine; nothing leaves it.\n\n")
	fmt.Fprintf(t.stdout, "Plan: every event of the sessions of %q,\n%s to %s (excluded), %s, in %d chunks of 3 hours.\nEach is created at Fullstory, watched, fetched and verified.\n\n", demoSegment, r.Start.In(zone).Format(time.DateOnly), r.End.In(zone).Format(time.DateOnly), zone, planned.Chunks)
}

// showFiles tells what came of it, and looks into the rows.
func (t *terminal) showFiles(folder string, zone *time.Location, checked archive.Checked) error {
	type day struct {
		name        string
		files       int
		rows, bytes int64
		first, last string
	}
	var days []*day
	types := map[string]int{}
	for _, f := range slices.SortedFunc(slices.Values(checked.Manifest.Files), func(a, b archive.File) int { return strings.Compare(a.Name, b.Name) }) {
		start, err := time.Parse(time.RFC3339Nano, f.Start)
		if err != nil {
			return err
		}
		name := start.In(zone).Format("Mon 2006-01-02")
		if len(days) == 0 || days[len(days)-1].name != name {
			days = append(days, &day{name: name, first: f.FirstEvent})
		}
		d := days[len(days)-1]
		d.files, d.rows, d.bytes = d.files+1, d.rows+f.Rows, d.bytes+f.Bytes
		d.first, d.last = cmp.Or(d.first, f.FirstEvent), cmp.Or(f.LastEvent, d.last)
		if err := countTypes(filepath.Join(folder, f.Name), types); err != nil {
			return err
		}
	}
	table := tabwriter.NewWriter(t.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "  day\tfiles\trows\tbytes\tfirst event (UTC)\tlast event (UTC)")
	for _, d := range days {
		fmt.Fprintf(table, "  %s\t%d\t%d\t%d\t%s\t%s\n", d.name, d.files, d.rows, d.bytes, eventTime(d.first), eventTime(d.last))
	}
	table.Flush()
	fmt.Fprintf(t.stdout, "\n%d rows in %d files, none lost, none twice; size, checksum, gzip, format, rows and\nevent times of each were verified. They and their manifest.json are in\n\n  %s\n\n", checked.Rows, checked.Files, folder)
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
