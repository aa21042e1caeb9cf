package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/plan"
)

type auditCommand struct {
	Since   string   `help:"First day (in UTC) or instant to print: 2026-10-01, yesterday, now-7d/d, 2026-10-01T08:00:00Z. Default: the oldest entry." placeholder:"TIME"`
	Account string   `help:"Account whose ledger is read. In PostgreSQL, all accounts share one ledger." placeholder:"NAME"`
	Verify  bool     `help:"Check that no entry was changed, removed or inserted, instead of printing them. Exit status 1 if one was."`
	Head    bool     `help:"Print how many entries there are and the hash of the newest one, to keep elsewhere, instead of the entries."`
	Against []string `help:"With --verify: hashes that --head has printed earlier. Only they show that the newest entries were cut off." placeholder:"HASH"`
}

// Run prints the audit log on stdout, one JSON object a line, oldest entry first, or
// with --head or --verify one line for each account. It needs no key and adds no entry.
func (c *auditCommand) Run(ctx context.Context, a *app) error {
	since, err := c.since()
	if err == nil {
		err = auth.CheckAccount(c.Account)
	}
	if err == nil {
		err = c.checkFlags()
	}
	if err != nil {
		return &exitError{statusUsage, err}
	}
	l, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	defer l.Close()
	out := printableJSON{&interruptible{w: a.stdout, done: ctx.Done()}}
	switch {
	case c.Verify:
		return c.verify(ctx, l, out)
	case c.Head:
		heads, err := l.AuditHeads(ctx)
		if err != nil {
			return err
		}
		return printEach(out, heads)
	}
	return l.Audit(ctx, since, func(e ledger.Entry) error {
		e.Request, e.Detail = jsonOf(e.Request), jsonOf(e.Detail)
		return out.print(e)
	})
}

// jsonOf returns JSON, or text that is not JSON as a JSON string: an entry that was
// changed must not keep the others from being printed.
func jsonOf(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || json.Valid(raw) {
		return raw
	}
	text, err := json.Marshal(string(raw))
	if err != nil {
		return nil
	}
	return text
}

// open opens the ledger. It fails if there is none.
func (c *auditCommand) open(ctx context.Context, a *app) (*ledger.Ledger, error) {
	dir, err := a.config.folder(a.getenv)
	if err != nil {
		return nil, err
	}
	database := a.config.database(filepath.Join(dir, c.Account))
	if _, err := os.Stat(database); err != nil && !strings.HasPrefix(database, "postgres") {
		return nil, fmt.Errorf("there is no ledger at %s: no export was ever requested "+
			"with this --dir, --database and --account", database)
	}
	return ledger.OpenAudit(ctx, database)
}

// since returns the instant that --since names, or the zero time without it.
func (c *auditCommand) since() (time.Time, error) {
	if c.Since == "" {
		return time.Time{}, nil
	}
	r, err := plan.Resolve(c.Since, "", plan.Calendar{Zone: time.UTC, Week: time.Monday}, time.Now())
	var wrong *plan.Error
	if errors.As(err, &wrong) {
		err = errors.New("--since: " + wrong.Text())
	}
	return r.Start, err
}

// checkFlags rejects flags that do not go together.
func (c *auditCommand) checkFlags() error {
	switch {
	case c.Verify && c.Head:
		return errors.New("--verify and --head do two different things; give one of them")
	case c.Since != "" && (c.Verify || c.Head):
		return errors.New("--since does not go with --verify or --head, which are about all entries")
	case len(c.Against) > 0 && !c.Verify:
		return errors.New("--against needs --verify")
	}
	for _, hash := range c.Against {
		if len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
			return fmt.Errorf("--against %q: give the hash that audit --head has printed, 64 characters from 0-9 and a-f", hash)
		}
	}
	return nil
}

// verified is a line of --verify.
type verified struct {
	ledger.Head
	Whole  bool          `json:"whole"`
	Broken *ledger.Break `json:"broken,omitempty"`
}

// verify checks the chains of all accounts and prints a line for each.
func (c *auditCommand) verify(ctx context.Context, l *ledger.Ledger, out printableJSON) error {
	kept := map[string]bool{}
	for _, hash := range c.Against {
		kept[hash] = true
	}
	heads, err := l.AuditHeads(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, head := range heads {
		broken, err := l.VerifyAudit(ctx, head, func(e ledger.Entry) { delete(kept, e.Hash) })
		if err != nil {
			return err
		}
		if err := out.print(verified{head, broken == nil, broken}); err != nil {
			return err
		}
		if broken != nil {
			failed = append(failed, brokenChain(head.Account, *broken))
		}
	}
	switch e, err := l.Unchained(ctx); {
	case err != nil:
		return err
	case e != nil:
		failed = append(failed, brokenChain(e.Account, ledger.Break{
			Number: e.Number, ID: e.ID, At: e.At,
			Differs: "It is in no chain: another program wrote it, or the record of its chain was changed.",
		}))
	}
	for _, hash := range slices.Sorted(maps.Keys(kept)) {
		failed = append(failed, fmt.Errorf("no entry of an unbroken chain has the hash %s, which was kept: "+
			"entries were cut off or replaced since then", hash))
	}
	return errors.Join(failed...)
}

// brokenChain returns the error for the first break of an account's chain.
func brokenChain(account string, b ledger.Break) error {
	at := ""
	if b.ID != "" {
		at = fmt.Sprintf(" (%s, %s)", b.ID, b.At.Format(time.RFC3339Nano))
	}
	return fmt.Errorf("the audit log of account %q is broken at entry %d%s. %s", account, b.Number, at, b.Differs)
}

// printEach prints each value on a line.
func printEach[T any](out printableJSON, values []T) error {
	for _, v := range values {
		if err := out.print(v); err != nil {
			return err
		}
	}
	return nil
}

// printableJSON writes JSON to a terminal or a file.
type printableJSON struct{ w io.Writer }

// print prints v as one line of JSON. Characters that are invisible, or that control a
// terminal or the direction of text, are escaped, so that the line shows what it has.
func (p printableJSON) print(v any) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	var text strings.Builder
	for _, r := range strings.TrimSuffix(line.String(), "\n") {
		switch {
		case local.IsVisible(r):
			text.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&text, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&text, `\u%04x`, r)
		}
	}
	text.WriteByte('\n')
	_, err := io.WriteString(p.w, text.String())
	return err
}
