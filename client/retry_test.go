package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// recorder answers each request with the next answer of its script, the last one
// repeatedly, and records the time of each request.
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
	hang       bool // do not answer until the request's context ends
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
	body := io.NopCloser(strings.NewReader(a.body))
	return &http.Response{StatusCode: a.status, Header: header, Body: body, Request: r}, nil
}

var (
	failedDial  = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	reset       = &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	operationOK = answer{status: 200, body: `{"id":"op","state":"PENDING"}`}
	createdOK   = answer{status: 200, body: `{"operationId":"op"}`}
)

// retryTest is a call to an API that answers from a script, and what is expected.
type retryTest struct {
	name      string
	call      func(context.Context, *Client) error
	script    []answer
	deadline  time.Duration    // timeout of the context; 0: none
	asked     int              // number of requests
	wait      [2]time.Duration // least and most before the second request
	status    int              // of the error; -1: no error
	uncertain bool
}

// retryTests is the table of which calls are retried, after which delay, and with
// which result.
func retryTests() []retryTest {
	get := func(ctx context.Context, c *Client) error { _, err := c.Operation(ctx, "op"); return err }
	cancel := func(ctx context.Context, c *Client) error { return c.CancelOperation(ctx, "op") }
	backoff := [2]time.Duration{250 * time.Millisecond, time.Second}
	return []retryTest{
		{name: "read works", call: get, script: []answer{operationOK}, asked: 1, status: -1},
		{name: "read after 500", call: get, script: []answer{{status: 500}, operationOK}, asked: 2,
			wait: backoff, status: -1},
		{name: "read after reset", call: get, script: []answer{{err: reset}, operationOK}, asked: 2,
			wait: backoff, status: -1},
		{name: "read after a hang", call: get, script: []answer{{hang: true}, operationOK}, asked: 2,
			wait: [2]time.Duration{readTime, readTime + time.Second}, status: -1},
		{name: "read honours Retry-After", call: get, script: []answer{{status: 429, retryAfter: "3"}, operationOK},
			asked: 2, wait: [2]time.Duration{3 * time.Second, 4 * time.Second}, status: -1},
		{name: "read honours Retry-After of 503", call: get,
			script: []answer{{status: 503, retryAfter: "2"}, operationOK}, asked: 2,
			wait: [2]time.Duration{2 * time.Second, 3 * time.Second}, status: -1},
		{name: "read gives up", call: get, script: []answer{{status: 502, body: "<html>bad gateway</html>"}}, asked: 5,
			wait: backoff, status: 502},
		{name: "read with a Retry-After beyond the budget", call: get,
			script: []answer{{status: 429, retryAfter: "60"}, operationOK}, asked: 1, status: 429},
		{name: "read with a Retry-After beyond the deadline", call: get,
			script: []answer{{status: 429, retryAfter: "5"}, operationOK}, deadline: 4 * time.Second, asked: 1,
			status: 429},
		{name: "read of 404", call: get, script: []answer{{status: 404}, operationOK}, asked: 1, status: 404},
		{name: "read of 401", call: get, script: []answer{{status: 401}, operationOK}, asked: 1, status: 401},
		{name: "create works", call: create, script: []answer{createdOK}, asked: 1, status: -1},
		{name: "create after 429", call: create, script: []answer{{status: 429, retryAfter: "1"}, createdOK}, asked: 2,
			wait: [2]time.Duration{time.Second, 2 * time.Second}, status: -1},
		{name: "create after a failed dial", call: create, script: []answer{{err: failedDial}, createdOK},
			asked: 2, wait: backoff, status: -1},
		{name: "create never after 500", call: create, script: []answer{{status: 500}, createdOK}, asked: 1,
			status: 500, uncertain: true},
		{name: "create never after reset", call: create, script: []answer{{err: reset}, createdOK}, asked: 1, status: 0,
			uncertain: true},
		{name: "create never after a hang", call: create, script: []answer{{hang: true}, createdOK}, asked: 1,
			status: 0, uncertain: true},
		{name: "create never after nonsense", call: create, script: []answer{{status: 200, body: "<html>"}, createdOK},
			asked: 1, status: 200, uncertain: true},
		{name: "create of 400", call: create,
			script: []answer{{status: 400, body: `{"code":"invalid","message":"no"}`}}, asked: 1, status: 400},
		{name: "create whose dial always fails", call: create, script: []answer{{err: failedDial}},
			asked: 5, wait: backoff, status: 0},
		{name: "create of 200 with an error", call: create, script: []answer{{status: 200, body: `{"error":"quota"}`}},
			asked: 1, status: 200},
		{name: "cancel never after 500", call: cancel, script: []answer{{status: 500}}, asked: 1, status: 500},
		{name: "cancel works", call: cancel, script: []answer{{status: 200, body: `{}`}}, asked: 1, status: -1},
	}
}

