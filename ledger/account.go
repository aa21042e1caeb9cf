package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"
)

// Account returns the account that a key is remembered to belong to, or "" when
// it is not known. The key itself is never kept, only its hash.
func (l *Ledger) Account(ctx context.Context, key string) (string, error) {
	var account string
	err := l.read.QueryRowContext(ctx, "SELECT account FROM keys WHERE hash = $1", keyHash(key)).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return account, l.failed(err)
}

// Remember notes that key belongs to account.
func (l *Ledger) Remember(ctx context.Context, key, account string) error {
	_, err := l.write.ExecContext(ctx, `INSERT INTO keys (hash, account) VALUES ($1, $2)
		ON CONFLICT (hash) DO UPDATE SET account = excluded.account`, keyHash(key), account)
	return l.failed(err)
}

func keyHash(key string) string {
	sum := sha256.Sum256([]byte("fullstory-export-mcp key\x00" + key))
	return hex.EncodeToString(sum[:])
}

// ExchangeBucket changes the bucket of an account, which all processes share,
// in one transaction; now is the same clock for all of them.
func (l *Ledger) ExchangeBucket(ctx context.Context, account string, change func(now time.Time, bucket string) string) error {
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

// now is the clock of the database where that is another machine's.
func (t *Tx) now() (time.Time, error) {
	if t.lock == "" {
		return time.Now(), nil
	}
	var now time.Time
	err := t.tx.QueryRowContext(t.ctx, "SELECT clock_timestamp()").Scan(&now)
	return now, err
}

// Window returns what was learnt about exports in flight, as it was saved; ""
// when nothing was.
func (l *Ledger) Window(ctx context.Context, account string) (string, error) {
	var window string
	err := l.read.QueryRowContext(ctx, "SELECT exports_window FROM accounts WHERE id = $1", account).Scan(&window)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return window, l.failed(err)
}

// SaveWindow keeps what was learnt about exports in flight.
func (l *Ledger) SaveWindow(ctx context.Context, account, window string) error {
	_, err := l.write.ExecContext(ctx, `INSERT INTO accounts (id, exports_window) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET exports_window = excluded.exports_window`, account, window)
	return l.failed(err)
}

// Secret returns the secret of that name which all processes of the ledger
// share. The first who asks gives it a value, from new.
func (l *Ledger) Secret(ctx context.Context, name string, new func() string) (string, error) {
	_, err := l.write.ExecContext(ctx, "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, new())
	if err != nil {
		return "", l.failed(err)
	}
	var value string
	err = l.write.QueryRowContext(ctx, "SELECT value FROM secrets WHERE name = $1", name).Scan(&value)
	return value, l.failed(err)
}
