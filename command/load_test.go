//go:build unix

package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	loadTime = flag.Duration("load", 0,
		"time during which 200 of 1,000 sessions call the server; 0: 20 of 100 sessions, for three seconds")
	think  = flag.Duration("think", 100*time.Millisecond, "pause of a session between two calls")
	hellos = flag.Int("hellos", 100, "number of sessions that are opened and never ended")
)

// load is a server with many sessions.
type load struct {
	*served
	operation string
	sessions  []*httpSession
	streams   []io.ReadCloser
	closing   atomic.Bool // streams may end from now on

	mu     sync.Mutex
	took   []time.Duration
	errors []error
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors = append(l.errors, err)
}

// noErrors ends the test if there was an error so far.
func (l *load) noErrors(during string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.errors[:min(10, len(l.errors))] {
		l.t.Errorf("%s: %v", during, err)
	}
	if n := len(l.errors); n > 0 {
		l.t.Fatalf("%s: %d errors in total\n%s", during, n, lastLines(l.stderr.String(), 20))
	}
}

// each calls do for 0 to n-1, 32 at a time, and records the errors.
func (l *load) each(n int, do func(i int) error) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					l.fail(fmt.Errorf("session %d: %w", i, err))
				}
			}
		})
	}
	workers.Wait()
}

// open opens n sessions, and the stream of each.
func (l *load) open(n int) {
	l.t.Helper()
	client := newHTTPClient(l.t)
	l.sessions, l.streams = make([]*httpSession, n), make([]io.ReadCloser, n)
	l.each(n, func(i int) (err error) {
		ctx, cancel := context.WithTimeout(l.t.Context(), patience)
		defer cancel()
		if l.sessions[i], err = l.served.open(ctx, client); err != nil {
			return err
		}
		l.streams[i], err = l.sessions[i].listen(l.t.Context())
		if err == nil {
			go l.drain(i)
		}
		return err
	})
	l.noErrors("opening sessions")
}

// drain reads a stream, which must stay open while the session lives.
func (l *load) drain(i int) {
	_, err := io.Copy(io.Discard, l.streams[i])
	if !l.closing.Load() {
		l.fail(fmt.Errorf("the stream of session %d ended early: %v", i, err))
	}
}

// ask gets the complete operation, which the server reads from the ledger.
func (l *load) ask(h *httpSession) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	var op struct {
		OperationID string `json:"operation_id"`
		State       string
	}
	if err := callTool(ctx, h, "get_export_operation", map[string]any{"operation_id": l.operation}, &op); err != nil {
		return err
	}
	if op.OperationID != l.operation || op.State != "COMPLETED" {
		return fmt.Errorf("got %q in state %q", op.OperationID, op.State)
	}
	return nil
}

