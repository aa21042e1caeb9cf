package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/gofrs/flock"
)

const (
	// leaseLife is how long another process waits after the last sign of life of
	// the one that leads, by the clock of the database.
	leaseLife = 10 * time.Second
	// leaseRenewal is between two signs of life.
	leaseRenewal = 2 * time.Second
)

// ErrLed says that another process works for the account.
var ErrLed = errors.New("another process works for this account")

// Lead is the right to work for an account, which one process has at a time:
// to create exports, to watch them and to fetch their files. On SQLite it is
// the lock of a file, which ends with the process. In PostgreSQL it is a lease,
// with an advisory lock of the holder's connection beside it: a process that
// dies lets go of that at once, and one that is held up for longer than the
// lease lasts has lost it, too. Connections therefore have to last as long as
// the process, as they do without a pooler or with one that pools sessions.
type Lead struct {
	ledger  *Ledger
	account string
	file    *flock.Flock // SQLite; nil: a lease
	alive   *sql.Conn    // of a lease: holds the advisory lock
	until   time.Time    // of a lease, on the monotonic clock of this process
}

// Lead takes the right to work for an account, or fails with ErrLed. The
// account need not be known.
func (l *Ledger) Lead(ctx context.Context, account string) (*Lead, error) {
	return l.leader(ctx, account)
}

func (l *Ledger) lockFile(_ context.Context, account string) (*Lead, error) {
	file := flock.New(fmt.Sprintf("%s.worker-%016x", l.place, hashed(account)))
	switch ok, err := file.TryLock(); {
	case err != nil:
		return nil, l.unusable(err)
	case !ok:
		return nil, ErrLed
	}
	return &Lead{ledger: l, account: account, file: file}, nil
}

func hashed(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

func (l *Ledger) leaseRow(ctx context.Context, account string) (*Lead, error) {
	if err := l.buryDead(ctx, account); err != nil {
		return nil, l.failed(err)
	}
	lead := &Lead{ledger: l, account: account}
	if err := lead.Renew(ctx); err != nil {
		lead.letGo()
		return nil, err
	}
	return lead, nil
}

// buryDead ends the lease of a holder whose connection is gone.
func (l *Ledger) buryDead(ctx context.Context, account string) error {
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var holder string
	var gone bool
	err = tx.QueryRowContext(ctx, "SELECT holder FROM leaders WHERE account = $1", account).Scan(&holder)
	if errors.Is(err, sql.ErrNoRows) || holder == l.holder {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(hashed(holder))).Scan(&gone); err != nil || !gone {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM leaders WHERE account = $1 AND holder = $2", account, holder); err != nil {
		return err
	}
	return tx.Commit()
}

// Renew gives a sign of life. It has to be called every Renewal; it fails with
// ErrLed when another process has taken over.
func (a *Lead) Renew(ctx context.Context) error {
	if a.file != nil {
		return nil
	}
	asked := time.Now()
	err := a.renew(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrLed
	}
	if err != nil {
		a.letGo() // the connection may be broken
		return a.ledger.failed(err)
	}
	a.until = asked.Add(leaseLife)
	return nil
}

func (a *Lead) renew(ctx context.Context) (err error) {
	if a.alive == nil {
		if a.alive, err = a.ledger.write.Conn(ctx); err != nil {
			return err
		}
		if _, err := a.alive.ExecContext(ctx, "SELECT pg_advisory_lock_shared($1)", int64(hashed(a.ledger.holder))); err != nil {
			return err
		}
	}
	const now = "(extract(epoch FROM clock_timestamp())*1000000)::bigint"
	var until int64
	return a.alive.QueryRowContext(ctx, `INSERT INTO leaders (account, holder, until_at) VALUES ($1, $2, `+now+` + $3)
		ON CONFLICT (account) DO UPDATE SET holder = excluded.holder, until_at = excluded.until_at
		WHERE leaders.holder = excluded.holder OR leaders.until_at < `+now+` RETURNING until_at`,
		a.account, a.ledger.holder, leaseLife.Microseconds()).Scan(&until)
}

// letGo ends the connection that says that this process lives.
func (a *Lead) letGo() {
	if a.alive != nil {
		a.alive.Raw(func(any) error { return driver.ErrBadConn }) // not back into the pool: its lock would stay
		a.alive.Close()
		a.alive = nil
	}
}

// Renewal is how often Renew has to be called.
func (a *Lead) Renewal() time.Duration { return leaseRenewal }

// Until returns when the right ends unless it is renewed. ok is false when it
// does not end by itself.
func (a *Lead) Until() (t time.Time, ok bool) { return a.until, a.file == nil }

// Release gives the right back.
func (a *Lead) Release() error {
	if a.file != nil {
		return a.file.Unlock()
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaseRenewal)
	defer cancel()
	defer a.letGo()
	_, err := a.ledger.write.ExecContext(ctx, "DELETE FROM leaders WHERE account = $1 AND holder = $2", a.account, a.ledger.holder)
	return a.ledger.failed(err)
}

// Holds fails with ErrLed when the right has been lost. Within a transaction it
// keeps others from taking it before the end of that.
func (t *Tx) Holds(a *Lead) error {
	if a.file != nil {
		return nil
	}
	var holder string
	err := t.tx.QueryRowContext(t.ctx, "SELECT holder FROM leaders WHERE account = $1"+t.lock, a.account).Scan(&holder)
	if errors.Is(err, sql.ErrNoRows) || err == nil && holder != a.ledger.holder {
		return ErrLed
	}
	return err
}
