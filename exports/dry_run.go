package exports

import (
	"context"
	"errors"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// WouldReuse returns the identical export that Create would use, if there is one. A
// zero Created means that Create would create one, or would fail.
func (a *Account) WouldReuse(ctx context.Context, e preflight.Export, nowGiven, forceNew bool) (Created, error) {
	if forceNew || len(preflight.Blockers(e.Warnings)) > 0 {
		return Created{}, nil
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return Created{}, err
	}
	existing, err := engine.Reusable(ctx, singleOf(e, nowGiven))
	if errors.Is(err, ledger.ErrNotFound) {
		return Created{}, nil
	}
	return existing, err
}

// dryRun describes what a start of b would do, with a token for confirm if it is large.
func (b plannedBulk) dryRun(ctx context.Context, a *Account) (BulkStarted, error) {
	out := b.out
	before, err := a.startedAs(ctx, out.Name)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return b.dryStart(ctx, a)
	case err != nil:
		return out, err
	case before.Fingerprint != b.fingerprint():
		return out.rejected(taken(before))
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return out, err
	}
	out.BulkID, out.Reused = before.ID, true
	err = out.startedBefore(ctx, engine, before)
	out.Summary = "Nothing was started, and nothing would be. " + out.Summary + preflight.FiltersOver(b.export.Request)
	if b.in.parquet() && before.State != ledger.BulkCancelled {
		out.Summary += " Without `dry_run`, Parquet files are made of its stored files."
	}
	return out, err
}

// dryStart is dryRun for a name that no bulk export has.
func (b plannedBulk) dryStart(ctx context.Context, a *Account) (BulkStarted, error) {
	out := b.out
	out.Warnings = b.export.Asked(out.Warnings)
	out.Summary, out.Next = DryRun(b.what, b.export, out.Warnings)
	if len(preflight.Blockers(out.Warnings)) > 0 {
		return out, nil
	}
	if err := a.folderFree(ctx, out.Name); err != nil {
		return out.rejected(err)
	}
	if out.Estimate == nil {
		out.Summary = sentences(out.Summary, "Its size is not known.")
	}
	out.Summary = sentences(out.Summary, b.in.parquetToCome())
	c := b.confirmation()
	if c.large == "" {
		return out, nil
	}
	var err error
	out.Confirm, out.Next, err = a.offer(ctx, c, b.in.Consent)
	return out, err
}

// rejected describes a start that would fail with err, if that is about its name. It
// returns any other error.
func (o BulkStarted) rejected(err error) (BulkStarted, error) {
	x := Explain(err)
	if len(x.Wrong) == 0 {
		return o, err
	}
	o.Summary = "Nothing was started. This would be rejected: " + x.Wrong[0].Text
	o.Next = "Call again with another `name`."
	return o, nil
}
