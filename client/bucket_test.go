package client

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestPersonGoesFirst lets bulk work drain the bucket: a person waits for the
// next token at the most, bulk work for all who came before it.
func TestPersonGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for l.Wait(ctx, true) == nil {
				}
			})
		}
		time.Sleep(10 * time.Second)
		for range 20 {
			began := time.Now()
			if err := l.Wait(ctx, false); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > 100*time.Millisecond {
				t.Errorf("a person waited %v behind bulk work at %.0f requests a second", waited, l.Bucket().Pace)
			}
			time.Sleep(500 * time.Millisecond)
		}
		stop()
		all.Wait()
	})
}

// TestSharedBucket lets two limiters share a bucket: together they send what
// one may, and a 429 of one stops the other.
func TestSharedBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var kept Bucket
		broken := false
		share := func(_ context.Context, change func(time.Time, *Bucket)) error {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return errors.New("not to be had")
			}
			change(time.Now(), &kept)
			return nil
		}
		a, b := NewLimiter(), NewLimiter()
		a.Share(share)
		b.Share(share)
		began, sent := time.Now(), 0
		for time.Since(began) < 2*time.Second {
			for _, l := range []*Limiter{a, b} {
				if err := l.Wait(t.Context(), false); err != nil {
					t.Fatal(err)
				}
				sent++
			}
		}
		if sent < 28 || sent > 36 {
			t.Errorf("two processes sent %d requests in two seconds, want the 20 of the burst and 5 and 6", sent)
		}
		a.Slow(t.Context(), 3*time.Second)
		began = time.Now()
		if err := b.Wait(t.Context(), true); err != nil || time.Since(began) < 3*time.Second {
			t.Errorf("the other process waited %v, %v; want 3s", time.Since(began), err)
		}
		broken = true
		for range 5 {
			if err := b.Wait(t.Context(), false); err != nil {
				t.Errorf("without the shared bucket: %v", err)
			}
		}
	})
}

// TestBucketSurvivesClocks sets the clock back and forth by a day.
func TestBucketSurvivesClocks(t *testing.T) {
	var b Bucket
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	b.slow(now.Add(24*time.Hour), time.Hour)
	if wait, taken := b.take(now, false, time.Minute); wait > time.Second || !taken {
		t.Errorf("after the clock was set back a request waits %v (taken: %v)", wait, taken)
	}
	if wait, taken := b.take(now.Add(48*time.Hour), true, 0); wait != 0 || !taken {
		t.Errorf("after the clock was set on a request waits %v (taken: %v)", wait, taken)
	}
}
