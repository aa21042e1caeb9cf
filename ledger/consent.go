package ledger

import "context"

// Confirm adds an entry of the event Confirmed to the audit log, unless the account has one for
// the same token. used is then true, and nothing may be done because of the token. The log has
// the hash of the token only. Of calls at the same time, also of several processes, one adds
// the entry.
func (l *Ledger) Confirm(ctx context.Context, e Entry, token string) (used bool, err error) {
	e.as, e.Event = NewID("audit"), Confirmed
	e.once = string(Confirmed) + " " + keyHash(token)
	if err := l.Write(ctx, func(t *Tx) error { return t.Note(e) }); err != nil {
		return false, err
	}
	var kept string
	err = l.read.QueryRowContext(ctx, "SELECT id FROM audit WHERE account = $1 AND once = $2", e.Account, e.once).
		Scan(&kept)
	return kept != e.as, l.wrap(err)
}
