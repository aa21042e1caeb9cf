//go:build unix

package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

var rolling = flag.Duration("rolling", 0, "how long replicas are called while one after another is restarted; 0: 10 seconds")

// fleet are replicas of the program with one ledger.
type fleet struct {
	*world
	args []string

	mu       sync.Mutex
	replicas []*served
	ports    []string
}

// start starts replica i, on the port that it had before.
func (f *fleet) start(i int) {
	f.mu.Lock()
	addr := f.ports[i]
	f.mu.Unlock()
	c := exec.Command(f.program, append([]string{"serve", "--addr", addr, "--api-url", f.url, "--log-level", "warn"}, f.args...)...)
	c.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect)
	s := serveCommandLine(f.t, c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas[i] = s
	f.ports[i] = strings.TrimPrefix(s.url, "http://")
}

func newFleet(w *world, n int, args ...string) *fleet {
	f := &fleet{world: w, args: args, replicas: make([]*served, n), ports: make([]string, n)}
	for i := range n {
		f.ports[i] = "127.0.0.1:0"
		f.start(i)
	}
	return f
}

// restart ends replica i in order, and starts it again.
func (f *fleet) restart(i int) {
	f.mu.Lock()
	s := f.replicas[i]
	f.mu.Unlock()
	if status, took := s.terminate(15 * time.Second); status != 0 {
		f.t.Errorf("replica %d ended with status %d after %v:\n%s", i, status, took, lastLines(s.said.String(), 20))
	}
	f.start(i)
}

// balancer sends each request to any replica, and one that no replica took, or
// that was answered with a wish to come back, to another: what a proxy does.
type balancer struct {
	*fleet
	next    http.RoundTripper
	retries atomic.Int64
}

func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	for {
		b.mu.Lock()
		port := b.ports[rand.IntN(len(b.ports))]
		b.mu.Unlock()
		one := r.Clone(r.Context())
		one.URL = &url.URL{Scheme: "http", Host: port, Path: r.URL.Path}
		one.Host, one.Body = port, io.NopCloser(bytes.NewReader(raw))
		answer, err := b.next.RoundTrip(one)
		var dial *net.OpError
		switch {
		case err != nil && errors.As(err, &dial) && dial.Op == "dial":
		case err == nil && answer.StatusCode == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") != "":
			answer.Body.Close()
		default:
			return answer, err
		}
		b.retries.Add(1)
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// mixed calls the fleet in many ways.
type mixed struct {
	t       *testing.T
	bulk    string
	windows atomic.Int64 // that single exports were asked for

	calls, again atomic.Int64

	mu         sync.Mutex
	operations []string
}

// next returns a call. Every create is of another window.
func (m *mixed) next(random *rand.Rand) (tool string, args map[string]any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch n := random.IntN(20); {
	case n < 8:
		return "get_bulk_export", map[string]any{"bulk_id": m.bulk, "wait_seconds": random.IntN(2)}
	case n < 10 || len(m.operations) == 0:
		start := september.Add(-time.Duration(m.windows.Add(1)) * time.Hour)
		return "create_segment_export", map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{start.Format(time.RFC3339), start.Add(time.Hour).Format(time.RFC3339)}}
	case n < 14:
		return "get_export_operation", map[string]any{"operation_id": m.operations[random.IntN(len(m.operations))], "wait_seconds": random.IntN(6)}
	case n < 15:
		return "list_export_operations", map[string]any{}
	case n < 18:
		return "plan_time_chunks", map[string]any{"time_range": window{"2026-09-01", "2026-10-01"}, "chunk": "day"}
	case n < 19:
		return "list_bulk_exports", map[string]any{}
	default:
		return "check_connection", map[string]any{}
	}
}

// call makes one call until it has an answer other than that the server stops.
func (m *mixed) call(ctx context.Context, h *httpSession, tool string, args map[string]any) error {
	for {
		var r toolResult
		if err := h.call(ctx, "tools/call", toolCall(tool, args), &r); err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
		m.calls.Add(1)
		if r.IsError && len(r.Content) == 1 && strings.Contains(r.Content[0].Text, "is being restarted") {
			m.again.Add(1)
			continue
		}
		var out struct {
			OperationID string `json:"operation_id"`
		}
		if err := r.into(&out); err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
		if tool == "create_segment_export" {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.operations = append(m.operations, out.OperationID)
		}
		return nil
	}
}

