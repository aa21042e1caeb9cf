package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// SharedBucket applies change to a bucket that several processes share. It is
// atomic across those processes, and now is from a clock that they share. If it
// fails, change must not take effect.
type SharedBucket func(ctx context.Context, change func(now time.Time, b *Bucket)) error

const (
	// sharedTimeout bounds one change of a shared bucket, so that a slow database
	// does not stop all requests.
	sharedTimeout = time.Second
	// fallbackTime is how long this process uses its own copy of the bucket after
	// a change of the shared one failed.
	fallbackTime = 10 * time.Second
)

// limiter limits the rate of one account's requests, over all callers in this
// process and, if setShared was called, in other processes. Interactive requests go
// ahead of bulk work, which keeps its share, and callers have equal shares of the rest.
// It is safe for concurrent use. The zero value is ready to use.
type limiter struct {
	queue    queue                        // of interactive requests
	callerOf func(context.Context) string // names the caller of a request; nil: all are of one
	bulkFor  atomic.Int64                 // named callers whose bulk work this process does

	mu           sync.Mutex
	share        SharedBucket // nil: this process does not share its bucket
	own          Bucket       // the bucket, or the last seen state of the shared one
	sharedFailed time.Time    // when a change of the shared bucket last failed
}

// sleep waits for d, or fails when ctx ends. Without a wait it makes no timer.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// setShared makes the limiter use a bucket that it shares with other processes. While
// the shared bucket fails, the limiter uses the last state that it saw of it.
func (l *limiter) setShared(b SharedBucket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share = b
}

// pausedError reports that the API asked for a pause that is longer than the caller
// can wait.
type pausedError struct{ wait time.Duration }

func (p *pausedError) Error() string { return fmt.Sprintf("paused for %s", p.wait.Round(time.Second)) }

// wait blocks until a request may be sent. bulk marks bulk work. It fails when ctx
// ends, and at once if ctx would end before the request's turn: with a
// *pausedError if the API asked for the pause, else with
// context.DeadlineExceeded.
func (l *limiter) wait(ctx context.Context, bulk bool) error {
	if !bulk {
		leave, err := l.enter(ctx)
		if err != nil {
			return err
		}
		defer leave()
	}
	for {
		maxWait := maxWaitOf(ctx)
		if maxWait <= 0 { // even if the timer of ctx has not run yet: see try
			return context.DeadlineExceeded
		}
		var wait time.Duration
		var taken, paused bool
		callers := int(l.bulkFor.Load())
		if !bulk {
			callers = l.queue.callers() // not under l.mu, which the queue takes under its own
		}
		l.change(ctx, func(now time.Time, b *Bucket) {
			wait, taken = b.take(now, request{bulk, callers, maxWait})
			paused = b.Paused.After(now)
		})
		if err := ctx.Err(); err != nil {
			return err
		}
		if wait > 0 && wait >= maxWait {
			if paused {
				return &pausedError{wait: wait}
			}
			return context.DeadlineExceeded
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		if taken {
			return nil
		}
	}
}

// enter waits until it is the turn of the caller of ctx, which lasts until leave is called.
func (l *limiter) enter(ctx context.Context) (leave func(), err error) {
	caller := ""
	if l.callerOf != nil {
		caller = l.callerOf(ctx)
	}
	return l.queue.enter(ctx, caller, func(ahead int) error { return l.bucket().fits(ahead, maxWaitOf(ctx)) })
}

// maxWaitOf returns how long a request with ctx can wait.
func maxWaitOf(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return time.Until(end)
	}
	return 1<<63 - 1
}

// fits returns the error of an interactive request that waits behind others and cannot
// have its turn within maxWait; nil if it can.
func (b Bucket) fits(ahead int, maxWait time.Duration) error {
	if pause := time.Until(b.Paused); pause > 0 && pause >= maxWait {
		return &pausedError{wait: pause}
	}
	seconds := maxWait.Seconds()
	most := max(0, b.Tokens) + min(paceMost*seconds, b.Pace*seconds+paceGrow*seconds*seconds/2)
	if b.Pace > 0 && float64(ahead) >= most {
		return context.DeadlineExceeded
	}
	return nil
}

// throttled adapts the limiter to a 429 whose Retry-After is after, or 0 without
// one. It does so even if ctx has ended, because the 429 concerns all callers.
func (l *limiter) throttled(ctx context.Context, after time.Duration) {
	l.change(context.WithoutCancel(ctx), func(now time.Time, b *Bucket) { b.throttled(now, after) })
	l.queue.recheck()
}

// bucket returns the bucket as it was last seen.
func (l *limiter) bucket() Bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own
}

// change applies change to the shared bucket, or to the copy of this process if
// there is no shared one or it fails. If ctx ends first, it changes neither and does
// not count that as a failure of the shared bucket. l.mu is not held while the
// shared bucket is changed, which may take up to sharedTimeout.
func (l *limiter) change(ctx context.Context, change func(time.Time, *Bucket)) {
	l.mu.Lock()
	share := l.share
	if time.Since(l.sharedFailed) < fallbackTime {
		share = nil
	}
	if share == nil {
		defer l.mu.Unlock()
		change(time.Now(), &l.own)
		return
	}
	l.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	var seen Bucket
	err := share(bounded, func(now time.Time, b *Bucket) {
		change(now, b)
		seen = *b
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return
	}
	if err != nil {
		l.sharedFailed = time.Now()
		change(time.Now(), &l.own)
		return
	}
	l.own = seen
}
