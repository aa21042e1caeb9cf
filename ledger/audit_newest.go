package ledger

import (
	"context"
	"math"
)

// NewestAudit returns at most limit entries of the audit log of an account, the newest first: those
// with a number below before, which is 0 for all, and of one caller unless that is "". Entries
// that are in no chain are left out.
func (l *Ledger) NewestAudit(ctx context.Context, account, caller string, before int64, limit int) ([]Entry, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	rows, err := l.read.QueryContext(ctx, "SELECT "+auditColumns+` FROM audit
		WHERE account = $1 AND number < $2 AND ($3 = '' OR caller = $3) ORDER BY number DESC LIMIT $4`,
		account, before, caller, limit)
	entries, err := all(rows, err, scanEntry)
	return entries, l.wrap(err)
}
