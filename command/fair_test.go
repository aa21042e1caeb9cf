//go:build unix

package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var fairTime = flag.Duration("fair", 0,
	"time of the test with a greedy caller, about; 0: it only checks that nobody is locked out, in a few seconds")

// The part of their throughput alone that nine callers keep beside a greedy one: fairRatio is
// the aim, and the test fails below worstRatio only, because it measures on a machine that
// others may use.
const fairRatio, worstRatio = 0.8, 0.4

// normal is one of nine callers who use the server a little.
type normal struct {
	*httpSession
	bulk string // name of its bulk export; "" before it has one
}

// crowd is a server with a greedy caller and nine normal ones, all of one account.
type crowd struct {
	*served
	ctx     context.Context
	threads int // of the greedy caller
	greedy  *http.Client
	his     []*httpSession // a session for each thread
	normals []*normal
	stored  string // id of an operation that the ledger has as complete

	mu     sync.Mutex
	errors map[string]int // of the normal callers
}

// rivalry is a resource that all callers use at the same time.
type rivalry struct {
	name  string
	think time.Duration // pause of a normal caller between two uses
	slow  bool          // a use takes long, so a round does too
	// use is one use by a normal caller. count, if it is set, returns the uses so far
	// instead.
	use   func(context.Context, *normal) error
	count func() int
	// grab uses as much as one thread of the greedy caller can, until ctx ends. before and
	// after, if they are set, are called before and after the rounds with it.
	grab          func(ctx context.Context, thread int)
	before, after func()
}

// newCrowd starts the server and opens a session for each caller.
func newCrowd(t *testing.T, ctx context.Context, threads int) *crowd {
	t.Helper()
	program := build(t)
	who := newCallers(t)
	who.add("greedy")
	for i := range 9 {
		who.add(fmt.Sprint("normal", i))
	}
	c := &crowd{ctx: ctx, threads: threads, greedy: who.client("greedy"), errors: map[string]int{}}
	c.served = serveProgram(t, program, t.TempDir(), "--callers", who.file, "--sessions", "80", "--sandbox-density", "20",
		"--sandbox-rate", "200", "--sandbox-burst", "400", "--sandbox-slots", "60")
	open := func(client *http.Client) *httpSession {
		h, err := c.open(ctx, client)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for i := range 9 {
		c.normals = append(c.normals, &normal{httpSession: open(who.client(fmt.Sprint("normal", i)))})
	}
	for range min(threads, 10) {
		c.his = append(c.his, open(c.greedy))
	}
	var err error
	if c.stored, err = recordedExport(ctx, c.normals[0]); err != nil {
		t.Fatal(err)
	}
	c.start(c.his[0], "followed", 0, 4)
	return c
}

// start starts a bulk export of some hours, of which no other bulk export has one. It
// reports whether it was started before.
func (c *crowd) start(h *httpSession, name string, number, hours int) (before bool) {
	c.t.Helper()
	var started struct{ Reused bool }
	from := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -70*number)
	to := from.Add(time.Duration(hours) * time.Hour)
	if err := callTool(c.ctx, h, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": name, "chunk": "hour",
		"time_range": window{from.Format(time.RFC3339), to.Format(time.RFC3339)},
	}, &started); err != nil {
		c.t.Fatal(err)
	}
	return started.Reused
}

// control carries out an action on a bulk export.
func (c *crowd) control(h *httpSession, name, action string) {
	c.t.Helper()
	args := map[string]any{"bulk_id": name, "action": action}
	if err := callTool(c.ctx, h, "control_bulk_export", args, nil); err != nil {
		c.t.Errorf("%s of %s: %v", action, name, err)
	}
}