// TestRollingRestart calls three replicas while one after another is restarted,
// with a bulk export under way. Every call is answered, each window is exported
// once, the pace of the account is kept, and the audit log names each export.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	lasts, hours := 10*time.Second, 60
	if *rolling > 0 {
		lasts, hours = *rolling, 300
	}
	w := newWorld(t, build(t), "--density", "1200", "--op-time", "1s", "--slots", "20", "--rate", "30", "--burst", "60")
	dir, place := t.TempDir(), database(t)
	f := newFleet(w, 3, "--dir", dir, "--database", place)
	b := &balancer{fleet: f, next: newHTTPClient(t).Transport}
	client := &http.Client{Transport: b}
	open := func() *httpSession {
		h, err := (&served{url: "http://any"}).open(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := open()
	end := september.Add(time.Duration(hours) * time.Hour).Format(time.RFC3339)
	var started struct {
		ID string `json:"bulk_id"`
	}
	err := callTool(t.Context(), first, "start_bulk_export", map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "hour", "name": "september", "time_range": window{september.Format(time.RFC3339), end}}, &started)
	if err != nil {
		t.Fatal(err)
	}
	m := &mixed{t: t, bulk: started.ID}
	random := randomSource(t)
	until := time.Now().Add(lasts)
	var work sync.WaitGroup
	for range 10 {
		h, own := open(), rand.New(rand.NewPCG(random.Uint64(), 0))
		work.Go(func() {
			for time.Now().Before(until) {
				tool, args := m.next(own)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				if err := m.call(ctx, h, tool, args); err != nil {
					t.Error(err)
				}
				cancel()
				time.Sleep(time.Duration(own.IntN(600)) * time.Millisecond)
			}
		})
	}
	restarts := 0
	for tick := time.NewTicker(5 * time.Second); time.Now().Before(until); restarts++ {
		<-tick.C
		work.Go(func() { f.restart(restarts % 3) })
	}
	work.Wait()
	var status bulkStatus
	for waited := time.Now(); status.State != "complete"; {
		if err := callTool(t.Context(), first, "get_bulk_export", map[string]any{"bulk_id": started.ID, "wait_seconds": 15}, &status); err != nil || time.Since(waited) > 2*time.Minute {
			t.Fatalf("the bulk export is %+v, %v", status, err)
		}
	}
	books := w.books()
	t.Logf("%d calls, %d of them asked again, %d requests sent to another replica, %d restarts; %d exports accepted of %d windows; %d of %d requests to Fullstory refused", m.calls.Load(), m.again.Load(), b.retries.Load(), restarts, books.CreatesAccepted, books.Windows, books.Refused429, books.Requests)
	if want := hours + int(m.windows.Load()); books.Windows != want || books.CreatesAccepted != want {
		t.Errorf("%d exports were accepted of %d windows, want %d of each", books.CreatesAccepted, books.Windows, want)
	}
	if books.Refused429 > 0 {
		t.Errorf("%d requests were refused with 429: the replicas do not share a pace", books.Refused429)
	}
	w.audited(place, books.CreatesAccepted)
	(&job{world: w, dir: dir, hours: hours, density: "1200"}).check(false)
}

// audited holds the audit log to what Fullstory accepted: it names each
// operation once, and who asked for it.
func (w *world) audited(place string, accepted int) {
	w.t.Helper()
	c := exec.Command(w.program, "audit", "--database", place)
	out, err := c.Output()
	if err != nil {
		w.t.Fatal(err)
	}
	named := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e ledger.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			w.t.Fatal(err)
		}
		if e.Event == ledger.Created || e.Event == ledger.Unclear {
			named[e.Operation]++
		}
		if e.Caller != ledger.Local {
			w.t.Errorf("%s was asked for by %q", e.ID, e.Caller)
		}
	}
	operations := w.operations()
	if len(operations) != accepted || len(named) != accepted {
		w.t.Errorf("Fullstory accepted %d exports and lists %d, the audit log names %d", accepted, len(operations), len(named))
	}
	for _, operation := range operations {
		if named[operation] != 1 {
			w.t.Errorf("the audit log names %s %d times", operation, named[operation])
		}
	}
}

// operations returns all operations that the simulated Fullstory has.
func (w *world) operations() (ids []string) {
	w.t.Helper()
	for token := ""; ; {
		r, err := http.NewRequest(http.MethodGet, w.url+"/operations/v1?limit=100&paginationToken="+url.QueryEscape(token), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Basic "+sandbox.KeyArchitect)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			w.t.Fatal(err)
		}
		var page struct {
			Operations          []struct{ ID string }
			NextPaginationToken string
		}
		err = json.NewDecoder(answer.Body).Decode(&page)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			w.t.Fatalf("operations: %s, %v", answer.Status, err)
		}
		for _, o := range page.Operations {
			ids = append(ids, o.ID)
		}
		if token = page.NextPaginationToken; token == "" {
			return ids
		}
	}
}
