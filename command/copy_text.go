package command

import (
	"context"
	"errors"
	"fmt"
	"os"

	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/destination"
	"fullstory-export-mcp/local"
)

// copyTextCommand is `copy-text`: a Parquet file as text for psql.
type copyTextCommand struct {
	File    string   `arg:"" help:"Parquet file that convert has made."`
	Columns []string `help:"Columns of the table, in this order. Default: _window, and all of the file." placeholder:"NAME"`
}

// Help is the text that --help prints above the flags.
func (*copyTextCommand) Help() string {
	return "Prints the rows as COPY of PostgreSQL 15 and newer reads them: WITH (FORMAT text, HEADER MATCH). The\n" +
		"load statements for PostgreSQL, which convert writes to parquet/load/, call it."
}

// Run prints the file.
func (c *copyTextCommand) Run(ctx context.Context, a *app) error {
	file, err := os.Open(c.File)
	if errors.Is(err, os.ErrNotExist) {
		return &exitError{statusUsage, fmt.Errorf("%s does not exist: give a file below parquet/ of an export",
			local.Shown(c.File))}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	f, err := columnar.Open(file)
	if errors.Is(err, columnar.ErrDamaged) {
		return fmt.Errorf("%s is not a Parquet file that convert has made: %w; delete it, and run convert again",
			local.Shown(c.File), err)
	}
	if err != nil {
		return err
	}
	copied, err := destination.CopyText(ctx, a.stdout, f, c.Columns)
	if err == nil && copied.Replaced > 0 {
		a.newView(a.stderr).warn(fmt.Sprintf("%d characters that PostgreSQL cannot store were replaced.", copied.Replaced))
	}
	return err
}
