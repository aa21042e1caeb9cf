package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The pace of requests. Fullstory publishes no limits; it answers 429 when one
// is passed.
const (
	paceStart = 5   // requests a second
	paceBurst = 20  // requests at once after a rest
	paceMost  = 50  // requests a second
	paceLeast = 0.5 // requests a second
	paceGrow  = 1   // requests a second more, each second without a 429
)

// pauseLimit bounds what a Retry-After can ask for.
const pauseLimit = time.Hour

// Limiter is the pace of one account's requests, shared by all its callers and
// safe for concurrent use. It is a token bucket that learns: it starts at 5
// requests a second with a burst of 20, gains one request a second each second
// up to 50, and is halved by a 429, at most once a second. A Retry-After
// pauses all callers.
type Limiter struct {
	bucket *rate.Limiter

	mu     sync.Mutex
	pace   float64
	grown  time.Time // when pace was last changed
	halved time.Time
	paused time.Time // until when
}

// NewLimiter returns a limiter at its starting pace.
func NewLimiter() *Limiter {
	return &Limiter{bucket: rate.NewLimiter(paceStart, paceBurst), pace: paceStart, grown: time.Now()}
}

// Paused says that the API asked to wait for longer than the caller can.
type Paused struct{ For time.Duration }

func (p *Paused) Error() string { return fmt.Sprintf("paused for %s", p.For.Round(time.Second)) }

// Wait blocks until a request may be sent. It fails at once when the context
// would end before that, with a *Paused if the API asked for the wait, and when
// the context ends.
func (l *Limiter) Wait(ctx context.Context) error {
	for {
		pause := l.pause(time.Now())
		if pause <= 0 {
			return l.bucket.Wait(ctx)
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) <= pause {
			return &Paused{For: pause}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// pause lets the pace grow and returns how long nothing may be sent.
func (l *Limiter) pause(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seconds := now.Sub(l.grown).Seconds(); seconds >= 1 {
		l.set(now, min(paceMost, l.pace+paceGrow*seconds))
	}
	return l.paused.Sub(now)
}

// Slow takes in a 429 that asks to wait for after; 0 means it does not say.
func (l *Limiter) Slow(after time.Duration) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := now.Add(min(after, pauseLimit)); until.After(l.paused) {
		l.paused = until
	}
	if now.Sub(l.halved) < time.Second {
		return
	}
	l.halved = now
	l.set(now, max(paceLeast, l.pace/2))
	// What was saved up for a burst was a wrong guess.
	if saved := int(l.bucket.TokensAt(now)); saved > 0 {
		l.bucket.AllowN(now, saved)
	}
}

// Pace returns the requests a second allowed at present.
func (l *Limiter) Pace() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace
}

func (l *Limiter) set(now time.Time, pace float64) {
	l.pace, l.grown = pace, now
	l.bucket.SetLimitAt(now, rate.Limit(pace))
}
