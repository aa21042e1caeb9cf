package command

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
)

// migrateCommand is `migrate`: it prepares the ledger for servers whose database role
// may not change its tables.
type migrateCommand struct {
	GrantTo string `help:"Role of PostgreSQL that servers use. It is given what a server needs and no more: it can neither change the tables nor entries of the audit log." name:"grant-to" placeholder:"ROLE"`
}

// Run migrates the tables of the ledger, grants a role its rights, and prints what it
// granted as SQL.
func (c *migrateCommand) Run(ctx context.Context, a *app) error {
	dir, err := a.config.folder(a.getenv)
	if err != nil {
		return err
	}
	database := a.config.database(dir)
	if c.GrantTo != "" && !strings.HasPrefix(database, "postgres") {
		return &exitError{statusUsage, fmt.Errorf("--grant-to needs a postgres:// address in --database: %s is a "+
			"SQLite file, which has no roles", filepath.Base(database))}
	}
	l, err := ledger.Open(ctx, database)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Fprintf(a.stdout, "-- The tables of the ledger %s are up to date.\n", local.Shown(l.Place()))
	if c.GrantTo == "" {
		return nil
	}
	granted, err := l.Grant(ctx, c.GrantTo)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "-- Done:\n%s;\n", local.Printable(strings.Join(granted, ";\n")))
	return nil
}
