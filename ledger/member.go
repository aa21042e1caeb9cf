package ledger

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// beatPause is the time between two beats. One beat renews all leases of a process.
	beatPause = 2 * time.Second
	// beatTime bounds one beat. A process that cannot renew its leases gives them up
	// after beatPause + beatTime at the latest, before they expire after leaseLife.
	beatTime = 4 * time.Second
	// beatGap is the least time between two beats, however much changes.
	beatGap = 250 * time.Millisecond
	// quietPause is the time between two pings of a connection that only listens.
	quietPause = 15 * time.Second
	// patience is how long a free lease is left to the process to which it is due
	// before another candidate takes it.
	patience = 5 * time.Second
	// slowestReconnect is the longest pause between two tries to connect.
	slowestReconnect = 5 * time.Second
)

// member is this process among those that share a PostgreSQL ledger. It has one
// connection while there are calls of Lead or subscriptions of Changes. The
// connection listens for announcements. In each beat it renews all leases of the
// process and takes free ones that are due to it, see share.
//
// The connection holds a shared advisory lock on the name of its process. When the
// process dies, PostgreSQL releases the lock and the leases are free at once; when
// the process hangs, they expire after leaseLife. When the connection breaks, the
// process gives its leases up, because others find the lock gone, and the next
// connection gets another name. The connection must therefore be direct, or through
// a pooler that pools sessions rather than transactions.
type member struct {
	ledger *Ledger
	config *pgx.ConnConfig

	mu         sync.Mutex
	candidates []*candidate
	failed     error                // of the last connection; nil while there is one
	due        bool                 // a beat is due as soon as beatGap allows
	wake       context.CancelFunc   // ends the wait for announcements; nil while there is none
	registered []string             // accounts in this process's row of processes; nil: no row
	freeSince  map[string]time.Time // accounts due to other processes, and since when their leases are free
}

// candidate is one call of Lead.
type candidate struct {
	account string
	granted chan *Lease
	lease   *Lease // held or being released; nil: none
	retired bool   // gets no further lease: Lead is about to return
}

// connectionError returns why there is no connection, so that the process can hold no
// lease; nil if there is one.
func (m *member) connectionError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// lead is Lead on PostgreSQL.
func (m *member) lead(ctx context.Context, account string, work func(*Lease)) {
	c := &candidate{account: account, granted: make(chan *Lease, 1)}
	m.mu.Lock()
	m.candidates = append(m.candidates, c)
	m.beatNow()
	m.mu.Unlock()
	leave := m.ledger.watching.use()
	defer leave()
	stop := context.AfterFunc(ctx, func() { m.retire(c) })
	defer stop()
	for {
		select {
		case <-ctx.Done():
			m.leave(c)
			return
		case lease := <-c.granted:
			work(lease)
			m.release(lease)
			pause(ctx, candidatePause)
			m.mu.Lock()
			c.lease = nil
			m.mu.Unlock()
		}
	}
}

// retire keeps c from getting further leases. The beat that follows tells other
// processes, so that they are ready when c's lease is released.
func (m *member) retire(c *candidate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.retired = true
	m.beatNow()
}

// leave removes c, and releases a lease that was granted to it meanwhile.
func (m *member) leave(c *candidate) {
	m.mu.Lock()
	c.retired = true
	m.candidates = slices.DeleteFunc(m.candidates, func(other *candidate) bool { return other == c })
	m.mu.Unlock()
	select {
	case lease := <-c.granted:
		m.release(lease)
	default:
	}
}

// release releases a lease and announces that. If the database does not answer, the
// lease expires instead.
func (m *member) release(lease *Lease) {
	lease.lose()
	ctx, cancel := context.WithTimeout(context.Background(), beatTime)
	defer cancel()
	m.ledger.write.ExecContext(ctx, `WITH released AS (
			DELETE FROM leases WHERE account = $1 AND holder = $2 RETURNING account
		)
		SELECT pg_notify($3, $4) FROM released`, lease.account, lease.holder, announcements, leaseTopic)
}

// beatNow makes a beat due. The caller holds m.mu.
func (m *member) beatNow() {
	m.due = true
	if m.wake != nil {
		m.wake()
	}
}

// run connects, and reconnects after a failure, until ctx ends. The pauses between
// tries double from beatGap to slowestReconnect, with jitter.
func (m *member) run(ctx context.Context) {
	for tries := 0; ; tries++ {
		began := time.Now()
		err := m.runConnection(ctx)
		m.disconnected(ctx, err)
		if time.Since(began) > slowestReconnect {
			tries = 0
		}
		wait := min(slowestReconnect, beatGap<<min(tries, 5))
		if !pause(ctx, wait/2+rand.N(wait/2)) {
			return
		}
	}
}

// disconnected gives up all leases: without the advisory lock of the connection any
// other process may take them.
func (m *member) disconnected(ctx context.Context, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registered, m.freeSince, m.failed = nil, nil, nil
	if ctx.Err() == nil {
		m.failed = m.ledger.wrap(err)
	}
	for _, c := range m.candidates {
		if c.lease != nil {
			c.lease.lose()
		}
	}
}

// runConnection connects, and beats and listens until the connection breaks or ctx
// ends.
func (m *member) runConnection(ctx context.Context) error {
	starting, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	conn, err := pgx.ConnectConfig(starting, m.config.Copy())
	if err != nil {
		return err
	}
	name := processID()
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTime)
		defer cancel()
		if ctx.Err() != nil && !conn.IsClosed() {
			m.unregister(ending, conn, name)
		}
		conn.Close(ending)
	}()
	if _, err := conn.Exec(starting, "SELECT pg_advisory_lock_shared($1)", int64(hashed(name))); err != nil {
		return err
	}
	if _, err := conn.Exec(starting, "LISTEN "+announcements); err != nil {
		return err
	}
	m.mu.Lock()
	m.failed, m.due, m.freeSince = nil, true, map[string]time.Time{}
	m.mu.Unlock()
	m.ledger.signals.sendAll() // announcements since the last connection were lost
	for last := (time.Time{}); ; {
		if m.isDue(last) {
			last = time.Now()
			if err := m.beat(ctx, conn, name); err != nil {
				return err
			}
		}
		if err := m.listen(ctx, conn, last); err != nil {
			return err
		}
	}
}

// isDue reports whether the next beat is due, and if so resets due.
func (m *member) isDue(last time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().Before(m.next(last)) {
		return false
	}
	m.due = false
	return true
}

// next returns when the next beat is due. The caller holds m.mu.
func (m *member) next(last time.Time) time.Time {
	switch {
	case m.due:
		return last.Add(beatGap)
	case len(m.candidates) > 0:
		return last.Add(beatPause)
	}
	return last.Add(quietPause)
}

// listen waits for one announcement, or until the next beat is due. It returns an error
// if the connection is broken or ctx ends.
func (m *member) listen(ctx context.Context, conn *pgx.Conn, last time.Time) error {
	m.mu.Lock()
	waiting, cancel := context.WithDeadline(ctx, m.next(last))
	m.wake = cancel
	m.mu.Unlock()
	defer cancel()
	announced, err := conn.WaitForNotification(waiting)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wake = nil
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && conn.IsClosed():
		return err
	case err != nil: // the next beat is due
	case announced.Payload == leaseTopic:
		m.due = true
	default:
		m.ledger.signals.send(announced.Payload)
	}
	return nil
}
