package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

// sourceFlags name stored data and a part of it.
type sourceFlags struct {
	Source  string   `arg:"" help:"Name or id of a bulk export, id of an operation, or a folder or file with a manifest."`
	Columns []string `help:"Columns, or patterns such as 'evt_*'. Default: all." placeholder:"NAME"`
	From    string   `help:"Only files of windows from this time on: a date, a period such as 2026-09, RFC 3339." placeholder:"TIME"`
	To      string   `help:"End of --from, excluded. Default: the end of the period in --from." placeholder:"TIME"`
	Mask    bool     `help:"Leave out personal data: columns such as UserEmail, and what looks like an address or a number of a person."`
	JSON    bool     `help:"Print one JSON object on stdout." name:"json"`
}

// offline returns the path of the folder or file to look at without the ledger; "" if the
// ledger must know it. Without a key, a name is that of a folder in the folder of files.
func (f *sourceFlags) offline(a *app) string {
	if isExportFolder(f.Source) {
		return f.Source
	}
	_, err := a.environment.requiredKey("")
	if err == nil || a.config.Sandbox {
		return ""
	}
	dir, err := a.config.folder(a.getenv)
	if path := filepath.Join(dir, f.Source); err == nil && isExportFolder(path) {
		return path
	}
	return ""
}

// look looks at the data of the flags: at a folder offline, else at what the ledger knows.
func (f *sourceFlags) look(
	ctx context.Context, a *app, q exports.LookQuery, show func(exports.Look, view) error,
) error {
	q.All, q.Columns, q.Mask, q.Range = true, f.Columns, f.Mask, client.TimeRange{Start: f.From, End: f.To}
	print := func(found exports.Look) error {
		if f.JSON {
			found.Summary, found.Next = exports.ForTerminal(found.Summary), ""
			return printableJSON{a.newView(a.stdout).out}.print(found)
		}
		return show(found, a.newView(a.stdout))
	}
	if path := f.offline(a); path != "" {
		stored, err := exports.StoredAt(path)
		if err != nil {
			return explained(ctx, err)
		}
		found, err := exports.LookAt(ctx, stored, q, time.Now())
		if err != nil {
			return explained(ctx, err)
		}
		err = print(found)
		a.noteSimulated(exports.Simulated(stored.Manifest.Account))
		return err
	}
	return a.observe(ctx, func(account *exports.Account) error {
		found, err := account.Look(ctx, f.Source, q)
		if err != nil {
			return err
		}
		return print(found)
	})
}

// isExportFolder reports whether a path leads to a folder with a manifest, or to a file of one.
func isExportFolder(path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	for _, folder := range []string{path, filepath.Dir(path)} {
		if _, err := os.Stat(filepath.Join(folder, archive.ManifestName)); err == nil {
			return true
		}
	}
	return false
}

// describeCommand is `describe`: what is in stored files.
type describeCommand struct {
	sourceFlags
	Values bool `help:"Show the most frequent values of each column as well."`
}

// Run describes stored data.
func (c *describeCommand) Run(ctx context.Context, a *app) error {
	q := exports.LookQuery{Detail: exports.LookColumns, Limit: mostShownColumns}
	if c.Values {
		q.Detail = exports.LookValues
	}
	return c.look(ctx, a, q, func(found exports.Look, v view) error {
		c.show(found, v)
		return nil
	})
}

// mostShownColumns is how many columns are described.
const mostShownColumns = 1000

// show prints what is in the data: counts, bars by day and hour, columns.
func (c *describeCommand) show(found exports.Look, v view) {
	v.line(exports.ForTerminal(found.Summary))
	v.line("")
	facts := [][]string{}
	add := func(name string, n int64) {
		if n > 0 {
			facts = append(facts, []string{name, humanize.Comma(n)})
		}
	}
	f := found.Frustration
	add("people, about", found.People)
	add("sessions, about", found.Sessions)
	add("rage clicks", f.RageClicks)
	add("dead clicks", f.DeadClicks)
	add("error clicks", f.ErrorClicks)
	add("thrashed cursor", f.Thrashes)
	add("abandoned forms", f.Abandoned)
	add("exceptions", f.Exceptions)
	add("console errors", f.ConsoleErrors)
	add("crashes", f.Crashes)
	if found.Range.First != "" {
		v.line("Events from " + found.Range.First + " to " + found.Range.Last + ".")
	}
	v.table(nil, facts, 1)
	for _, chart := range []struct {
		title string
		bars  []chartBar
	}{
		{"Rows by type of event", eventBars(found)}, {"Rows by day (UTC)", dayBars(found)},
		{"Rows by hour (UTC)", hourBars(found)},
	} {
		if len(chart.bars) > 1 {
			v.line("\n" + chart.title)
			v.bars(chart.bars)
		}
	}
	v.line("")
	showColumns(found, v)
}

// showColumns prints a table of columns.
func showColumns(found exports.Look, v view) {
	var rows [][]string
	for _, c := range found.Columns {
		values := "masked"
		if !c.Masked {
			values = strings.TrimSpace(c.Min + " … " + c.Max)
		}
		if len(c.Top) > 0 {
			var top []string
			for _, t := range c.Top {
				top = append(top, fmt.Sprintf("%s (%s)", t.Value, humanize.Comma(t.Rows)))
			}
			values = strings.Join(top, ", ")
		}
		if values == "…" {
			values = ""
		}
		rows = append(rows, []string{
			c.Name, c.Type, humanize.Comma(c.Present - c.Empty), humanize.Comma(c.Distinct), values,
		})
	}
	v.table([]string{"COLUMN", "TYPE", "VALUES", "DISTINCT", "FROM … TO"}, rows, 2, 3)
	if found.HasMore {
		v.line(fmt.Sprintf("There are more columns; --columns chooses some of all %d.", found.ColumnCount))
	}
}

// headCommand is `head`: the first rows of stored files.
type headCommand struct {
	sourceFlags
	Rows int `help:"Rows to print, at most 20. Default: 5." short:"n" default:"5" placeholder:"N"`
}

// Run prints the first rows of stored data, a column a line, since rows have many.
func (c *headCommand) Run(ctx context.Context, a *app) error {
	if c.Rows < 1 || c.Rows > 20 {
		return &exitError{statusUsage, errors.New("--rows: give a number from 1 to 20; gzip -dc prints whole files")}
	}
	q := exports.LookQuery{Detail: exports.LookSample, Limit: c.Rows}
	return c.look(ctx, a, q, func(found exports.Look, v view) error {
		for i, row := range found.Sample.Rows {
			if i > 0 {
				v.line("")
			}
			var lines [][]string
			for j, value := range row {
				if value != "" {
					lines = append(lines, []string{found.Sample.Columns[j], value})
				}
			}
			if len(lines) == 0 {
				v.line("(this row has no value in these columns)")
				continue
			}
			v.table(nil, lines)
		}
		if len(found.Sample.Rows) == 0 {
			v.line("No rows.")
		}
		return nil
	})
}
