package ledger

import (
	"cmp"
	"fmt"
)

// Quota bounds what an account has open at the same time: exports that have not ended, and
// their chunks that are not finished.
type Quota struct {
	Exports int // bulk exports and single ones
	Chunks  int
	// A caller that has at most Own of Exports and of Chunks open, as a fraction, is
	// admitted although others have used them up.
	Own float64
}

// Opened is what is open.
type Opened struct {
	Bulks   int // exports that are running or paused
	Singles int // single exports that are under way
	Chunks  int
}

// Exports returns the number of all exports.
func (o Opened) Exports() int { return o.Bulks + o.Singles }

func (o *Opened) add(n Opened) {
	o.Bulks += n.Bulks
	o.Singles += n.Singles
	o.Chunks += n.Chunks
}

// QuotaError says that an export would exceed the quota of its account.
type QuotaError struct {
	Quota Quota
	Open  Opened // of the account, with the export that was rejected but without its chunks
	More  int    // chunks of that export
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("%d exports with %d chunks would be open, of %d and %d at most",
		e.Open.Exports(), e.Open.Chunks+e.More, e.Quota.Exports, e.Quota.Chunks)
}

// Admit returns a *QuotaError if the account of b has more open than its quota, with b,
// which the transaction has added or reopened, and with that many chunks that follow.
// Other transactions of the account with Admit wait until this one ends, so two processes
// cannot pass the bound together.
func (t *Tx) Admit(b Bulk, chunks int, q Quota) error {
	if t.lock != "" { // on SQLite only one transaction writes
		const wait = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
		if _, err := t.tx.ExecContext(t.ctx, wait, "quota "+b.Account); err != nil {
			return err
		}
	}
	open, own, err := t.opened(b, openedAtMost)
	more := Opened{Chunks: chunks}
	if b.Single { // it has no chunk yet, by which it would be counted
		more.Singles = 1
	}
	if err == nil && open.Chunks+more.Chunks > q.Chunks {
		open, own, err = t.opened(b, openedNow)
	}
	if err != nil {
		return err
	}
	open.add(more)
	own.add(more)
	if q.exceeded(open, own) {
		open.Chunks -= chunks
		return &QuotaError{Quota: q, Open: open, More: chunks}
	}
	return nil
}

// exceeded reports whether an account has too much open, of which a caller has own.
func (q Quota) exceeded(open, own Opened) bool {
	beyond := func(open, own, most int) bool { return open > most && float64(own) > q.Own*float64(most) }
	return beyond(open.Exports(), own.Exports(), q.Exports) || beyond(open.Chunks, own.Chunks, q.Chunks)
}

// How the chunks of a bulk export b are counted, as SQL.
const (
	// openedAtMost is a bound that costs one look at an index.
	openedAtMost = "(SELECT max(a.number) + 1 FROM attempts a WHERE a.bulk = b.id)"
	openedNow    = "(SELECT count(*) FROM attempts a WHERE a.bulk = b.id AND a.state IN " + unfinished + ")"
)

// opened returns what the account of b has open, and what of that the caller of b has.
func (t *Tx) opened(b Bulk, chunks string) (account, own Opened, err error) {
	caller := cmp.Or(b.AskedBy, t.caller, Local)
	rows, err := t.tx.QueryContext(t.ctx, `SELECT b.asked_by, b.single, count(*),
			sum(CASE WHEN b.single = 1 THEN 1 ELSE coalesce(`+chunks+`, 0) END)
		FROM bulks b WHERE b.account = $1 AND b.state IN ('running', 'paused') AND (b.single = 0 OR EXISTS
			(SELECT 1 FROM attempts a WHERE a.bulk = b.id AND a.number = 0 AND a.state IN `+unfinished+`))
		GROUP BY b.asked_by, b.single`, b.Account)
	_, err = all(rows, err, func(row scanner) (o Opened, err error) {
		var by string
		var single, n int
		if err = row.Scan(&by, &single, &n, &o.Chunks); err != nil {
			return o, err
		}
		if o.Bulks = n; single == 1 {
			o.Bulks, o.Singles = 0, n
		}
		account.add(o)
		if by == caller {
			own.add(o)
		}
		return o, nil
	})
	return account, own, err
}
