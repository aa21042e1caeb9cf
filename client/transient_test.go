package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// inCall returns a client as the tools have it, whose API answers from a script, and the
// context of a call of 20 s.
func inCall(t *testing.T, script ...answer) (*Client, *recorder, context.Context) {
	fake := &recorder{script: script}
	c := newClient(t, Options{
		BaseURL: "https://api.example.com", Transport: fake, Tries: 10, Budget: 18 * time.Second, Reserve: 2 * time.Second,
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return c, fake, ctx
}

// TestReadInACall has a read retried within a call, as long as its answer can still be
// passed on. The requests are counted, and none is sent in the last two seconds.
func TestReadInACall(t *testing.T) {
	throttled, failed := answer{status: 429, retryAfter: "1"}, answer{status: 503}
	for name, test := range map[string]struct {
		script []answer
		status int // of the error; -1: none
		most   int // requests
	}{
		"five times throttled": {
			[]answer{throttled, throttled, throttled, throttled, throttled, operationOK}, -1, 6,
		},
		"always throttled":                {[]answer{throttled}, 429, 10},
		"always throttled without a time": {[]answer{{status: 429}}, 429, 10},
		"always failing":                  {[]answer{failed}, 503, 10},
		"always reset":                    {[]answer{{err: reset}}, 0, 10},
		"always silent":                   {[]answer{{hang: true}}, 0, 2},
		"a pause that fits":               {[]answer{{status: 429, retryAfter: "17"}, operationOK}, -1, 2},
		"a pause that does not":           {[]answer{{status: 429, retryAfter: "19"}, operationOK}, 429, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, fake, ctx := inCall(t, test.script...)
				began := time.Now()
				_, err := c.Operation(ctx, "op")
				if took := time.Since(began); took > 18*time.Second {
					t.Errorf("took %v, want at most 18s", took)
				}
				if n := len(fake.asked); n == 0 || n > test.most || fake.asked[n-1] > 18*time.Second {
					t.Errorf("%d requests at %v, want at most %d, within 18s", n, fake.asked, test.most)
				}
				var failed *Error
				switch {
				case test.status == -1 && err != nil:
					t.Error(err)
				case test.status != -1 && (!errors.As(err, &failed) || failed.Status != test.status || failed.At.IsZero()):
					t.Errorf("got %#v, want status %d and a time", err, test.status)
				}
			})
		})
	}
}

// TestLateRead begins a read when less than the reserve is left: it has half of that.
func TestLateRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, fake, ctx := inCall(t, operationOK, answer{hang: true})
		time.Sleep(19 * time.Second)
		if _, err := c.Operation(ctx, "op"); err != nil || len(fake.asked) != 1 {
			t.Errorf("%d requests, %v", len(fake.asked), err)
		}
		began := time.Now()
		_, err := c.Operation(ctx, "op")
		if took := time.Since(began); err == nil || took != 500*time.Millisecond {
			t.Errorf("a silent API is left after %v with %v, want 500ms", took, err)
		}
	})
}

// TestClockAfterASleep takes the last answer for no clock if the wall clock has moved more
// than the monotonic clock: this machine slept, or its clock was set.
func TestClockAfterASleep(t *testing.T) {
	api := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	for slept, want := range map[time.Duration]bool{
		0: true, 30 * time.Second: true, -30 * time.Second: true, 8 * time.Hour: false, -72 * time.Hour: false,
	} {
		at := time.Now()
		c := &clock{}
		c.last.Store(&reading{date: api, at: at, wall: at.Round(0).Add(-slept)})
		if now, ok := c.now(); ok != want || ok && now.Sub(api) > time.Minute {
			t.Errorf("%v: got %v, %v", slept, now, ok)
		}
	}
}