func TestRetries(t *testing.T) {
	for _, test := range retryTests() {
		t.Run(test.name, func(t *testing.T) { synctest.Test(t, test.run) })
	}
}

func (test retryTest) run(t *testing.T) {
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
		t.Errorf("got %v, want an *Error with status %d", err, test.status)
	case test.status != -1 && (failed.Status != test.status || failed.Uncertain != test.uncertain):
		t.Errorf("got status %d uncertain %v (%v), want %d %v",
			failed.Status, failed.Uncertain, err, test.status, test.uncertain)
	}
}

func TestCancelledCallReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Options{BaseURL: "https://api.example.com",
			Transport: &recorder{script: []answer{{status: 429, retryAfter: "10"}}}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := c.Operation(ctx, "op")
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want context.Canceled after 1s", err, time.Since(began))
		}
	})
}

// TestRetryWaitsNoLongerThanTheBudget has another caller pause the account
// between two tries of a read.
func TestRetryWaitsNoLongerThanTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &recorder{script: []answer{{status: 503}, operationOK}}
		c := newClient(t, Options{BaseURL: "https://api.example.com", Transport: fake, Budget: 5 * time.Second})
		time.AfterFunc(time.Millisecond, func() { c.limiter.throttled(t.Context(), 40*time.Second) })
		began := time.Now()
		_, err := c.Operation(t.Context(), "op")
		var failed *Error
		if !errors.As(err, &failed) || failed.Status != 503 || time.Since(began) > 5*time.Second {
			t.Errorf("got %v after %v, want the 503 within the budget of 5s", err, time.Since(began))
		}
	})
}

// TestDeadlineDuringARetry has the deadline pass while a retry waits for its turn: the
// failure of the try before it is returned, not the wait.
func TestDeadlineDuringARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, fake, ctx := inCall(t, answer{err: failedDial})
		c.ShareLimits(func(ctx context.Context, change func(time.Time, *Bucket)) error {
			if len(fake.asked) > 0 {
				time.Sleep(30 * time.Second)
			}
			change(time.Now(), &Bucket{})
			return nil
		})
		_, err := c.Operation(ctx, "op")
		var failed *Error
		if !errors.As(err, &failed) || failed.Code == CodeQueue || !errors.Is(err, failedDial) || len(fake.asked) != 1 {
			t.Errorf("after %d requests: %v, want the failed dial", len(fake.asked), err)
		}
	})
}

// TestStormIsBounded checks that the pace falls with each 429, and that it returns
// to its maximum after a long time without any.
func TestStormIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{}
		for range 4 {
			if err := l.wait(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			l.throttled(t.Context(), 0)
			time.Sleep(time.Second)
		}
		if l.bucket().Pace > 2 {
			t.Errorf("pace is %v after four 429s, want at most 2", l.bucket().Pace)
		}
		time.Sleep(100 * time.Second)
		_ = l.wait(t.Context(), false)
		if l.bucket().Pace != paceMost {
			t.Errorf("pace is %v after a long calm, want %d", l.bucket().Pace, paceMost)
		}
	})
}

