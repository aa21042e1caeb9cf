package client

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Exchange changes a bucket that is kept elsewhere, so that nobody else changes
// it meanwhile. now is the clock of all who share it.
type Exchange func(ctx context.Context, change func(now time.Time, b *Bucket)) error

const (
	// exchangeTime is how long a shared bucket is waited for.
	exchangeTime = time.Second
	// aloneTime is for how long this process goes by its own copy of a shared
	// bucket after that was not to be had.
	aloneTime = 10 * time.Second
)

// Limiter is the pace of one account's requests, for all its callers in this
// process and, if Share was called, for those of other processes. Requests of a
// person go ahead of bulk work. It is safe for concurrent use.
type Limiter struct {
	mu    sync.Mutex
	share Exchange // nil: the bucket is of this process alone
	own   Bucket   // the bucket, or the last seen of a shared one
	alone time.Time
}

// NewLimiter returns a limiter at its starting pace.
func NewLimiter() *Limiter { return &Limiter{} }

// Share makes the limiter use a bucket that others use as well. While that
// fails, it goes by what it last saw of it.
func (l *Limiter) Share(e Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share = e
}

// Paused says that the API asked to wait for longer than the caller can.
type Paused struct{ For time.Duration }

func (p *Paused) Error() string { return fmt.Sprintf("paused for %s", p.For.Round(time.Second)) }

// Wait blocks until a request may be sent. It fails at once when the context
// would end before that, with a *Paused if the API asked for the wait, and when
// the context ends.
func (l *Limiter) Wait(ctx context.Context, bulk bool) error {
	for {
		patience := time.Duration(1<<63 - 1)
		if end, ok := ctx.Deadline(); ok {
			patience = time.Until(end)
		}
		var wait time.Duration
		var taken, paused bool
		l.change(ctx, func(now time.Time, b *Bucket) {
			wait, taken = b.take(now, bulk, patience)
			paused = b.Paused.After(now)
		})
		if err := ctx.Err(); err != nil {
			return err
		}
		if wait > 0 && wait >= patience {
			if paused {
				return &Paused{For: wait}
			}
			return context.DeadlineExceeded
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if taken {
			return nil
		}
	}
}

// Slow takes in a 429 that asks to wait for after; 0 means it does not say.
func (l *Limiter) Slow(ctx context.Context, after time.Duration) {
	l.change(ctx, func(now time.Time, b *Bucket) { b.slow(now, after) })
}

// Bucket returns the bucket as it was last seen.
func (l *Limiter) Bucket() Bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own
}

// change changes the shared bucket, or that of this process.
func (l *Limiter) change(ctx context.Context, change func(time.Time, *Bucket)) {
	l.mu.Lock()
	share := l.share
	if time.Since(l.alone) < aloneTime {
		share = nil
	}
	if share == nil {
		defer l.mu.Unlock()
		change(time.Now(), &l.own)
		return
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	var seen Bucket
	err := share(ctx, func(now time.Time, b *Bucket) {
		change(now, b)
		seen = *b
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.alone = time.Now()
		change(time.Now(), &l.own)
		return
	}
	l.own = seen
}
