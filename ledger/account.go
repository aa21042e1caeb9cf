package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"
)

// Account returns the account that an API key belongs to, as Remember recorded it;
// "" if the key is unknown. The ledger has a hash of the key, never the key itself.
func (l *Ledger) Account(ctx context.Context, key string) (string, error) {
	var account string
	err := l.read.QueryRowContext(ctx, "SELECT account FROM keys WHERE hash = $1", keyHash(key)).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return account, l.wrap(err)
}

// Remember records that an API key belongs to an account.
func (l *Ledger) Remember(ctx context.Context, key, account string) error {
	_, err := l.write.ExecContext(ctx, `INSERT INTO keys (hash, account) VALUES ($1, $2)
		ON CONFLICT (hash) DO UPDATE SET account = excluded.account`, keyHash(key), account)
	return l.wrap(err)
}

// keyHash returns the hash of an API key. The constant before the key makes the
// hash useless for anything else that hashes keys.
func keyHash(key string) string {
	sum := sha256.Sum256([]byte("fullstory-export-mcp key\x00" + key))
	return hex.EncodeToString(sum[:])
}

// ChangeSharedBucket replaces the rate bucket of an account, which all processes
// share, by what change returns, in one transaction. change gets the time by a
// clock that all processes share, and the present bucket, "" at first.
func (l *Ledger) ChangeSharedBucket(
	ctx context.Context, account string, change func(now time.Time, bucket string) string,
) error {
	return l.Write(ctx, func(t *Tx) error {
		now, err := t.now()
		if err != nil {
			return err
		}
		var bucket string
		err = t.tx.QueryRowContext(t.ctx, "SELECT bucket FROM accounts WHERE id = $1"+t.lock, account).Scan(&bucket)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = t.tx.ExecContext(t.ctx, `INSERT INTO accounts (id, bucket) VALUES ($1, $2)
			ON CONFLICT (id) DO UPDATE SET bucket = excluded.bucket`, account, change(now, bucket))
		return err
	})
}

// SharedBucket returns the rate bucket of an account as ChangeSharedBucket last
// changed it; "" if there is none.
func (l *Ledger) SharedBucket(ctx context.Context, account string) (bucket string, err error) {
	err = l.read.QueryRowContext(l.uninterrupted(ctx), "SELECT bucket FROM accounts WHERE id = $1", account).Scan(&bucket)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return bucket, l.wrap(err)
}

// now returns the time by the one clock that all processes of the ledger share: that
// of the server on PostgreSQL, that of this machine on SQLite.
func (t *Tx) now() (time.Time, error) {
	if t.lock == "" {
		return time.Now(), nil
	}
	return clock(t.ctx, t.tx)
}

// now is as that of Tx.
func (l *Ledger) now(ctx context.Context) (time.Time, error) {
	if l.lock == "" {
		return time.Now(), nil
	}
	return clock(ctx, l.read)
}

// clock reads the clock of PostgreSQL. clock_timestamp, unlike now(), advances
// within a transaction, which may have waited for a row.
func clock(ctx context.Context, of interface {
	QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row
}) (now time.Time, err error) {
	err = of.QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&now)
	return now, err
}

// ConcurrencyLimit returns the concurrency limit of an account as
// SaveConcurrencyLimit saved it; "" if none was saved.
func (l *Ledger) ConcurrencyLimit(ctx context.Context, account string) (string, error) {
	var limit string
	err := l.read.QueryRowContext(ctx, "SELECT concurrency_limit FROM accounts WHERE id = $1", account).Scan(&limit)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return limit, l.wrap(err)
}

// SaveConcurrencyLimit saves the concurrency limit of an account, in the form of
// package client.
func (l *Ledger) SaveConcurrencyLimit(ctx context.Context, account, limit string) error {
	_, err := l.write.ExecContext(ctx, `INSERT INTO accounts (id, concurrency_limit) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET concurrency_limit = excluded.concurrency_limit`, account, limit)
	return l.wrap(err)
}

// Secret returns the secret of a name, which all processes of the ledger share. The
// first call in any process sets its value, from new.
func (l *Ledger) Secret(ctx context.Context, name string, new func() string) (string, error) {
	_, err := l.write.ExecContext(ctx, `INSERT INTO secrets (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO NOTHING`, name, new())
	if err != nil {
		return "", l.wrap(err)
	}
	var value string
	err = l.write.QueryRowContext(ctx, "SELECT value FROM secrets WHERE name = $1", name).Scan(&value)
	return value, l.wrap(err)
}

// SetSecret sets the secret of a name; "" removes it.
func (t *Tx) SetSecret(name, value string) error {
	if value == "" {
		_, err := t.tx.ExecContext(t.ctx, "DELETE FROM secrets WHERE name = $1", name)
		return err
	}
	_, err := t.tx.ExecContext(t.ctx, `INSERT INTO secrets (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}
