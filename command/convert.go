package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/landing"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
)

// convertCommand is `convert`: Parquet files of stored files.
type convertCommand struct {
	Name  string `arg:"" help:"Name of the bulk export, or a folder with its manifest.json." name:"name"`
	Table string `help:"delta: also make a Delta Lake table of the Parquet files. It stays, also without this flag later." placeholder:"delta"`
	JSON  bool   `help:"Print one JSON object on stdout; progress goes to stderr." name:"json"`
}

// Help is the text that --help prints above the flags.
func (*convertCommand) Help() string {
	return "The files are written to parquet/day=YYYY-MM-DD/ in the folder of the export. Only what is missing or\n" +
		"has changed is made. Exit status: 0 done; 1 failed; 2 wrong usage; 3 incomplete (interrupted, or files\n" +
		"could not be converted)."
}

// convertedFolder is what `convert --json` prints.
type convertedFolder struct {
	Folder string `json:"folder"` // of the Parquet files
	landing.Result
}

// tableFormat returns the format of a table that a flag names; "" is none.
func tableFormat(flag string) (ledger.TableFormat, error) {
	table, err := chosen("table", "", flag, map[string]ledger.TableFormat{"delta": ledger.DeltaTable})
	if err != nil {
		return table, &exitError{statusUsage, err}
	}
	return table, nil
}

// convertMemory is the memory in bytes at which convert collects garbage more often.
const convertMemory = 130 << 20

// Run converts a folder. It needs no key and no network.
func (c *convertCommand) Run(ctx context.Context, a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	table, err := tableFormat(c.Table)
	if err != nil {
		return err
	}
	done, err := converted(ctx, a, folder, table, a.told(c.JSON))
	if err != nil {
		return err
	}
	if !c.JSON {
		done.show(a.newView(a.told(false)))
		return done.problem()
	}
	if err := (printableJSON{a.newView(a.stdout).out}).print(done); err != nil {
		return err
	}
	return done.problem()
}

// folder returns the path of the folder to convert.
func (c *convertCommand) folder(a *app) (string, error) {
	dir, err := a.config.folder(a.getenv)
	if err != nil {
		return "", err
	}
	for _, path := range []string{c.Name, filepath.Join(dir, c.Name)} {
		if _, err := os.Stat(filepath.Join(path, archive.ManifestName)); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", &exitError{statusUsage, fmt.Errorf("%s is neither a folder with a %s nor the name of an export in %s: "+
		"fullstory-export-mcp list lists the names", local.Shown(c.Name), archive.ManifestName, local.Shown(dir))}
}

// converted converts a folder, and shows its progress on out.
func converted(
	ctx context.Context, a *app, folder string, table ledger.TableFormat, out io.Writer,
) (convertedFolder, error) {
	return convertedBy(ctx, folder, out, func(show func(landing.Progress)) (landing.Result, error) {
		files, err := archive.Open(filepath.Dir(folder))
		if err != nil {
			return landing.Result{}, err
		}
		options := landing.Options{Delta: table == ledger.DeltaTable, Statements: exports.Statements}
		return landing.Convert(ctx, files, filepath.Base(folder), options, show)
	})
}

// convertedBy calls convert, which converts a folder, and shows its progress on out.
func convertedBy(
	ctx context.Context, folder string, out io.Writer, convert func(func(landing.Progress)) (landing.Result, error),
) (done convertedFolder, err error) {
	defer limitMemory(convertMemory)()
	done.Folder = filepath.Join(folder, landing.Folder)
	show, end := conversionProgress(out)
	done.Result, err = convert(show)
	end(err == nil)
	switch {
	case ctx.Err() != nil:
		return done, &exitError{statusIncomplete, errors.New("interrupted; run the same command to convert the rest")}
	case errors.Is(err, fs.ErrNotExist):
		return done, fmt.Errorf("%s has no %s: give the folder of an export", local.Shown(folder), archive.ManifestName)
	}
	if err != nil && exports.Explain(err).Kind == exports.Table {
		err = explained(ctx, err)
	}
	return done, err
}

// conversionProgress returns functions that show progress on out: a bar on a terminal, and
// elsewhere a line from time to time. end must be called last.
func conversionProgress(out io.Writer) (show func(landing.Progress), end func(complete bool)) {
	began := time.Now()
	text := func(p landing.Progress) string {
		return fmt.Sprintf("%d/%d files, %s", p.Files, p.AllFiles, rate(p.Bytes, time.Since(began)))
	}
	if isTerminal(out) {
		set, end := bar(out)
		return func(p landing.Progress) { set(p.Bytes, p.AllBytes, "  "+text(p)) }, end
	}
	last := began
	return func(p landing.Progress) {
		if time.Since(last) >= max(lineInterval, last.Sub(began)/10) {
			last = time.Now()
			fmt.Fprintln(out, text(p)+" of exported files read")
		}
	}, func(bool) {}
}

// show prints the result.
func (c convertedFolder) show(v view) {
	for _, p := range c.Problems[:min(len(c.Problems), maxProblems)] {
		v.bad(local.Shown(p.File) + " " + p.Text)
	}
	if more := len(c.Problems) - maxProblems; more > 0 {
		v.line(fmt.Sprintf("%s more; --json has them.", exports.Counted(more, "problem")))
	}
	if n := len(c.InRest); n > 0 {
		v.warn(fmt.Sprintf("The values of %s are in _rest: another column has the name, or it cannot be one. %s",
			exports.Counted(n, "column"), "The first is "+local.Shown(c.InRest[0])+"; --json lists them."))
	}
	files := c.Converted + c.Kept
	summary := fmt.Sprintf("%s of Parquet with %s rows and %d columns, %s: %d made, %d kept, %d removed.",
		exports.Counted(files, "file"), humanize.Comma(c.Rows), c.Columns, humanize.Bytes(uint64(c.Bytes)),
		c.Converted, c.Kept, c.Removed)
	if len(c.Problems) == 0 {
		v.good(summary)
	} else {
		v.line(summary)
	}
	if c.Delta {
		v.line("A Delta table, for programs that read these: " + c.Folder)
		return
	}
	v.line(c.Folder)
}

// problem returns the error of a conversion that left files out, or nil.
func (c convertedFolder) problem() error {
	if len(c.Problems) == 0 {
		return nil
	}
	return &exitError{statusIncomplete, fmt.Errorf("%s could not be converted: export them again with retry, "+
		"then run the same command", exports.Counted(len(c.Problems), "file"))}
}
