package exports

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"fullstory-export-mcp/ledger"
)

// ControlRequest is a caller's request to change a bulk export.
type ControlRequest struct {
	BulkID  string `json:"bulk_id" jsonschema:"minLength=1,maxLength=200" jsonschema_description:"Id or name."`
	Action  Action `json:"action" jsonschema:"enum=pause,enum=resume,enum=cancel,enum=retry_failed" jsonschema_description:"cancel also cancels at Fullstory and cannot be undone; stored files stay. retry_failed also exports again what is missing on disk."`
	Confirm string `json:"confirm,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Token for cancel."`

	Typed     bool    `json:"-"` // the user of a terminal named the export, so only a large one needs consent
	Confirmed bool    `json:"-"` // no token is needed: the user of a terminal has agreed
	OnPage    bool    `json:"-"` // likewise: the person has agreed on the web page
	Consent   Consent `json:"-"`
}

// ControlBulk carries out an action on a bulk export, and returns its state afterwards. A
// cancellation that ends work needs the user's consent, and fails without it.
func (a *Account) ControlBulk(ctx context.Context, in ControlRequest) (BulkSummary, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return BulkSummary{}, err
	}
	if in.Action == Cancel {
		if err := a.mayCancel(ctx, engine, in); err != nil {
			return BulkSummary{}, unknownBulk(in.BulkID, err)
		}
	}
	b, err := engine.Control(ctx, in.BulkID, in.Action)
	if err != nil {
		return BulkSummary{}, unknownBulk(in.BulkID, err)
	}
	s, err := engine.StatusOf(ctx, b)
	if err != nil {
		return BulkSummary{}, err
	}
	return summarize(engine, s), nil
}

// mayCancel fails if the user has not agreed to a cancellation. It returns nil if the
// cancellation changes nothing, or is rejected anyway.
func (a *Account) mayCancel(ctx context.Context, engine *Exports, in ControlRequest) error {
	b, err := engine.o.Ledger.Bulk(ctx, engine.o.Account, in.BulkID)
	if err != nil || !slices.Contains(actions[Cancel].from, b.State) {
		return err
	}
	if b.Sync != "" {
		_, err := engine.o.Ledger.Sync(ctx, b.Account, b.Sync)
		if !errors.Is(err, ledger.ErrNotFound) {
			return err // the sync keeps it, which Control says
		}
	}
	n, err := engine.o.Ledger.Count(ctx, b.ID)
	if err != nil {
		return err
	}
	all, stored := n.All(), n.By[ledger.ChunkStored]
	c := confirmation{
		at: a.Clock(), of: []any{"cancel", b.ID}, nothing: "Nothing was cancelled.",
		large: "That cannot be undone.", terminal: "Add `confirm` to cancel it.",
		question: fmt.Sprintf("Cancel the bulk export %s? %d of its %s stored; their files stay. The rest is cancelled, "+
			"also at Fullstory.", b.Name, stored, areOf(all, "chunk")),
		about: ledger.Entry{Bulk: b.ID},
	}
	if in.Typed && all <= a.budget().Chunks {
		c.large = ""
	}
	if at, ok := confirmedAt(in.Consent.token(in.Confirm), a.Clock()); ok {
		c.at = at
	}
	switch {
	case in.OnPage:
		_, err = a.agreed(ctx, c, byPage)
	case in.Confirmed:
		_, err = a.agreed(ctx, c, byTerminal)
	default:
		_, err = a.consent(ctx, c, in.Confirm, in.Consent)
	}
	return err
}

// areOf writes a number of things as a subject with its verb, such as "1 chunk is".
func areOf(n int, thing string) string {
	if n == 1 {
		return Counted(n, thing) + " is"
	}
	return Counted(n, thing) + " are"
}
