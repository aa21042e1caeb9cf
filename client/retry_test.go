package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// recorder answers each request with the next of its script and remembers when
// it was asked.
type recorder struct {
	script []answer
	began  time.Time
	asked  []time.Duration // since began
}

type answer struct {
	status     int // 0: fail with err
	body       string
	retryAfter string
	err        error
	hang       bool // until the request's context ends
}

func (f *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
	}
	if len(f.asked) == 0 {
		f.began = time.Now()
	}
	f.asked = append(f.asked, time.Since(f.began))
	a := f.script[min(len(f.asked), len(f.script))-1]
	switch {
	case a.hang:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case a.err != nil:
		return nil, a.err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if a.retryAfter != "" {
		header.Set("Retry-After", a.retryAfter)
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

var (
	refusedDial = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	reset       = &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	operationOK = answer{status: 200, body: `{"id":"op","state":"PENDING"}`}
	createdOK   = answer{status: 200, body: `{"operationId":"op"}`}
)

// TestRetries is the table of what is repeated, when, and what comes of it.
func TestRetries(t *testing.T) {
	get := func(ctx context.Context, c *Client) error { _, err := c.Operation(ctx, "op"); return err }
	create := func(ctx context.Context, c *Client) error {
		_, err := c.CreateSegmentExport(ctx, ExportRequest{SegmentID: "everyone", Type: TypeEvent})
		return err
	}
	cancel := func(ctx context.Context, c *Client) error { return c.CancelOperation(ctx, "op") }
	for _, test := range []struct {
		name      string
		call      func(context.Context, *Client) error
		script    []answer
		deadline  time.Duration // of the context; 0: none
		asked     int
		wait      [2]time.Duration // least and most before the second request
		status    int              // of the error; -1: no error
		uncertain bool
	}{
		{name: "read works", call: get, script: []answer{operationOK}, asked: 1, status: -1},
		{name: "read after 500", call: get, script: []answer{{status: 500}, operationOK}, asked: 2, wait: [2]time.Duration{250 * time.Millisecond, time.Second}, status: -1},
		{name: "read after reset", call: get, script: []answer{{err: reset}, operationOK}, asked: 2, wait: [2]time.Duration{250 * time.Millisecond, time.Second}, status: -1},
		{name: "read after a hang", call: get, script: []answer{{hang: true}, operationOK}, asked: 2, wait: [2]time.Duration{readTime, readTime + time.Second}, status: -1},
		{name: "read honours Retry-After", call: get, script: []answer{{status: 429, retryAfter: "3"}, operationOK}, asked: 2, wait: [2]time.Duration{3 * time.Second, 4 * time.Second}, status: -1},
		{name: "read honours Retry-After of 503", call: get, script: []answer{{status: 503, retryAfter: "2"}, operationOK}, asked: 2, wait: [2]time.Duration{2 * time.Second, 3 * time.Second}, status: -1},
		{name: "read gives up", call: get, script: []answer{{status: 502, body: "<html>bad gateway</html>"}}, asked: 5, wait: [2]time.Duration{250 * time.Millisecond, time.Second}, status: 502},
		{name: "read of a wait beyond the budget", call: get, script: []answer{{status: 429, retryAfter: "60"}, operationOK}, asked: 1, status: 429},
		{name: "read of a wait beyond the deadline", call: get, script: []answer{{status: 429, retryAfter: "5"}, operationOK}, deadline: 4 * time.Second, asked: 1, status: 429},
		{name: "read of 404", call: get, script: []answer{{status: 404}, operationOK}, asked: 1, status: 404},
		{name: "read of 401", call: get, script: []answer{{status: 401}, operationOK}, asked: 1, status: 401},
		{name: "create works", call: create, script: []answer{createdOK}, asked: 1, status: -1},
		{name: "create after 429", call: create, script: []answer{{status: 429, retryAfter: "1"}, createdOK}, asked: 2, wait: [2]time.Duration{time.Second, 2 * time.Second}, status: -1},
		{name: "create after refused connection", call: create, script: []answer{{err: refusedDial}, createdOK}, asked: 2, wait: [2]time.Duration{250 * time.Millisecond, time.Second}, status: -1},
		{name: "create never after 500", call: create, script: []answer{{status: 500}, createdOK}, asked: 1, status: 500, uncertain: true},
		{name: "create never after reset", call: create, script: []answer{{err: reset}, createdOK}, asked: 1, status: 0, uncertain: true},
		{name: "create never after a hang", call: create, script: []answer{{hang: true}, createdOK}, asked: 1, status: 0, uncertain: true},
		{name: "create never after nonsense", call: create, script: []answer{{status: 200, body: "<html>"}, createdOK}, asked: 1, status: 502, uncertain: true},
		{name: "create of 400", call: create, script: []answer{{status: 400, body: `{"code":"invalid","message":"no"}`}}, asked: 1, status: 400},
		{name: "create that is refused for good", call: create, script: []answer{{err: refusedDial}}, asked: 5, wait: [2]time.Duration{250 * time.Millisecond, time.Second}, status: 0},
		{name: "create of 200 with an error", call: create, script: []answer{{status: 200, body: `{"error":"quota"}`}}, asked: 1, status: 200},
		{name: "cancel never after 500", call: cancel, script: []answer{{status: 500}}, asked: 1, status: 500},
		{name: "cancel works", call: cancel, script: []answer{{status: 200, body: `{}`}}, asked: 1, status: -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := &recorder{script: test.script}
				c := newClient(t, Options{BaseURL: "https://api.example.com/base", Transport: fake})
				ctx := t.Context()
				if test.deadline > 0 {
					var stop context.CancelFunc
					ctx, stop = context.WithTimeout(ctx, test.deadline)
					defer stop()
				}
				err := test.call(ctx, c)
				if len(fake.asked) != test.asked {
					t.Errorf("asked %d times (%v), want %d", len(fake.asked), fake.asked, test.asked)
				}
				if test.asked > 1 && (fake.asked[1] < test.wait[0] || fake.asked[1] > test.wait[1]) {
					t.Errorf("second request after %v, want %v", fake.asked[1], test.wait)
				}
				var failed *Error
				switch {
				case test.status == -1 && err != nil:
					t.Errorf("failed: %v", err)
				case test.status != -1 && !errors.As(err, &failed):
					t.Errorf("got %v, want a *Error with status %d", err, test.status)
				case test.status != -1 && (failed.Status != test.status || failed.Uncertain != test.uncertain):
					t.Errorf("got status %d uncertain %v (%v), want %d %v", failed.Status, failed.Uncertain, err, test.status, test.uncertain)
				}
			})
		})
	}
}

func TestCancelledCallReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Options{BaseURL: "https://api.example.com", Transport: &recorder{script: []answer{{status: 429, retryAfter: "10"}}}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := c.Operation(ctx, "op")
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want context.Canceled after 1s", err, time.Since(began))
		}
	})
}

// TestStormIsBounded sends 200 reads from 20 callers into an API that refuses
// most of them: the pace falls, and nobody hammers.
func TestStormIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		for range 4 {
			if err := l.Wait(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			l.Slow(t.Context(), 0)
			time.Sleep(time.Second)
		}
		if l.Bucket().Pace > 2 {
			t.Errorf("pace is %v after four 429s, want at most 2", l.Bucket().Pace)
		}
		time.Sleep(100 * time.Second)
		_ = l.Wait(t.Context(), false)
		if l.Bucket().Pace != paceMost {
			t.Errorf("pace is %v after a long calm, want %d", l.Bucket().Pace, paceMost)
		}
	})
}

func TestLimiter(t *testing.T) {
	t.Run("starts with a burst of 20, then 5 a second growing by one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, began := NewLimiter(), time.Now()
			for range 20 {
				if err := l.Wait(t.Context(), false); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("the burst took %v", took)
			}
			sent := 0
			for time.Since(began) < 2*time.Second {
				if err := l.Wait(t.Context(), false); err != nil {
					t.Fatal(err)
				}
				sent++
			}
			if sent < 10 || sent > 13 {
				t.Errorf("%d requests in the two seconds after the burst, want 5 and then 6", sent)
			}
		})
	})
	t.Run("halves at most once a second and drops what was saved", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, began := NewLimiter(), time.Now()
			l.Slow(t.Context(), 0)
			l.Slow(t.Context(), 0)
			if l.Bucket().Pace != paceStart/2.0 {
				t.Errorf("pace is %v, want %v", l.Bucket().Pace, paceStart/2.0)
			}
			if err := l.Wait(t.Context(), false); err != nil || time.Since(began) < 300*time.Millisecond {
				t.Errorf("the next request went after %v (%v), want about 400ms", time.Since(began), err)
			}
		})
	})
	t.Run("a Retry-After pauses every caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, began := NewLimiter(), time.Now()
			l.Slow(t.Context(), 7*time.Second)
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var paused *Paused
			if err := l.Wait(short, false); !errors.As(err, &paused) || paused.For != 7*time.Second || time.Since(began) != 0 {
				t.Errorf("got %v after %v, want a pause of 7s told at once", err, time.Since(began))
			}
			if err := l.Wait(t.Context(), false); err != nil || time.Since(began) < 7*time.Second {
				t.Errorf("went after %v (%v), want 7s", time.Since(began), err)
			}
		})
	})
}

func TestRetryAfterForms(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":                              0,
		"3":                             3 * time.Second,
		"0":                             0,
		"-5":                            0,
		"1e99":                          0,
		"soon":                          0,
		"Sun, 06 Nov 2016 08:49:47 GMT": 10 * time.Second,
		"Sun, 06 Nov 2016 08:49:00 GMT": 0,
	} {
		h := http.Header{"Retry-After": {text}, "Date": {"Sun, 06 Nov 2016 08:49:37 GMT"}}
		if got := retryAfter(h); got != want {
			t.Errorf("Retry-After %q: got %v, want %v", text, got, want)
		}
	}
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Key == "" {
		o.Key = canary
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const canary = "na1.c4n4ry-d0-n0t-l34k/CNRY"

func ExampleLink() {
	fmt.Println(Link{URL: "https://storage.example.com/bucket/id?sig=secret"})
	// Output: https://storage.example.com/bucket/id
}

// TestEachRequestIsObserved counts the tries of a call.
func TestEachRequestIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		f := &recorder{script: []answer{{status: 503}, {err: reset}, {status: 429, retryAfter: "1"}, operationOK}}
		c, err := New(Options{Key: "na1.x/y", Transport: f, Observe: func(op string, status int, took time.Duration) {
			seen = append(seen, fmt.Sprint(op, " ", status))
			if took < 0 {
				t.Errorf("it took %v", took)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Operation(t.Context(), "op"); err != nil {
			t.Fatal(err)
		}
		if want := "[get operation 503 get operation 0 get operation 429 get operation 200]"; fmt.Sprint(seen) != want {
			t.Errorf("seen %v, want %s", seen, want)
		}
	})
}
