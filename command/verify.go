package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/local"
)

// verifyCommand is `verify`: files against their manifest.
type verifyCommand struct {
	Folder string `arg:"" help:"Folder of an export, with its manifest.json."`
}

// Run checks every file of a folder against its manifest, and fails on any difference.
// It needs no key and no network.
func (v *verifyCommand) Run(ctx context.Context, a *app) error {
	defer limitMemory()()
	out, faults := &interruptible{w: a.stdout, done: ctx.Done()}, 0
	c, err := archive.CheckEach(ctx, v.Folder, nil, func(f archive.Fault) {
		fmt.Fprintf(out, "%s %s\n", local.Shown(f.Name), f.Problem)
		faults++
	})
	if ctx.Err() != nil {
		return &exitError{statusIncomplete, errors.New("interrupted")}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d of %d files agree with the manifest: %d rows, %d bytes.\n",
		c.Files, c.Listed, c.Rows, c.Bytes)
	if text := c.Warnings.String(); text != "" {
		fmt.Fprintln(out, text)
	}
	if cover := c.Manifest.Coverage; cover != nil {
		printWindows(ctx, out, "not exported", cover.Missing)
		printWindows(ctx, out, "exported before its rows had settled", cover.Provisional)
	}
	if ctx.Err() != nil {
		return &exitError{statusIncomplete, errors.New("interrupted")}
	}
	switch n := faults; n {
	case 0:
		return nil
	case 1:
		return errors.New("1 difference from the manifest")
	default:
		return fmt.Errorf("%d differences from the manifest", n)
	}
}

// printWindows prints a line for each window, until ctx ends.
func printWindows(ctx context.Context, out io.Writer, what string, windows []archive.Window) {
	for _, w := range windows {
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(out, "%s: %s to %s\n", what, local.Shown(w.Start), local.Shown(w.End))
	}
}

// verifyMemory is the memory in bytes at which verify collects garbage more often. It
// needs less than that itself, whatever a folder holds.
const verifyMemory = 120 << 20

// limitMemory sets that limit until done is called, unless GOMEMLIMIT sets another.
func limitMemory() (done func()) {
	usual := debug.SetMemoryLimit(-1)
	if usual != math.MaxInt64 {
		return func() {}
	}
	debug.SetMemoryLimit(verifyMemory)
	return func() { debug.SetMemoryLimit(usual) }
}
