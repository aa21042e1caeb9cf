package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"fullstory-export-mcp/exports"
)

// syncAdoptCommand is `sync adopt`.
type syncAdoptCommand struct {
	Name   string `arg:"" help:"Name of the sync."`
	Folder string `arg:"" help:"Name of an older export, or a folder with its manifest.json."`
	DryRun bool   `help:"Only read, and say what would be brought in." name:"dry-run"`
	Yes    bool   `help:"Confirm that the sync begins earlier and over 5,000 windows between are exported." short:"y"`
	JSON   bool   `help:"Print one JSON object on stdout." name:"json"`
}

// Help is the text that --help prints above the flags.
func (*syncAdoptCommand) Help() string {
	return "The older export must be of the same segment, rows, columns and format. Its files stay as they are.\n" +
		"A window that the sync lacks gets its rows, and is not exported again; a stored one gets the rows that it\n" +
		"lacks. It may be interrupted and repeated at any time, also beside a server."
}

// Run brings in the files of an older export.
func (c *syncAdoptCommand) Run(ctx context.Context, a *app) error {
	if a.config.ReadOnly && !c.DryRun {
		return &exitError{statusUsage, errors.New("sync adopt changes a sync, which --read-only forbids")}
	}
	return a.observe(ctx, func(account *exports.Account) error {
		done, err := account.Adopt(ctx, exports.AdoptRequest{
			Name: c.Name, Folder: a.exportFolder(c.Folder), DryRun: c.DryRun, Confirmed: c.Yes,
			Verifying: a.every(lineInterval, "%d of %d files verified"),
			Working:   a.every(lineInterval, "%d of %d windows done"),
		})
		if err != nil {
			return err
		}
		if c.JSON {
			done.Summary, done.Next = exports.ForTerminal(done.Summary), exports.ForTerminal(done.Next)
			return printableJSON{a.newView(a.stdout).out}.print(done)
		}
		c.show(a, done)
		return nil
	})
}

// every returns a function that prints how many of how many are done on stderr, at most once in an
// interval, and not in the first one.
func (a *app) every(interval time.Duration, format string) func(done, all int) {
	last := time.Now()
	return func(done, all int) {
		if time.Since(last) >= interval {
			last = time.Now()
			a.newView(a.stderr).line(fmt.Sprintf(format, done, all))
		}
	}
}

// mostAdopted is how many windows and files a table shows; --json has all.
const mostAdopted = 60

// show prints the report.
func (c *syncAdoptCommand) show(a *app, r exports.AdoptResult) {
	out := a.newView(a.told(false))
	var windows [][]string
	for _, w := range r.Windows {
		what := string(w.Outcome)
		if w.Added > 0 {
			what += " by " + humanize.Comma(w.Added)
		}
		windows = append(windows, []string{
			shortTime(w.Start), shortTime(w.End), what, humanize.Comma(w.Rows), humanize.Comma(w.Collapsed), sourcesText(w),
		})
	}
	firstRows(out, []string{"FROM", "TO", "RESULT", "ROWS", "COLLAPSED", "OF"}, windows, 3, 4)
	var files [][]string
	for _, f := range r.Files {
		if f.Left > 0 {
			files = append(files, []string{f.File, humanize.Comma(f.Rows), humanize.Comma(f.Used), humanize.Comma(f.Left)})
		}
	}
	if len(files) > 0 {
		out.line("")
		firstRows(out, []string{"FILE", "ROWS", "USED", "LEFT"}, files, 1, 2, 3)
	}
	for _, reason := range reasons(r.Windows) {
		out.line(reason)
	}
	out.good(exports.ForTerminal(r.Summary))
	for _, w := range r.Warnings {
		a.newView(a.stderr).warn(exports.ForTerminal(w))
	}
	if r.Next != "" {
		out.line(exports.ForTerminal(r.Next))
	}
}

// firstRows prints the first rows of a table, and how many more there are.
func firstRows(v view, head []string, rows [][]string, numbers ...int) {
	v.table(head, rows[:min(len(rows), mostAdopted)], numbers...)
	if more := len(rows) - mostAdopted; more > 0 {
		v.line(fmt.Sprintf("… and %d more; --json lists all.", more))
	}
}

// sourcesText names the files that a window is made of, with the rows that each gave.
func sourcesText(w exports.AdoptedWindow) string {
	const most = 2
	var parts []string
	for _, s := range w.Sources[:min(len(w.Sources), most)] {
		name := s.File
		if s.Stored {
			name = "stored"
		}
		parts = append(parts, fmt.Sprintf("%s %s", name, humanize.Comma(s.Gave)))
	}
	if more := len(w.Sources) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

// reasons returns why windows were left, each reason once with the number of its windows.
func reasons(windows []exports.AdoptedWindow) (lines []string) {
	counts := map[string]int{}
	var order []string
	for _, w := range windows {
		if w.Reason == "" {
			continue
		}
		if counts[w.Reason]++; counts[w.Reason] == 1 {
			order = append(order, w.Reason)
		}
	}
	for _, reason := range order {
		lines = append(lines, fmt.Sprintf("Left, %s: %s", exports.Counted(counts[reason], "window"),
			exports.ForTerminal(reason)))
	}
	return lines
}
