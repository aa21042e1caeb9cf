package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fullstory-export-mcp/ledger"
)

type auditCommand struct {
	Since   string `help:"First day (in UTC) or instant to print, such as 2026-10-01 or 2026-10-01T08:00:00Z. Default: the oldest entry." placeholder:"TIME"`
	Account string `help:"Account whose ledger is read. In PostgreSQL, all accounts share one ledger." placeholder:"NAME"`
}

// Run prints the audit log on stdout, one JSON object a line, oldest entry first. It
// needs no key and changes nothing.
func (c *auditCommand) Run(ctx context.Context, a *app) error {
	since, err := c.since()
	if err != nil {
		return &exitError{statusUsage, err}
	}
	dir, err := a.config.folder(a.getenv)
	if err != nil {
		return err
	}
	database := a.config.database(filepath.Join(dir, c.Account))
	if _, err := os.Stat(database); err != nil && !strings.HasPrefix(database, "postgres") {
		return fmt.Errorf("there is no ledger at %s: no export was ever requested "+
			"with this --dir, --database and --account", database)
	}
	l, err := ledger.Open(ctx, database)
	if err != nil {
		return err
	}
	defer l.Close()
	lines := json.NewEncoder(a.stdout)
	lines.SetEscapeHTML(false)
	return l.Audit(ctx, since, func(e ledger.Entry) error { return lines.Encode(e) })
}

// since returns the instant that --since names, or the zero time without it.
func (c *auditCommand) since() (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if since, err := time.Parse(form, c.Since); err == nil {
			return since, nil
		}
	}
	if c.Since == "" {
		return time.Time{}, nil
	}
	return time.Time{}, errors.New("--since: give a day such as 2026-10-01, or an instant such as 2026-10-01T08:00:00Z")
}
