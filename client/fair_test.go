package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// callerKey is the key of the name of a caller in a context.
type callerKey struct{}

func as(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

func fairLimiter() *limiter {
	return &limiter{callerOf: func(ctx context.Context) string {
		name, _ := ctx.Value(callerKey{}).(string)
		return name
	}}
}

// traffic sends requests through limiters, and counts those that were sent by name.
type traffic struct {
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
	mu   sync.Mutex
	sent map[string]int
}

func newTraffic(t *testing.T) *traffic {
	ctx, stop := context.WithCancel(t.Context())
	return &traffic{ctx: ctx, stop: stop, sent: map[string]int{}}
}

// add sends requests of a caller in threads, each after the one before and a pause.
func (f *traffic) add(l *limiter, name string, threads int, bulk bool, pause time.Duration) {
	for range threads {
		f.all.Go(func() {
			for l.wait(as(f.ctx, name), bulk) == nil {
				f.mu.Lock()
				f.sent[name]++
				f.mu.Unlock()
				time.Sleep(pause)
			}
		})
	}
}

// measure waits until the pace is steady, and returns the requests sent in the minute
// after it.
func (f *traffic) measure() map[string]int {
	time.Sleep(2 * time.Minute)
	f.mu.Lock()
	clear(f.sent)
	f.mu.Unlock()
	time.Sleep(time.Minute)
	f.stop()
	f.all.Wait()
	return f.sent
}

// shared returns a bucket for several limiters, kept as JSON as the ledger keeps it.
func shared(t *testing.T) SharedBucket {
	var mu sync.Mutex
	kept := "{}"
	return func(_ context.Context, change func(time.Time, *Bucket)) error {
		mu.Lock()
		defer mu.Unlock()
		var b Bucket
		if err := json.Unmarshal([]byte(kept), &b); err != nil {
			t.Error(err)
		}
		change(time.Now(), &b)
		raw, err := json.Marshal(b)
		kept = string(raw)
		return err
	}
}

// TestBulkKeepsItsShare has people in two processes send as fast as they can, and bulk
// work with one loop in a third: it gets its share of the rate, and they get the rest.
func TestBulkKeepsItsShare(t *testing.T) {
	for _, loops := range []int{1, 6} {
		synctest.Test(t, func(t *testing.T) {
			bucket, f := shared(t), newTraffic(t)
			for process := range 3 {
				l := fairLimiter()
				l.setShared(bucket)
				if process == 2 {
					f.add(l, "bulk", loops, true, 20*time.Millisecond)
					continue
				}
				f.add(l, "people", 40, false, 0)
			}
			sent := f.measure()
			total := sent["bulk"] + sent["people"]
			if sent["bulk"]*100 < 28*total || total < 2900 || total > 3100 {
				t.Errorf("%d loops: in a minute at 50 requests a second: %v; bulk work gets 30 %%", loops, sent)
			}
		})
	}
}

// TestPeopleHaveWhatBulkWorkLeaves has bulk work send little, and then nothing.
func TestPeopleHaveWhatBulkWorkLeaves(t *testing.T) {
	for _, pause := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l, f := fairLimiter(), newTraffic(t)
			f.add(l, "people", 40, false, 0)
			go f.add(l, "bulk", 1, true, pause)
			time.Sleep(time.Second)
			go func() {
				time.Sleep(4 * time.Minute)
				f.stop()
			}()
			time.Sleep(3 * time.Minute)
			f.mu.Lock()
			people, bulk := f.sent["people"], f.sent["bulk"]
			f.mu.Unlock()
			time.Sleep(time.Minute)
			f.mu.Lock()
			people, bulk = f.sent["people"]-people, f.sent["bulk"]-bulk
			f.mu.Unlock()
			f.stop()
			f.all.Wait()
			if want := 60; pause == time.Second && bulk < want-5 || people+bulk < 2900 {
				t.Errorf("pause %v: people sent %d in a minute, bulk work %d", pause, people, bulk)
			}
		})
	}
}

// TestCallersShareFairly has a greedy caller send with forty threads, and nine others
// one request after another.
func TestCallersShareFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := fairLimiter(), newTraffic(t)
		f.add(l, "greedy", 40, false, 0)
		for i := range 9 {
			f.add(l, fmt.Sprint(i), 1, false, 0)
		}
		sent := f.measure()
		for i := range 9 {
			if n := sent[fmt.Sprint(i)]; n < 290 {
				t.Errorf("caller %d sent %d requests in a minute, want a tenth of 3,000: %v", i, n, sent)
			}
		}
	})
}

// TestBulkWorkOfManyCallers has one caller send as fast as it can beside the bulk work of
// nine others: it gets a tenth of the rate.
func TestBulkWorkOfManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := fairLimiter(), newTraffic(t)
		l.bulkFor.Store(9)
		f.add(l, "greedy", 40, false, 0)
		f.add(l, "bulk", 6, true, 20*time.Millisecond)
		if sent := f.measure(); sent["bulk"] < 2600 || sent["greedy"] < 250 {
			t.Errorf("in a minute at 50 requests a second: %v", sent)
		}
	})
}

// TestAloneHasAll has one caller send alone: nothing is left over for others.
func TestAloneHasAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := fairLimiter(), newTraffic(t)
		f.add(l, "anna", 10, false, 0)
		if sent := f.measure(); sent["anna"] < 2950 {
			t.Errorf("a caller alone sent %v requests in a minute at 50 a second", sent)
		}
	})
}

// TestCrowdIsReported reports that people slow bulk work down while they do, and only
// then.
func TestCrowdIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fairLimiter()
		crowded := func() bool {
			_, yes := l.bucket().Crowded(time.Now())
			return yes
		}
		bulk := newTraffic(t)
		bulk.add(l, "bulk", 4, true, 0)
		time.Sleep(time.Minute)
		if crowded() {
			t.Error("bulk work alone is reported as slowed by people")
		}
		people := newTraffic(t)
		people.add(l, "people", 40, false, 0)
		time.Sleep(20 * time.Second)
		if !crowded() {
			t.Errorf("people take the whole rate, and it is not reported: %+v", l.bucket())
		}
		people.stop()
		people.all.Wait()
		time.Sleep(5 * time.Second)
		if crowded() {
			t.Error("people have stopped, and bulk work is still reported as slowed")
		}
		bulk.stop()
		bulk.all.Wait()
	})
}

// TestQueueEnds has requests give up while they wait: their turns pass on, and those
// that a pause makes hopeless fail at once.
func TestQueueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fairLimiter()
		l.throttled(t.Context(), 0) // no burst
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 30)
		for i := range 30 {
			go func() { ended <- l.wait(as(ctx, fmt.Sprint(i%3)), false) }()
		}
		time.Sleep(time.Millisecond)
		cancel()
		for range 30 {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("a request that was given up ended with %v", err)
			}
		}
		if err := l.wait(as(t.Context(), "0"), false); err != nil {
			t.Fatalf("after them: %v", err)
		}
		short, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		go l.wait(as(t.Context(), "long"), false)
		synctest.Wait()
		began := time.Now()
		go func() { ended <- l.wait(as(short, "1"), false) }()
		synctest.Wait()
		l.throttled(t.Context(), 50*time.Second)
		var paused *pausedError
		if err := <-ended; !errors.As(err, &paused) || time.Since(began) > time.Second {
			t.Errorf("a pause beyond the deadline of a request that waits: %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
	})
}
