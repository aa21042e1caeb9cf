package ledger

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresNow is an SQL expression: the clock of the database, in microseconds since
// 1970.
const postgresNow = "(extract(epoch FROM clock_timestamp())*1000000)::bigint"

// view is what a beat reads about all processes.
type view struct {
	snapshot
	renewed map[string]bool // accounts whose leases this beat renewed
	holders map[string]bool // the other processes that have a lease or a row in processes
}

// beat renews the leases of this process, takes free ones that are due to it, and
// hands over those that are due to other processes. name is the name of this
// process on conn. After an error the caller must close the connection.
//
// The order matters: a lease is renewed before the others are looked at, and dead
// processes are removed before the leases are shared out, so that their leases
// count as free.
func (m *member) beat(ctx context.Context, conn *pgx.Conn, name string) error {
	ctx, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	accounts, held := m.accounts()
	if len(accounts)+len(held) == 0 {
		if m.isRegistered() {
			return m.unregister(ctx, conn, name)
		}
		return conn.Ping(ctx)
	}
	began := time.Now()
	v, err := renew(ctx, conn, name, accounts, held)
	if err != nil {
		return err
	}
	m.applyRenewals(v, name, began)
	if err := m.announceAccounts(ctx, conn, accounts); err != nil {
		return err
	}
	if err := v.freeDead(ctx, conn); err != nil {
		return err
	}
	s := v.share(name)
	m.handOver(s.give)
	return m.take(ctx, conn, name, m.available(append(s.take, m.overdue(s.spare)...)))
}

// accounts returns the accounts for whose leases this process is a candidate, and
// those whose leases it has not released yet.
func (m *member) accounts() (ready, held []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]bool{}
	for _, c := range m.candidates {
		if !c.retired {
			all[c.account] = true
		}
		if c.lease != nil {
			held = append(held, c.account)
		}
	}
	return slices.Sorted(maps.Keys(all)), held
}

// renew renews the leases of held accounts, lists the accounts of this process in
// the table of processes, and reads that table and all leases, in one statement. It
// skips a lease whose row a transaction has locked, see Holds: the next beat renews
// that.
func renew(ctx context.Context, conn *pgx.Conn, name string, accounts, held []string) (v view, err error) {
	v = view{
		snapshot: snapshot{map[string]map[string]bool{}, map[string]string{}},
		renewed:  map[string]bool{}, holders: map[string]bool{},
	}
	list, err := json.Marshal(accounts)
	if err != nil {
		return v, err
	}
	rows, err := conn.Query(ctx, `WITH seen AS (
			INSERT INTO processes (id, seen_at, accounts) VALUES ($1, `+postgresNow+`, $2)
			ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, accounts = excluded.accounts
		), held AS (
			SELECT account FROM leases WHERE holder = $1 AND account = ANY($3::text[]) FOR UPDATE SKIP LOCKED
		), renewed AS (
			UPDATE leases SET expires_at = `+postgresNow+` + $4 FROM held
			WHERE leases.account = held.account RETURNING leases.account
		)
		SELECT 'renewed', account, '', true FROM renewed
		UNION ALL SELECT 'lease', account, holder, expires_at > `+postgresNow+` FROM leases
		UNION ALL SELECT 'process', id, accounts, seen_at + $4 > `+postgresNow+` FROM processes`,
		name, string(list), held, leaseLife.Microseconds())
	if err != nil {
		return v, err
	}
	var kind, id, text string
	var valid bool
	_, err = pgx.ForEachRow(rows, []any{&kind, &id, &text, &valid}, func() error {
		switch {
		case kind == "renewed":
			v.renewed[id] = true
		case kind == "lease":
			v.holders[text] = true
			if valid {
				v.leases[id] = text
			}
		case kind == "process":
			v.holders[id] = true
			if valid {
				v.candidates[id] = accountSet(text)
			}
		}
		return nil
	})
	delete(v.holders, name)
	v.candidates[name] = accountSet(string(list)) // the statement does not see its own row
	return v, err
}

// accountSet returns the accounts in a row of processes.
func accountSet(list string) map[string]bool {
	var accounts []string
	if json.Unmarshal([]byte(list), &accounts) != nil {
		accounts = nil // no lease is due to a process whose row cannot be read
	}
	set := map[string]bool{}
	for _, account := range accounts {
		set[account] = true
	}
	return set
}

// applyRenewals extends the leases that were renewed and ends those that are lost. A
// lease lasts from began, when the statement was sent: the clock of the database
// read it later, so for this process the lease ends before it does for others.
func (m *member) applyRenewals(v view, name string, began time.Time) {
	expiresAt := began.Add(leaseLife)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.candidates {
		if c.lease == nil || c.lease.lost.Err() != nil {
			continue
		}
		ends, _ := c.lease.ExpiresAt()
		switch {
		case v.renewed[c.account] && c.lease.holder == name:
			c.lease.expiresAt.Store(&expiresAt)
		case v.leases[c.account] != name, !ends.After(time.Now()):
			c.lease.lose()
		}
	}
}

// isRegistered reports whether this process has a row in the table of processes.
func (m *member) isRegistered() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.registered != nil
}

