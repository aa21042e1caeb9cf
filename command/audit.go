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
	Since   string `help:"First day or instant to print, such as 2026-10-01 or 2026-10-01T08:00:00Z; days are of UTC. Default: the first there is." placeholder:"TIME"`
	Account string `help:"Named account whose ledger is read; in PostgreSQL all accounts have one." placeholder:"NAME"`
}

// Run prints the audit log on stdout, one JSON object a line, the oldest first.
// It needs no key and changes nothing.
func (a *auditCommand) Run(ctx context.Context, t *terminal) error {
	since, err := a.since()
	if err != nil {
		return &exit{2, err}
	}
	dir, err := t.config.folder(t.getenv)
	if err != nil {
		return err
	}
	place := t.config.database(filepath.Join(dir, a.Account))
	if _, err := os.Stat(place); err != nil && !strings.HasPrefix(place, "postgres") {
		return fmt.Errorf("there is no ledger at %s: nothing was ever asked for with this --dir, --database and --account", place)
	}
	l, err := ledger.Open(ctx, place)
	if err != nil {
		return err
	}
	defer l.Close()
	lines := json.NewEncoder(t.stdout)
	lines.SetEscapeHTML(false)
	return l.Audit(ctx, since, func(e ledger.Entry) error { return lines.Encode(e) })
}

func (a *auditCommand) since() (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if since, err := time.Parse(form, a.Since); err == nil {
			return since, nil
		}
	}
	if a.Since == "" {
		return time.Time{}, nil
	}
	return time.Time{}, errors.New("--since: give a day such as 2026-10-01, or an instant such as 2026-10-01T08:00:00Z")
}
