package command

import (
	"context"
	"errors"
	"fmt"

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
	c, err := archive.Check(ctx, v.Folder, nil)
	if ctx.Err() != nil {
		return &exitError{statusIncomplete, errors.New("interrupted")}
	}
	if err != nil {
		return err
	}
	out := &interruptible{w: a.stdout, done: ctx.Done()}
	for _, f := range c.Faults {
		fmt.Fprintf(out, "%s %s\n", local.Shown(f.Name), f.Problem)
	}
	fmt.Fprintf(out, "%d of %d files agree with the manifest: %d rows, %d bytes.\n",
		c.Files, len(c.Manifest.Files), c.Rows, c.Bytes)
	if text := c.Warnings.String(); text != "" {
		fmt.Fprintln(out, text)
	}
	if cover := c.Manifest.Coverage; cover != nil {
		for _, w := range cover.Missing {
			fmt.Fprintf(out, "not exported: %s to %s\n", local.Shown(w.Start), local.Shown(w.End))
		}
		for _, w := range cover.Provisional {
			fmt.Fprintf(out, "exported before its rows had settled: %s to %s\n", local.Shown(w.Start), local.Shown(w.End))
		}
	}
	if ctx.Err() != nil {
		return &exitError{statusIncomplete, errors.New("interrupted")}
	}
	switch n := len(c.Faults); n {
	case 0:
		return nil
	case 1:
		return errors.New("1 difference from the manifest")
	default:
		return fmt.Errorf("%d differences from the manifest", n)
	}
}
