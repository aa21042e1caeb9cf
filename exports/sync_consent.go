package exports

import (
	"context"
	"fmt"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// mayAdd fails if a sync has a blocker, if there is no place for its files, or if it would add
// many windows at once and the user has not agreed. It returns how the user agreed. recorded
// are the windows it has.
func (a *Account) mayAdd(ctx context.Context, p plannedSync, recorded []ledger.SyncWindow) (how string, err error) {
	if err := blocked(p.warnings); err != nil {
		return "", err
	}
	if err := a.Archive.Writable(); err != nil {
		return "", err
	}
	n, err := p.windows(recorded)
	if err != nil {
		return "", err
	}
	c := p.confirmation(n, a.budget().Chunks)
	if p.in.Confirmed {
		return a.agreed(ctx, c, byTerminal)
	}
	return a.consent(ctx, c, p.in.Confirm, p.in.Consent)
}

// budget returns how large a call may be without the user's consent.
func (a *Account) budget() preflight.Budget {
	if a.Budget == nil {
		return preflight.UsualBudget()
	}
	return *a.Budget
}

// confirmation returns what the user has to agree to before p is carried out, which adds n
// windows at once, if that is more than most.
func (p plannedSync) confirmation(n, most int) confirmation {
	s := p.sync
	c := confirmation{
		at: p.at, nothing: "Nothing was changed.", dryRun: true,
		terminal: "Add `confirm` to start it, or take a longer `chunk` or a later `from`.",
		of: []any{"sync", p.in.Action, p.in.Name, p.export.Request, s.Anchor.Format(time.RFC3339), s.Chunk, s.Every, s.At,
			s.Lag, s.CatchUp, s.Parquet, s.Table, n},
		question: fmt.Sprintf("Keep the sync %s up to date? %s would be exported at once, and from then on %s.",
			p.in.Name, Counted(n, "window"), p.inWords()),
		about: ledger.Entry{Request: s.Request},
	}
	if n > most {
		c.large = fmt.Sprintf("%d windows are over already and would be exported at once.", n)
	}
	return c
}

// dryRun says what a request would do, with a token for confirm if that is much.
func (p plannedSync) dryRun(ctx context.Context, a *Account, recorded []ledger.SyncWindow) (SyncResult, error) {
	out := SyncResult{Warnings: p.warnings}
	if blockers := preflight.Blockers(p.warnings); len(blockers) > 0 {
		out.Summary, out.Next = DryRun("", p.export, p.warnings)
		return out, nil
	}
	n, err := p.windows(recorded)
	if err != nil {
		return out, err
	}
	out.Summary = sentences(fmt.Sprintf("Nothing was changed. %s would be exported at once, and from then on %s.",
		Counted(n, "window"), p.inWords()), preflight.FiltersOver(p.export.Request))
	out.Next = "Call again without `dry_run` to do it."
	if c := p.confirmation(n, a.budget().Chunks); c.large != "" {
		out.Confirm, out.Next, err = a.offer(ctx, c, p.in.Consent)
	}
	return out, err
}
