package command

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/gzip"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/rows"
)

// showPlan prints what the demo exports.
func (a *app) showPlan(window plan.Range, zone *time.Location, planned exports.BulkStarted) {
	out := a.newView(a.stdout)
	out.line("A simulated Fullstory runs on this machine; nothing leaves it.\n")
	out.line(fmt.Sprintf("Plan: every event of the sessions of %q, %s to %s (excluded), %s, in %d chunks of 3 hours. "+
		"Each is created at Fullstory, watched, fetched and verified.\n", demoSegment,
		window.Start.In(zone).Format(time.DateOnly), window.End.In(zone).Format(time.DateOnly), zone, planned.Chunks))
}

// demoDay is one day of the exported files. Times are spelled as in the rows.
type demoDay struct {
	name        string
	files       int
	rows, bytes int64
	first, last string // first and last event; empty without rows
}

// showFiles prints the stored files by day of zone, and the types of their events.
func (a *app) showFiles(folder string, zone *time.Location, checked archive.Checked) error {
	var days []*demoDay
	types := map[string]int{}
	byName := func(a, b archive.File) int { return strings.Compare(a.Name, b.Name) }
	for _, f := range slices.SortedFunc(slices.Values(checked.Manifest.Files), byName) {
		name := f.Window().Start.In(zone).Format("Mon 2006-01-02")
		if len(days) == 0 || days[len(days)-1].name != name {
			days = append(days, &demoDay{name: name, first: f.FirstEvent})
		}
		d := days[len(days)-1]
		d.files, d.rows, d.bytes = d.files+1, d.rows+f.Rows, d.bytes+f.Bytes
		d.first, d.last = cmp.Or(d.first, f.FirstEvent), cmp.Or(f.LastEvent, d.last)
		if err := countTypes(filepath.Join(folder, f.Name), types); err != nil {
			return err
		}
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "  day\tfiles\trows\tbytes\tfirst event\tlast event")
	for _, d := range days {
		fmt.Fprintf(table, "  %s\t%d\t%d\t%d\t%s\t%s\n",
			d.name, d.files, d.rows, d.bytes, eventTime(d.first, zone), eventTime(d.last, zone))
	}
	table.Flush()
	out := a.newView(a.stdout)
	out.line("")
	out.good(fmt.Sprintf("%d rows in %d files, none lost, none twice; size, checksum, gzip, format, rows and event times "+
		"of each were verified. They and their manifest.json are in\n\n%s\n", checked.Rows, checked.Files, folder))
	a.showTypes(types)
	fmt.Fprint(a.stdout, afterDemo(typedProgram(), folder))
	return nil
}

// afterDemo returns what to try after a demo that has exported to folder. program is how
// somebody types the name of this program.
func afterDemo(program, folder string) string {
	dir := shellWord(filepath.Dir(folder))
	first, place, installed := "cd "+dir+"\n  ", filepath.Base(folder), program
	if program == goRun { // works in the folder of the source alone, and a host cannot start it
		first, place, installed = "", shellWord(folder), "go build && ./fullstory-export-mcp"
	}
	return fmt.Sprintf(whatNext, first, program, place, dir, installed)
}

// whatNext ends the demo.
const whatNext = `Try next:

  %[1]s%[2]s describe %[3]s
  %[2]s query %[3]s "SELECT count(*) FROM rows"
  %[2]s verify %[3]s
  %[5]s install claude-desktop --sandbox

The last one connects an assistant. When you have seen enough:

  rm -r %[4]s
`

// goRun is how a program is typed that is built for one run.
const goRun = "go run ."

// typedProgram returns how somebody types the name of this program.
func typedProgram() string {
	const name = "fullstory-export-mcp"
	path, err := os.Executable()
	if err != nil {
		return name
	}
	if strings.Contains(path, "go-build") { // is gone when the program ends
		return goRun
	}
	if found, err := exec.LookPath(name); err == nil {
		if found, err = filepath.EvalSymlinks(found); err == nil && found == path {
			return name
		}
	}
	return shellWord(path)
}

// maxTypes is how many event types showTypes lists.
const maxTypes = 8

// showTypes prints a chart of the most frequent event types, given their counts.
func (a *app) showTypes(types map[string]int) {
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
	fmt.Fprintln(a.stdout, "Event types")
	fmt.Fprintln(a.stdout)
	const width = 30 // of the longest bar, in characters
	most := types[names[0]]
	for _, name := range names[:min(len(names), maxTypes)] {
		bar := strings.Repeat("#", (width*types[name]+most-1)/most) // rounded up: at least one
		fmt.Fprintf(a.stdout, "  %-16s %6d  %s\n", name, types[name], bar)
	}
	if more := len(names) - maxTypes; more > 0 {
		fmt.Fprintf(a.stdout, "  and %d more\n", more)
	}
	fmt.Fprintln(a.stdout)
}

// countTypes adds the event types of the rows in the gzipped NDJSON file at path to
// types.
func countTypes(path string, types map[string]int) error {
	f, err := local.Open(path)
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

// eventTime returns the time of a row for a table, in zone, without the year; "-" if
// there is none.
func eventTime(stamp string, zone *time.Location) string {
	at, _, ok := rows.ParseTime(stamp)
	if !ok {
		return "-"
	}
	return at.In(zone).Format("01-02 15:04:05")
}
