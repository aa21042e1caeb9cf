package client

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestInteractiveGoesFirst lets bulk work drain the bucket: an interactive request
// waits for the next token at most, and bulk work waits for everyone before it.
func TestInteractiveGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for l.wait(ctx, true) == nil {
				}
			})
		}
		time.Sleep(10 * time.Second)
		for range 20 {
			began := time.Now()
			if err := l.wait(ctx, false); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > 100*time.Millisecond {
				t.Errorf("an interactive request waited %v behind bulk work at %.0f requests per second", waited, l.bucket().Pace)
			}
			time.Sleep(500 * time.Millisecond)
		}
		stop()
		all.Wait()
	})
}

// sendUntil sends interactive requests through the limiters in turn until end, and
// returns how many it sent.
func sendUntil(t *testing.T, end time.Time, limiters ...*limiter) (sent int) {
	t.Helper()
	for time.Now().Before(end) {
		for _, l := range limiters {
			if err := l.wait(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			sent++
		}
	}
	return sent
}

// TestSharedBucket lets two limiters share a bucket: together they send as much as
// one may send, and a 429 to one stops the other.
func TestSharedBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var kept Bucket
		broken := false
		share := func(_ context.Context, change func(time.Time, *Bucket)) error {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return errors.New("the database is down")
			}
			change(time.Now(), &kept)
			return nil
		}
		a, b := &limiter{}, &limiter{}
		a.setShared(share)
		b.setShared(share)
		sent := sendUntil(t, time.Now().Add(2*time.Second), a, b)
		if sent < 28 || sent > 36 {
			t.Errorf("two processes sent %d requests in two seconds, want the 20 of the burst and 5 and 6", sent)
		}
		a.throttled(t.Context(), 3*time.Second)
		began := time.Now()
		if err := b.wait(t.Context(), true); err != nil || time.Since(began) < 3*time.Second {
			t.Errorf("the other process waited %v, %v; want 3s", time.Since(began), err)
		}
		broken = true
		for range 5 {
			if err := b.wait(t.Context(), false); err != nil {
				t.Errorf("without the shared bucket: %v", err)
			}
		}
	})
}

// TestCancelledCallKeepsTheSharedBucket cancels a call while it changes the shared
// bucket. The shared bucket works, so the next call must use it.
func TestCancelledCallKeepsTheSharedBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := 0
		l := &limiter{}
		l.setShared(func(ctx context.Context, change func(time.Time, *Bucket)) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
			changed++
			change(time.Now(), &Bucket{})
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := l.wait(ctx, false); !errors.Is(err, context.Canceled) {
			t.Fatalf("the cancelled call: %v", err)
		}
		if err := l.wait(t.Context(), false); err != nil || changed != 1 {
			t.Errorf("the next call changed the shared bucket %d times (%v), want once", changed, err)
		}
		l.throttled(ctx, time.Second)
		if changed != 2 {
			t.Errorf("a 429 of a cancelled call reached the shared bucket %d times, want once", changed-1)
		}
	})
}

// TestRetryAfterOfADay answers several requests with 429 and a Retry-After that is
// too long for a rate limit: the account is slowed down, but not paused.
func TestRetryAfterOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{}
		for range 3 {
			before := l.bucket().Pace
			l.throttled(t.Context(), 24*time.Hour)
			if pace := l.bucket().Pace; before > 0 && pace >= before+paceGrow*10 {
				t.Errorf("the pace is %v, was %v ten seconds ago, and was not halved", pace, before)
			}
			time.Sleep(10 * time.Second)
		}
		began := time.Now()
		if err := l.wait(t.Context(), false); err != nil || time.Since(began) > time.Second {
			t.Errorf("the next request went after %v (%v), want at once", time.Since(began), err)
		}
		l.throttled(t.Context(), time.Minute)
		if err := l.wait(t.Context(), false); err != nil || time.Since(began) < time.Minute {
			t.Errorf("after a Retry-After of a minute the next request went after %v (%v)", time.Since(began), err)
		}
	})
}

// TestBucketSurvivesClocks sets the clock back and forth by a day.
func TestBucketSurvivesClocks(t *testing.T) {
	var b Bucket
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	b.throttled(now.Add(24*time.Hour), time.Hour)
	if wait, taken := b.take(now, request{maxWait: time.Minute}); wait > time.Second || !taken {
		t.Errorf("after the clock was set back a request waits %v (taken: %v)", wait, taken)
	}
	if wait, taken := b.take(now.Add(48*time.Hour), request{bulk: true}); wait != 0 || !taken {
		t.Errorf("after the clock was set forward a request waits %v (taken: %v)", wait, taken)
	}
}