// announceAccounts makes the beats of other processes due if the accounts of this one
// have changed.
func (m *member) announceAccounts(ctx context.Context, conn *pgx.Conn, accounts []string) error {
	m.mu.Lock()
	same := m.registered != nil && slices.Equal(m.registered, accounts)
	m.registered = append([]string{}, accounts...)
	m.mu.Unlock()
	if same {
		return nil
	}
	_, err := conn.Exec(ctx, "SELECT pg_notify($1, $2)", announcements, leaseTopic)
	return err
}

// unregister removes this process from the table of processes, so that no lease is due
// to it.
func (m *member) unregister(ctx context.Context, conn *pgx.Conn, name string) error {
	m.mu.Lock()
	m.registered = nil
	m.mu.Unlock()
	_, err := conn.Exec(ctx, `WITH gone AS (DELETE FROM processes WHERE id = $1 RETURNING id)
		SELECT pg_notify($2, $3) FROM gone`, name, announcements, leaseTopic)
	return err
}

// freeDead frees the leases of dead processes, whose advisory locks are gone. It
// leaves a lease whose row a transaction has locked to the next beat.
func (v view) freeDead(ctx context.Context, conn *pgx.Conn) error {
	if len(v.holders) == 0 {
		return nil
	}
	names := slices.Collect(maps.Keys(v.holders))
	keys := make([]int64, len(names))
	for i, name := range names {
		keys[i] = int64(hashed(name))
	}
	rows, err := conn.Query(ctx, `SELECT name FROM unnest($1::text[], $2::bigint[]) AS holders (name, key)
		WHERE pg_try_advisory_xact_lock(key)`, names, keys)
	if err != nil {
		return err
	}
	dead, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(dead) == 0 {
		return err
	}
	rows, err = conn.Query(ctx, `WITH gone AS (
			DELETE FROM processes WHERE id = ANY($1)
		), free AS (
			SELECT account FROM leases WHERE holder = ANY($1) FOR UPDATE SKIP LOCKED
		)
		DELETE FROM leases USING free WHERE leases.account = free.account RETURNING leases.account`, dead)
	if err != nil {
		return err
	}
	free, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range dead {
		delete(v.candidates, name)
	}
	for _, account := range free {
		delete(v.leases, account)
	}
	return err
}

// overdue returns those of the free accounts due to other processes that have been
// free for longer than patience.
func (m *member) overdue(spare []string) (overdue []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	since := map[string]time.Time{}
	for _, account := range spare {
		since[account] = now
		if earlier, ok := m.freeSince[account]; ok {
			since[account] = earlier
		}
		if now.Sub(since[account]) > patience {
			overdue = append(overdue, account)
		}
	}
	m.freeSince = since
	return overdue
}

// handOver ends the leases of accounts that are due to other processes. Lead
// releases each when its work has returned.
func (m *member) handOver(accounts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.candidates {
		if c.lease != nil && slices.Contains(accounts, c.account) {
			c.lease.lose()
		}
	}
}

// available returns those of the accounts for whose lease a call of Lead waits.
func (m *member) available(accounts []string) (available []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, account := range accounts {
		if m.waiting(account) != nil {
			available = append(available, account)
		}
	}
	return available
}

// waiting returns a candidate that can be granted the lease of the account; nil if
// there is none. The caller holds m.mu.
func (m *member) waiting(account string) (found *candidate) {
	for _, c := range m.candidates {
		if c.account != account {
			continue
		}
		if c.lease != nil {
			return nil // it is held here, or being released
		}
		if !c.retired && found == nil {
			found = c
		}
	}
	return found
}

// take takes the leases of free accounts, and grants them to waiting candidates.
// Another process may be faster: only the leases that the statement returns are
// this process's.
func (m *member) take(ctx context.Context, conn *pgx.Conn, name string, accounts []string) error {
	if len(accounts) == 0 {
		return nil
	}
	began := time.Now()
	rows, err := conn.Query(ctx, `WITH expired AS (
			SELECT account FROM leases WHERE account = ANY($1) AND expires_at < `+postgresNow+` FOR UPDATE SKIP LOCKED
		), taken AS (
			UPDATE leases SET holder = $2, expires_at = `+postgresNow+` + $3 FROM expired
			WHERE leases.account = expired.account RETURNING leases.account
		), made AS (
			INSERT INTO leases (account, holder, expires_at)
			SELECT account, $2, `+postgresNow+` + $3 FROM unnest($1::text[]) AS free (account) ORDER BY account
			ON CONFLICT (account) DO NOTHING RETURNING account
		)
		SELECT account FROM taken UNION ALL SELECT account FROM made`, accounts, name, leaseLife.Microseconds())
	if err != nil {
		return err
	}
	taken, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	expiresAt := began.Add(leaseLife)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, account := range taken {
		lease := newLease(account)
		lease.holder = name
		lease.expiresAt.Store(&expiresAt)
		if c := m.waiting(account); c != nil {
			c.lease = lease
			c.granted <- lease
		} else {
			go m.release(lease) // its candidate has retired
		}
	}
	return nil
}
