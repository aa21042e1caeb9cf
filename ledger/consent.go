package ledger

import (
	"context"
	"database/sql"
	"errors"
)

// Answer adds an entry of the event Confirmed or Declined to the audit log, which is the answer to
// a question that a token names, unless the account has an answer to it. used is then true, and
// nothing may be done because of the token. The log has the hash of the token only. Of calls at
// the same time, also of several processes, one adds its entry.
func (l *Ledger) Answer(ctx context.Context, e Entry, token string) (used bool, err error) {
	e.as, e.once = NewID("audit"), "answer "+keyHash(token)
	if err := l.Write(ctx, func(t *Tx) error { return t.Note(e) }); err != nil {
		return false, err
	}
	var kept string
	err = l.read.QueryRowContext(ctx, "SELECT id FROM audit WHERE account = $1 AND once = $2", e.Account, e.once).
		Scan(&kept)
	if errors.Is(err, sql.ErrNoRows) { // the caller has declined more often than entries are kept
		return false, nil
	}
	return kept != e.as, l.wrap(err)
}
