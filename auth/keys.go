package auth

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// keysLife is after what time the keys of an issuer are read again. Those read before
	// serve meanwhile.
	keysLife = 15 * time.Minute
	// keysEnd is how long they serve while the issuer cannot be read. Tokens live
	// shorter, so an issuer that is away for longer has none left that is valid.
	keysEnd = 24 * time.Hour
	// readLimit bounds one read of the metadata and the keys.
	readLimit = 10 * time.Second
	// waitLimit bounds how long a token waits for a read that may bring its key.
	waitLimit = 3 * time.Second
	// mostWaiting is how many tokens wait at once: anybody can send some.
	mostWaiting = 256
	// seekPause is the least time between two reads because of a key that is unknown.
	seekPause = 10 * time.Second
	// After failures in a row, the next read waits from firstPause to longestPause.
	firstPause   = time.Second
	longestPause = 5 * time.Minute
)

// keyCache has the keys of an issuer. At most one read of them runs at a time, for all
// tokens and in the background: a token waits only if no known key has signed it. It is
// safe for concurrent use; use newKeyCache.
type keyCache struct {
	read func(context.Context) (keySet, error)
	log  *slog.Logger
	now  func() time.Time

	mu       sync.Mutex
	set      keySet        // that was read last
	at       time.Time     // when; zero: never
	running  chan struct{} // closed when the read that runs ends; nil if none does
	waiting  int           // tokens that wait for it
	failures int           // reads in a row that failed
	next     time.Time     // before it no read begins, because of failures
	sought   time.Time     // when the last read for an unknown key began
	reads    Reads
}

// Reads counts how often the keys of an issuer were read.
type Reads struct{ Succeeded, Failed int }

func newKeyCache(read func(context.Context) (keySet, error), log *slog.Logger) *keyCache {
	return &keyCache{read: read, log: log, now: time.Now}
}

// verify returns the payload of a token that a key of the issuer has signed. It fails
// with ErrIssuerAway, or with errNotSigned if no key has.
func (k *keyCache) verify(ctx context.Context, t signedToken) ([]byte, error) {
	set, at := k.current()
	if payload, ok := set.verify(t); ok {
		return payload, nil
	}
	if running := k.seek(at); running != nil {
		k.await(ctx, running)
		set, _ = k.current()
		if payload, ok := set.verify(t); ok {
			return payload, nil
		}
	}
	if len(set) == 0 || k.doubtful() {
		return nil, ErrIssuerAway
	}
	return nil, errNotSigned
}

// current returns the known keys and when they were read, and begins to read them again
// if they are old.
func (k *keyCache) current() (set keySet, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := k.now().Sub(k.at)
	if age > keysLife {
		k.begin()
	}
	if age > keysEnd {
		return nil, k.at
	}
	return k.set, k.at
}

// seek begins a read for a token that none of the keys of the instant at has signed,
// unless one began less than seekPause ago. It returns the channel that the end of a
// running read closes, or nil if the token need not wait.
func (k *keyCache) seek(at time.Time) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.at.Equal(at) { // a read has ended meanwhile
		k.waiting++
		ended := make(chan struct{})
		close(ended)
		return ended
	}
	if k.running == nil && k.now().Sub(k.sought) >= seekPause {
		k.sought = k.now()
		k.begin()
	}
	if k.running == nil || k.waiting >= mostWaiting {
		return nil
	}
	k.waiting++
	return k.running
}

// await returns when the read has ended, or after waitLimit.
func (k *keyCache) await(ctx context.Context, running <-chan struct{}) {
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	select {
	case <-running:
	case <-limit.C:
	case <-ctx.Done():
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
}

// doubtful reports whether the issuer may have keys that are not known here, because
// the last read failed or has not ended.
func (k *keyCache) doubtful() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failures > 0 || k.running != nil
}

// begin begins a read, unless one runs or the last one failed a short while ago. k.mu
// must be held.
func (k *keyCache) begin() {
	if k.running != nil || k.now().Before(k.next) {
		return
	}
	k.running = make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), readLimit)
		defer cancel()
		set, err := k.recovered(ctx)
		k.end(set, err)
	}()
}

// recovered reads the keys. A panic, which an answer could cause, is an error.
func (k *keyCache) recovered(ctx context.Context) (set keySet, err error) {
	defer func() {
		if v := recover(); v != nil {
			k.log.Error("internal error", "panic", v, "stack", string(debug.Stack()))
			set, err = nil, errors.New("internal error")
		}
	}()
	return k.read(ctx)
}

// end takes the outcome of the read that runs.
func (k *keyCache) end(set keySet, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.running)
	k.running = nil
	if err == nil {
		k.set, k.at = set, k.now()
		k.failures, k.next = 0, time.Time{}
		k.reads.Succeeded++
		return
	}
	k.failures++
	k.reads.Failed++
	pause := min(firstPause<<min(k.failures-1, 16), longestPause)
	k.next = k.now().Add(pause)
	k.log.Warn("the keys of the issuer of tokens cannot be read", "error", err, "failures", k.failures,
		"next_try_in", pause, "keys_known", len(k.set))
}

// counts returns how often the keys were read.
func (k *keyCache) counts() Reads {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reads
}
