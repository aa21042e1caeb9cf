package command

import (
	"context"
	"errors"
	"fmt"

	"fullstory-export-mcp/archive"
)

type verifyCommand struct {
	Folder string `arg:"" help:"Folder of an export, with its manifest.json."`
}

// Run checks every file of a folder against its manifest. It needs no key and no
// network.
func (v *verifyCommand) Run(ctx context.Context, t *terminal) error {
	c, err := archive.Check(ctx, v.Folder, nil)
	if ctx.Err() != nil {
		return &exit{3, errors.New("interrupted")}
	}
	if err != nil {
		return err
	}
	for _, f := range c.Faults {
		fmt.Fprintf(t.stdout, "%s %s\n", f.Name, f.Problem)
	}
	fmt.Fprintf(t.stdout, "%d of %d files agree with the manifest: %d rows, %d bytes.\n", c.Files, len(c.Manifest.Files), c.Rows, c.Bytes)
	if cover := c.Manifest.Coverage; cover != nil {
		for _, w := range cover.Missing {
			fmt.Fprintf(t.stdout, "not exported: %s to %s\n", w.Start, w.End)
		}
		for _, w := range cover.Provisional {
			fmt.Fprintf(t.stdout, "exported before its rows had settled: %s to %s\n", w.Start, w.End)
		}
	}
	if len(c.Faults) > 0 {
		return fmt.Errorf("%d differences from the manifest", len(c.Faults))
	}
	return nil
}
