package ledger

import (
	"context"
	"fmt"
	"time"
)

// Break is the first place at which the chain of an account is broken.
type Break struct {
	Number  int64     `json:"number,omitempty"` // of the entry; 0: it is in no chain
	ID      string    `json:"id,omitempty"`     // of the entry; "": it is missing, and no entry follows
	At      time.Time `json:"at,omitzero"`
	Differs string    `json:"differs"` // what is wrong, a sentence
}

// VerifyAudit checks the entries of an account up to head, and calls each with them in
// order. It returns nil if the chain is whole, and otherwise where it is broken; each is
// not called after that. It reads auditPage entries at a time.
//
// A chain cannot show that its newest entries were removed together with their record
// in audit_chains, or that every hash was computed anew. A head that was kept elsewhere
// shows that: each gets its hash if it is still there.
func (l *Ledger) VerifyAudit(ctx context.Context, head Head, each func(Entry)) (*Break, error) {
	var c chain
	for c.number < head.Entries {
		rows, err := l.read.QueryContext(ctx, "SELECT "+auditColumns+` FROM audit
			WHERE account = $1 AND number > $2 AND number <= $3 ORDER BY number LIMIT $4`,
			head.Account, c.number, head.Entries, auditPage)
		entries, err := all(rows, err, scanEntry)
		if err != nil {
			return nil, l.wrap(err)
		}
		if len(entries) == 0 {
			return &Break{Number: c.number + 1, Differs: fmt.Sprintf(
				"The chain has %d entries, and those from %d on are missing.", head.Entries, c.number+1)}, nil
		}
		for _, e := range entries {
			if differs := c.differs(e); differs != "" {
				return &Break{e.Number, e.ID, e.At, differs}, nil
			}
			c = chain{e.Number, e.Hash}
			each(e)
		}
	}
	if c.hash != head.Hash {
		return &Break{Number: c.number, Differs: "The hash of the newest entry is not the one that the ledger keeps for " +
			"its chain: entries were replaced."}, nil
	}
	return nil, nil
}

// differs returns what is wrong with an entry that should be the one after c, a
// sentence; "" if nothing is.
func (c chain) differs(e Entry) string {
	expected, _ := c.next(e)
	switch {
	case e.Number != expected.Number:
		return fmt.Sprintf("Entry %d is missing: this is the next one that is there.", expected.Number)
	case e.Previous != expected.Previous:
		return "It follows an entry with another hash: the entry before it was replaced."
	case e.Hash != expected.Hash:
		return "Its content is not what its hash was computed from: the entry was changed."
	}
	return ""
}

// Unchained returns the first entry of the audit log that is in no chain: one that
// another program wrote, or that is beyond the newest one of its account. It returns nil
// if there is none.
func (l *Ledger) Unchained(ctx context.Context) (*Entry, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+auditColumns+` FROM audit a
		WHERE number IS NULL OR number < 1 OR NOT EXISTS
			(SELECT 1 FROM audit_chains c WHERE c.account = a.account AND c.number >= a.number)
		ORDER BY at, id LIMIT 1`)
	entries, err := all(rows, err, scanEntry)
	if err != nil || len(entries) == 0 {
		return nil, l.wrap(err)
	}
	return &entries[0], nil
}
