package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

const (
	// leaseLife is how long a lease lasts after its last renewal, by the clock of the
	// database. That is how long an account waits after its leaseholder hangs.
	leaseLife = 10 * time.Second
	// candidatePause is the time after which a process tries again to get a lease that it
	// has released, or whose lock another process has. It leaves others a chance.
	candidatePause = time.Second
)

// ErrNotLeader says that this process does not hold the account's lease.
var ErrNotLeader = errors.New("another process holds the lease of this account")

// Lease is the right of one process to work for an account: to create exports,
// to watch them and to fetch their files. On SQLite it is the lock of a file,
// which the operating system releases when the process ends. On PostgreSQL it is a
// row that its holder renews, see member. It is safe for concurrent use.
type Lease struct {
	account   string
	holder    string                    // on PostgreSQL: the name of this process
	file      *flock.Flock              // on SQLite: the locked file
	expiresAt atomic.Pointer[time.Time] // on the monotonic clock of this process; nil: never
	lost      context.Context           // ends when the lease is lost, released, or due to another process
	lose      context.CancelFunc        // ends lost
}

func newLease(account string) *Lease {
	lease := &Lease{account: account}
	lease.lost, lease.lose = context.WithCancel(context.Background())
	return lease
}

// ExpiresAt returns when the lease ends unless this package renews it. ok is false
// if it lasts as long as the process.
func (a *Lease) ExpiresAt() (t time.Time, ok bool) {
	if at := a.expiresAt.Load(); at != nil {
		return *at, true
	}
	return time.Time{}, false
}

// Lead makes this process a candidate for the lease of an account until ctx ends. It
// blocks, calls work with each lease that it gets, one at a time, and releases the
// lease when work returns. The context of work ends with ctx, or with the cause
// ErrNotLeader when the lease is lost or is due to another process; work must
// return soon after. The account need not be in the ledger.
func (l *Ledger) Lead(ctx context.Context, account string, work func(ctx context.Context, lease *Lease)) {
	account = cleanText(account, maxKey)
	l.lead(ctx, account, func(lease *Lease) {
		working, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		stop := context.AfterFunc(lease.lost, func() { cancel(ErrNotLeader) })
		defer stop()
		work(working, lease)
	})
}

// LeadError returns the error that keeps this process from getting the lease of an
// account at present, such as that of a database that does not answer. It returns
// nil if another process holds the lease, and if Lead was not called.
func (l *Ledger) LeadError(account string) error {
	if err, _ := l.leadErrors.Load(account); err != nil {
		return err.(error)
	}
	if l.member != nil {
		return l.member.connectionError()
	}
	return nil
}

// Led reports whether a process works for an account. After one that died it may be true
// for leaseLife on PostgreSQL.
func (l *Ledger) Led(ctx context.Context, account string) (bool, error) {
	account = cleanText(account, maxKey)
	if l.member != nil {
		var valid bool
		err := l.read.QueryRowContext(ctx,
			"SELECT expires_at > "+postgresNow+" FROM leases WHERE account = $1", account).Scan(&valid)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		return valid, err
	}
	if _, err := os.Stat(l.leaseFile(account)); err != nil {
		return false, nil // no process ever did
	}
	file := flock.New(l.leaseFile(account))
	free, err := file.TryRLock()
	return !free, errors.Join(err, file.Unlock())
}

// leaseFile returns the file beside a SQLite ledger whose lock is the lease of an account.
func (l *Ledger) leaseFile(account string) string {
	return fmt.Sprintf("%s.worker-%016x", l.place, hashed(account))
}

// leadByFile is Lead on SQLite: the lease is the lock of a file beside the ledger. The
// file stays when the lock is released, because removing it would race with a
// process that is about to lock it.
func (l *Ledger) leadByFile(ctx context.Context, account string, work func(*Lease)) {
	defer l.leadErrors.Delete(account)
	file := flock.New(l.leaseFile(account))
	try := func() (bool, error) {
		if err := createPrivate(file.Path()); err != nil { // nor does it wait for a named pipe
			return false, err
		}
		return file.TryLock()
	}
	for {
		switch ok, err := try(); {
		case err != nil:
			l.leadErrors.Store(account, l.wrapOpen(err))
		case ok:
			l.leadErrors.Delete(account)
			lease := newLease(account)
			lease.file = file
			work(lease)
			lease.lose()
			file.Unlock()
		default:
			l.leadErrors.Delete(account)
		}
		if !pause(ctx, candidatePause) {
			return
		}
	}
}

// pause waits for d. It returns false at once if ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// hashed returns a number for the name of a lock. It must not change: processes of
// different versions share the locks.
func hashed(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

// Holds returns ErrNotLeader if the lease has been lost. Otherwise no other process
// gets it before the end of the transaction: on PostgreSQL, Holds locks its row.
func (t *Tx) Holds(a *Lease) error {
	if a.file != nil {
		if a.lost.Err() != nil {
			return ErrNotLeader
		}
		return nil
	}
	var holder string
	err := t.tx.QueryRowContext(t.ctx, "SELECT holder FROM leases WHERE account = $1"+t.lock, a.account).Scan(&holder)
	if errors.Is(err, sql.ErrNoRows) || err == nil && holder != a.holder {
		return ErrNotLeader
	}
	return err
}