// round has the normal callers use a resource for a while, beside the greedy caller or
// alone, and returns their uses per second.
func (c *crowd) round(r rivalry, lasts time.Duration, beside bool) float64 {
	greed, sated := context.WithCancel(c.ctx)
	var grabbing sync.WaitGroup
	if beside {
		if r.before != nil {
			r.before()
		}
		for i := range c.threads {
			grabbing.Go(func() { r.grab(greed, i) })
		}
		time.Sleep(lasts / 4) // it has what it can get
	}
	uses, began := c.uses(r, lasts), time.Now()
	rate := float64(uses()) / time.Since(began).Seconds()
	sated()
	grabbing.Wait()
	if beside && r.after != nil {
		r.after()
	}
	return rate
}

// uses returns a function that has the normal callers use a resource for a while, and
// returns how often they did.
func (c *crowd) uses(r rivalry, lasts time.Duration) func() int {
	if r.count != nil {
		before := r.count()
		return func() int {
			time.Sleep(lasts)
			return r.count() - before
		}
	}
	return func() int {
		var n atomic.Int64
		var using sync.WaitGroup
		end := time.Now().Add(lasts)
		for i, caller := range c.normals {
			using.Go(func() {
				time.Sleep(time.Duration(i) * r.think / 9) // not all at once
				for time.Now().Before(end) || n.Load() == 0 {
					if err := r.use(c.ctx, caller); err != nil {
						c.failed(r, err)
						return
					}
					n.Add(1)
					time.Sleep(r.think)
				}
			})
		}
		using.Wait()
		return int(n.Load())
	}
}

func (c *crowd) failed(r rivalry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errors[fmt.Sprintf("%s: %.200v", r.name, err)]++
}

// compare measures a resource in rounds alone and beside the greedy caller, in turns, and
// returns the medians of both and their ratio. Medians leave out the rounds in which the
// machine was busy with something else, and turns cancel what drifts.
func (c *crowd) compare(r rivalry, rounds int, lasts time.Duration) (alone, beside, ratio float64) {
	rates := map[bool][]float64{}
	for i := range rounds {
		first := i%2 == 1
		for _, with := range []bool{first, !first} {
			rates[with] = append(rates[with], c.round(r, lasts, with))
		}
	}
	median := func(of []float64) float64 {
		slices.Sort(of)
		return of[len(of)/2]
	}
	alone, beside = median(rates[false]), median(rates[true])
	return alone, beside, beside / max(alone, 0.001)
}

// TestGreedyCaller has one caller take as much as it can of everything, and nine others use
// a little of it: no use of theirs is rejected. With -fair it measures what they keep of
// their throughput alone, and prints a table.
func TestGreedyCaller(t *testing.T) {
	rounds, lasts, threads := 1, 60*time.Millisecond, 6
	if *fairTime > 0 { // the long run has the machine to itself
		rounds, lasts, threads = 7, *fairTime/400, 40
	} else {
		long(t)
		t.Parallel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), testLimit+2**fairTime)
	defer cancel()
	c := newCrowd(t, ctx, threads)
	table := fmt.Sprintf("\n%-28s %10s %10s %6s\n", "uses per second", "alone", "beside", "ratio")
	for _, r := range c.rivalries() {
		each := lasts
		if r.slow {
			each *= 10
		}
		alone, beside, ratio := c.compare(r, rounds, each)
		missed := ""
		if ratio < fairRatio {
			missed = fmt.Sprintf(" (aim: %.1f)", fairRatio)
		}
		table += fmt.Sprintf("%-28s %10.1f %10.1f %6.2f%s\n", r.name, alone, beside, ratio, missed)
		if *fairTime > 0 && ratio < worstRatio {
			t.Errorf("%s: nine callers keep %.2f of their throughput alone, want %.1f", r.name, ratio, fairRatio)
		}
	}
	t.Log(table)
	for text, n := range c.errors {
		t.Errorf("%d uses of normal callers failed: %s", n, text)
	}
}

// hold keeps a stream open until ctx ends, and returns false if it was rejected.
func hold(ctx context.Context, stream io.ReadCloser, err error) bool {
	if err != nil {
		return false
	}
	context.AfterFunc(ctx, func() { stream.Close() })
	return true
}

// padding makes a call large.
var padding = strings.Repeat("x", 100_000)
