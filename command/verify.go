package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/local"
)

// verifyCommand is `verify`: files against their manifest.
type verifyCommand struct {
	Folder  string `arg:"" help:"Name of an export, or a folder with its manifest.json."`
	Upgrade bool   `help:"If all files agree, write the manifest again in the version of this program, with the schema and totals."`
	JSON    bool   `help:"Print one JSON object on stdout." name:"json"`
}

// Help is the text that --help prints above the flags.
func (*verifyCommand) Help() string {
	return "Exit status: 0 every file agrees; 1 a file differs, or the folder cannot be read; 2 wrong usage;\n" +
		"3 interrupted."
}

// verifiedFolder is what `verify --json` prints.
type verifiedFolder struct {
	Folder      string           `json:"folder"`
	Whole       bool             `json:"whole"` // there is no difference
	Files       int              `json:"files"` // that agree with the manifest
	Listed      int              `json:"listed"`
	Rows        int64            `json:"rows"`
	Bytes       int64            `json:"bytes"`
	Differences int              `json:"differences"`
	Problems    []fileProblem    `json:"problems"` // the first mostListed
	Warnings    string           `json:"warnings,omitempty"`
	Profiled    int              `json:"profiled"`              // files whose profile was written, see archive.Checked
	Unprofiled  string           `json:"unprofiled,omitempty"`  // why profiles could not be written
	Outdated    bool             `json:"outdated"`              // --upgrade would add to the manifest
	Upgraded    bool             `json:"upgraded"`              // the manifest was written again
	Missing     []archive.Window `json:"missing,omitempty"`     // windows that were not exported
	Provisional []archive.Window `json:"provisional,omitempty"` // windows that were exported before their rows had settled
}

// fileProblem is a difference of a file from the manifest.
type fileProblem struct {
	File    string `json:"file"`
	Problem string `json:"problem"`
}

// mostListed is how many differences --json lists.
const mostListed = 1000

// exportFolder returns the path of a folder that is given as such, or by the name of the export in the
// folder of files. Without either it returns what was given.
func (a *app) exportFolder(given string) string {
	if _, err := os.Lstat(given); !errors.Is(err, os.ErrNotExist) || !filepath.IsLocal(given) {
		return given
	}
	dir, err := a.config.folder(a.getenv)
	if err != nil {
		return given
	}
	path := filepath.Join(dir, given)
	if info, err := os.Stat(filepath.Join(path, archive.ManifestName)); err == nil && info.Mode().IsRegular() {
		return path
	}
	return given
}

// advised adds what to give in place of the folder to the error about it.
func (v *verifyCommand) advised(err error) error {
	switch info, statErr := os.Stat(v.Folder); {
	case errors.Is(statErr, os.ErrNotExist):
		return fmt.Errorf("%w; give the folder of an export or its name, which fullstory-export-mcp list lists", err)
	case statErr == nil && info.Mode().IsRegular():
		return fmt.Errorf("%w; give the folder with the file: fullstory-export-mcp verify %s", err,
			shellWord(filepath.Dir(v.Folder)))
	}
	return err
}

// Run checks every file of a folder against its manifest, and fails on any difference.
// It needs no key and no network.
func (v *verifyCommand) Run(ctx context.Context, a *app) error {
	defer limitMemory(verifyMemory)()
	v.Folder = a.exportFolder(v.Folder)
	out, result := a.newView(a.stdout), verifiedFolder{Folder: v.Folder, Problems: []fileProblem{}}
	c, err := v.check(ctx, &result, func(f archive.Fault) {
		if !v.JSON {
			out.bad(local.Shown(f.Name) + " " + f.Problem)
		} else if result.Differences < mostListed {
			result.Problems = append(result.Problems, fileProblem{f.Name, f.Problem})
		}
		result.Differences++
	})
	if ctx.Err() != nil {
		return &exitError{statusIncomplete, errors.New("interrupted")}
	}
	if err != nil {
		return v.advised(err)
	}
	result.Whole, result.Warnings = result.Differences == 0, c.Warnings.String()
	result.Files, result.Listed, result.Rows, result.Bytes = c.Files, c.Listed, c.Rows, c.Bytes
	if cover := c.Manifest.Coverage; cover != nil {
		result.Missing, result.Provisional = cover.Missing, cover.Provisional
	}
	result.Profiled = c.Profiled
	if c.Unprofiled != nil {
		result.Unprofiled = local.Printable(c.Unprofiled.Error())
	}
	if v.JSON {
		err = printableJSON{out.out}.print(result)
	} else {
		result.show(ctx, out)
	}
	switch n := result.Differences; {
	case ctx.Err() != nil:
		return &exitError{statusIncomplete, errors.New("interrupted")}
	case err != nil || n == 0:
		return err
	default:
		return fmt.Errorf("%s from the manifest", exports.Counted(n, "difference"))
	}
}