// TestLimiterStart checks the initial burst of 20, and then a rate of 5 per second
// that grows by one each second.
func TestLimiterStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, began := &limiter{}, time.Now()
		for range 20 {
			if err := l.wait(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the burst took %v", took)
		}
		sent := sendUntil(t, began.Add(2*time.Second), l)
		if sent < 10 || sent > 13 {
			t.Errorf("%d requests in the two seconds after the burst, want 5 and then 6", sent)
		}
	})
}

// TestLimiterHalves checks that a 429 halves the rate at most once a second, and
// drops the saved burst.
func TestLimiterHalves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, began := &limiter{}, time.Now()
		l.throttled(t.Context(), 0)
		l.throttled(t.Context(), 0)
		if l.bucket().Pace != paceStart/2.0 {
			t.Errorf("pace is %v, want %v", l.bucket().Pace, paceStart/2.0)
		}
		if err := l.wait(t.Context(), false); err != nil || time.Since(began) < 300*time.Millisecond {
			t.Errorf("the next request went after %v (%v), want about 400ms", time.Since(began), err)
		}
	})
}

// TestRetryAfterPausesAll checks that a Retry-After pauses every caller, and that a
// caller with an earlier deadline fails at once.
func TestRetryAfterPausesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, began := &limiter{}, time.Now()
		l.throttled(t.Context(), 7*time.Second)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var paused *pausedError
		if err := l.wait(short, false); !errors.As(err, &paused) || paused.wait != 7*time.Second || time.Since(began) != 0 {
			t.Errorf("got %v after %v, want an error about a pause of 7s at once", err, time.Since(began))
		}
		if err := l.wait(t.Context(), false); err != nil || time.Since(began) < 7*time.Second {
			t.Errorf("went after %v (%v), want 7s", time.Since(began), err)
		}
	})
}

func TestRetryAfterForms(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":                              0,
		"3":                             3 * time.Second,
		"0":                             0,
		"-5":                            0,
		"1e99":                          0,
		"90000":                         24 * time.Hour,
		"20000000":                      24 * time.Hour,
		"Sun, 06 Nov 2026 08:49:47 GMT": 24 * time.Hour,
		"soon":                          0,
		"Sun, 06 Nov 2016 08:49:47 GMT": 10 * time.Second,
		"Sun, 06 Nov 2016 08:49:00 GMT": 0,
	} {
		h := http.Header{"Retry-After": {text}, "Date": {"Sun, 06 Nov 2016 08:49:37 GMT"}}
		if got := ParseRetryAfter(h); got != want {
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

// TestEachRequestIsObserved checks that each try of a call is observed.
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

// suspended is a context as it is in a process that runs on after it was suspended: its
// deadline has passed, but its timer has not run yet.
type suspended struct{ context.Context }

func (suspended) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

// TestNothingIsSentLate checks that the deadline counts even if nobody has ended the
// context: another process may have taken over meanwhile.
func TestNothingIsSentLate(t *testing.T) {
	asked := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		io.WriteString(w, `{"operationId":"op"}`)
	}))
	defer s.Close()
	c := newClient(t, Options{BaseURL: s.URL})
	k := write("create", nil, "x")
	k.as = newCredential(canary)
	_, failed := c.try(suspended{t.Context()}, k, 1)
	if failed == nil || failed.sent || !errors.Is(failed, context.DeadlineExceeded) || len(asked) > 0 {
		t.Errorf("got %v after %d requests", failed, len(asked))
	}
	_, err := c.CreateSegmentExport(suspended{t.Context()}, ExportRequest{}) // waits for its turn first
	if !errors.Is(err, context.DeadlineExceeded) || len(asked) > 0 {
		t.Errorf("a create: got %v after %d requests", err, len(asked))
	}
}
