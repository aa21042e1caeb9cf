package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// mostEntries is how many entries of a caller an account keeps a day (UTC), besides
// those that are always kept. Further ones are counted, and one entry says how many.
const mostEntries = 1000

// alwaysKept reports whether an entry is kept however many its caller makes: those
// about operations that Fullstory has accepted, and their files, and those by which a
// token is known to be used.
func (e Entry) alwaysKept() bool {
	outcomes := []Event{Event(OperationCompleted), Event(OperationFailed), Event(OperationCancelled), Event(OperationLost)}
	switch e.Event {
	case Created, Unclear, Stored, Confirmed:
		return true
	}
	return e.Operation != "" && slices.Contains(outcomes, e.Event)
}

// addLimited adds an entry as addEntry does, unless its caller has too many of that day.
// It first adds one that says how many were left out on an earlier day.
func (t *Tx) addLimited(c chain, e Entry) (chain, error) {
	if e.alwaysKept() {
		return t.addEntry(c, e)
	}
	if repeated, err := t.repeated(e); err != nil || repeated {
		return c, err
	}
	u, err := t.usageOf(e.Account, e.Caller)
	if err != nil {
		return c, err
	}
	if today := dayOf(e.At); u.day < today {
		if u.leftOut > 0 {
			if c, err = t.addEntry(c, u.entry(e.At)); err != nil {
				return c, err
			}
		}
		u.day, u.entries, u.leftOut = today, 0, 0
	}
	if u.entries < mostEntries {
		u.entries++
		c, err = t.addEntry(c, e)
	} else {
		u.leftOut++
	}
	if err != nil {
		return c, err
	}
	return c, t.saveUsage(u)
}

// repeated reports whether the audit log has an entry with the once key of e.
func (t *Tx) repeated(e Entry) (bool, error) {
	if e.once == "" {
		return false, nil
	}
	var found int
	err := t.tx.QueryRowContext(t.ctx, "SELECT 1 FROM audit WHERE account = $1 AND once = $2", e.Account, e.once).
		Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// usage is how many entries a caller has made on the day of its last one.
type usage struct {
	account, caller       string
	day, entries, leftOut int64 // day: in days since 1970 UTC
}

func dayOf(t time.Time) int64 { return t.Unix() / int64(24*time.Hour/time.Second) }

// entry returns the entry that says how many were left out.
func (u usage) entry(at time.Time) Entry {
	day := time.Unix(0, 0).UTC().AddDate(0, 0, int(u.day)).Format(time.DateOnly)
	return Entry{
		At: at, Account: u.account, Caller: u.caller, Event: LeftOut,
		Detail: fmt.Appendf(nil, `{"day":"%s","entries":%d}`, day, u.leftOut),
	}
}

func scanUsage(row scanner) (u usage, err error) {
	err = row.Scan(&u.account, &u.caller, &u.day, &u.entries, &u.leftOut)
	return u, err
}

const usageColumns = "account, caller, day, entries, left_out"

// usageOf returns the usage of a caller, zero without entries. The lock of the account's
// chain keeps other transactions from changing it.
func (t *Tx) usageOf(account, caller string) (usage, error) {
	u, err := scanUsage(t.tx.QueryRowContext(t.ctx,
		"SELECT "+usageColumns+" FROM audit_callers WHERE account = $1 AND caller = $2", account, caller))
	if errors.Is(err, sql.ErrNoRows) {
		return usage{account: account, caller: caller}, nil
	}
	return u, err
}

func (t *Tx) saveUsage(u usage) error {
	_, err := t.tx.ExecContext(t.ctx, "INSERT INTO audit_callers ("+usageColumns+`) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (account, caller) DO UPDATE
		SET day = excluded.day, entries = excluded.entries, left_out = excluded.left_out`,
		u.account, u.caller, u.day, u.entries, u.leftOut)
	return err
}

// leftOut calls each with an entry for each caller of whom entries were left out since
// an instant, and whose next entry on a later day will record that.
func (l *Ledger) leftOut(ctx context.Context, since time.Time, each func(Entry) error) error {
	rows, err := l.read.QueryContext(ctx, "SELECT "+usageColumns+` FROM audit_callers
		WHERE left_out > 0 AND day >= $1 ORDER BY account, caller`, max(0, dayOf(since)))
	usages, err := all(rows, err, scanUsage)
	if err != nil {
		return l.wrap(err)
	}
	for _, u := range usages {
		if err := each(u.entry(time.Now().UTC())); err != nil {
			return err
		}
	}
	return nil
}