// check checks the folder, and with --upgrade writes its manifest again.
func (v *verifyCommand) check(
	ctx context.Context, result *verifiedFolder, fault func(archive.Fault),
) (c archive.Checked, err error) {
	if v.Upgrade {
		c, result.Upgraded, err = archive.Upgrade(ctx, v.Folder, version(), nil, fault)
	} else {
		c, err = archive.CheckEach(ctx, v.Folder, nil, fault)
	}
	result.Outdated = !result.Upgraded && c.Manifest.Outdated()
	return c, err
}

// show prints the result, until ctx ends.
func (r verifiedFolder) show(ctx context.Context, out view) {
	tell := out.good
	if !r.Whole {
		tell = out.bad
	}
	tell(fmt.Sprintf("%d of %d files agree with the manifest: %d rows, %d bytes.", r.Files, r.Listed, r.Rows, r.Bytes))
	if r.Warnings != "" {
		out.warn(r.Warnings)
	}
	r.showProfiles(out)
	printWindows(ctx, out, "not exported", r.Missing)
	printWindows(ctx, out, "exported before its rows had settled", r.Provisional)
	if r.Differences > 0 {
		out.line(repair(r.Folder))
	}
}

// showProfiles prints what was written, and what could be.
func (r verifiedFolder) showProfiles(out view) {
	if r.Profiled > 0 {
		out.line("Profiles of columns were written for " + exports.Counted(r.Profiled, "file") + ".")
	}
	if r.Unprofiled != "" {
		out.warn("Profiles of columns could not be written: " + r.Unprofiled)
	}
	switch {
	case r.Upgraded:
		out.line("The manifest was written again, with the schema and totals of its files.")
	case r.Outdated && r.Whole:
		out.line("The manifest is that of an earlier version. To add the schema and totals of its files, run: " +
			"fullstory-export-mcp verify --upgrade " + shellWord(r.Folder))
	}
}

// repair says how to get files of a folder back that differ from the manifest.
func repair(folder string) string {
	folder, err := filepath.Abs(folder)
	dir, name := filepath.Split(folder)
	if _, stat := os.Stat(filepath.Join(dir, ".state")); err != nil || stat != nil {
		return "To repair it, copy these files again from where the folder came from, or export them again."
	}
	return "To repair it, delete the files that differ and run: fullstory-export-mcp retry " + shellWord(name) +
		" --dir " + shellWord(filepath.Clean(dir))
}

// printWindows prints a line for each window, until ctx ends.
func printWindows(ctx context.Context, out view, what string, windows []archive.Window) {
	for _, w := range windows {
		if ctx.Err() != nil {
			return
		}
		out.line(fmt.Sprintf("%s: %s to %s", what, local.Shown(w.Start), local.Shown(w.End)))
	}
}

// verifyMemory is the memory in bytes at which verify collects garbage more often. It
// needs less than that itself, whatever a folder holds.
const verifyMemory = 120 << 20

// limitMemory sets such a limit until done is called, unless GOMEMLIMIT sets another.
func limitMemory(bytes int64) (done func()) {
	usual := debug.SetMemoryLimit(-1)
	if usual != math.MaxInt64 {
		return func() {}
	}
	debug.SetMemoryLimit(bytes)
	return func() { debug.SetMemoryLimit(usual) }
}