// run lets the first n sessions call for a while, with a pause after each call.
func (l *load) run(n int, lasts, think time.Duration) {
	began := time.Now()
	var callers sync.WaitGroup
	for i, h := range l.sessions[:n] {
		callers.Go(func() {
			var took []time.Duration
			random := rand.New(rand.NewPCG(uint64(i), 0))
			time.Sleep(time.Duration(random.Int64N(int64(think) + 1))) // not all at once
			for time.Since(began) < lasts {
				sent := time.Now()
				if err := l.ask(h); err != nil {
					l.fail(fmt.Errorf("call of session %d: %w", i, err))
					return
				}
				took = append(took, time.Since(sent))
				time.Sleep(think)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.took = append(l.took, took...)
		})
	}
	callers.Wait()
	slices.Sort(l.took)
	if len(l.took) > 0 {
		l.t.Logf("%d sessions, %d of them calling with %v between calls: p50 %v, p90 %v, p99 %v, most %v; %.0f calls/s",
			len(l.sessions), n, think, l.part(0.5), l.part(0.9), l.part(0.99), l.part(1),
			float64(len(l.took))/time.Since(began).Seconds())
	}
}

// part returns the quantile p of the times of the calls.
func (l *load) part(p float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return l.took[int(p*float64(len(l.took)-1))].Round(10 * time.Microsecond)
}

// close ends all sessions and streams.
func (l *load) close() {
	l.t.Helper()
	l.closing.Store(true)
	l.each(len(l.sessions), func(i int) error {
		ctx, cancel := context.WithTimeout(l.t.Context(), patience)
		defer cancel()
		return errors.Join(l.sessions[i].end(ctx), l.streams[i].Close())
	})
	l.noErrors("ending sessions")
	l.sessions[0].client.CloseIdleConnections()
}

// TestLoad opens many sessions, calls from some of them, and measures the times of
// the calls and the memory before, during and after.
func TestLoad(t *testing.T) {
	full := *loadTime > 0
	sessions, calling, lasts := 100, 20, 3*time.Second
	if !full { // the long run has the machine to itself
		t.Parallel()
	} else {
		sessions, calling, lasts = 1000, 200, *loadTime
	}
	l := &load{served: serveProgram(t, build(t), t.TempDir())}
	l.warm()
	before, _ := l.resident()
	l.open(sessions)
	opened, _ := l.resident()
	l.run(calling, lasts, *think)
	_, most := l.resident()
	l.noErrors("under load")
	if len(l.took) < calling {
		t.Errorf("%d calls of %d sessions", len(l.took), calling)
	}
	l.close()
	limit, wait := before+before/5, time.Duration(0)
	if full {
		wait = 90 * time.Second
	}
	ended := time.Now()
	stop := l.keepCalling()
	after := l.awaitResident(limit, wait)
	stop()
	t.Logf("%d kB at the start, %d with the sessions open, %d at most, %d after (%v after the end)", before, opened, most,
		after, time.Since(ended).Round(time.Second))
	if !full {
		return
	}
	if p99 := l.part(0.99); p99 >= 100*time.Millisecond {
		t.Errorf("p99 is %v, want less than 100 ms", p99)
	}
	if most >= 200<<10 {
		t.Errorf("%d kB at most, want less than 200 MB", most)
	}
	if after > limit {
		t.Errorf("%d kB are left of %d at the start, %v after all sessions ended; want %d at most", after, before, wait,
			limit)
	}
}

// keepCalling makes calls in one session until stop, so that the server collects
// garbage: an idle Go program does so only every two minutes.
func (l *load) keepCalling() (stop func()) {
	l.t.Helper()
	h, err := l.served.open(l.t.Context(), newHTTPClient(l.t))
	if err != nil {
		l.t.Fatal(err)
	}
	done := make(chan struct{})
	var calling sync.WaitGroup
	calling.Go(func() {
		for {
			if err := l.ask(h); err != nil {
				l.fail(err)
				return
			}
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return func() {
		l.t.Helper()
		close(done)
		calling.Wait()
		l.noErrors("after the load")
	}
}

// warm creates an export and calls 200 times in one session, so that memory that
// is allocated once is part of the reference.
func (l *load) warm() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), testLimit)
	defer cancel()
	client := newHTTPClient(l.t)
	defer client.CloseIdleConnections()
	h, err := l.served.open(ctx, client)
	if err != nil {
		l.t.Fatal(err)
	}
	if l.operation, err = recordedExport(ctx, h); err != nil {
		l.t.Fatal(err)
	}
	for range 200 {
		if err := l.ask(h); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := h.end(ctx); err != nil {
		l.t.Fatal(err)
	}
}

// TestInitializeWithoutGoodbye opens sessions and never ends them, as clients that
// crash do.
func TestInitializeWithoutGoodbye(t *testing.T) {
	if *hellos <= 100 { // the long run has the machine to itself
		t.Parallel()
	}
	l := &load{served: serveProgram(t, build(t), t.TempDir())}
	l.warm()
	before, _ := l.resident()
	client := newHTTPClient(t)
	l.each(*hellos, func(int) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := l.greet(ctx, client)
		return err
	})
	l.noErrors("initialize")
	const grown = 40 << 10
	stop := l.keepCalling()
	after := l.awaitResident(before+grown, patience)
	stop()
	_, most := l.resident()
	t.Logf("%d initialize: %d kB before, %d after, %d at most", *hellos, before, after, most)
	if after-before >= grown {
		t.Errorf("%d sessions that were not ended hold %d kB, want less than 40 MB", *hellos, after-before)
	}
	l.warm() // a new session is served like the first one
}
