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
	"syscall"
	"testing"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

var rolling = flag.Duration("rolling", 0, "time during which replicas are called and restarted in turn; 0: 10 seconds")

// fleet is a set of replicas with one ledger.
type fleet struct {
	*world
	args []string
	env  []string // additional

	mu       sync.Mutex
	replicas []*served
	ports    []string
}

// start starts replica i, on the same port as before.
func (f *fleet) start(i int) {
	f.mu.Lock()
	addr := f.ports[i]
	f.mu.Unlock()
	c := exec.Command(f.program, append([]string{
		"serve", "--addr", addr, "--api-url", f.url, "--log-level", "warn",
	}, f.args...)...)
	c.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect)
	c.Env = append(c.Env, f.env...)
	s := serveCommandLine(f.t, c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas[i] = s
	f.ports[i] = strings.TrimPrefix(s.url, "http://")
}

func newFleet(w *world, n int, args ...string) *fleet { return newFleetWith(w, n, nil, args...) }

// newFleetWith starts n replicas with an additional environment.
func newFleetWith(w *world, n int, env []string, args ...string) *fleet {
	f := &fleet{world: w, args: args, env: env, replicas: make([]*served, n), ports: make([]string, n)}
	for i := range n {
		f.ports[i] = "127.0.0.1:0"
		f.start(i)
	}
	return f
}

// restart terminates replica i, which must end cleanly, and starts it again.
func (f *fleet) restart(i int) {
	f.mu.Lock()
	s := f.replicas[i]
	f.mu.Unlock()
	if status, took := s.terminate(patience); status != 0 {
		f.t.Errorf("replica %d ended with status %d after %v:\n%s", i, status, took, lastLines(s.stderr.String(), 20))
	}
	f.start(i)
}

// balancer sends each request to a random replica, as a proxy does. It retries a
// request that could not connect or was answered 503 with Retry-After.
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

// mixed makes random calls to a fleet.
type mixed struct {
	t       *testing.T
	bulk    string
	windows atomic.Int64 // number of single exports that were requested

	calls, retries atomic.Int64
	// cut counts the requests whose connection waited for a replica to accept it when
	// that closed its listener: the kernel ends such a connection.
	cut atomic.Int64

	mu         sync.Mutex
	operations []string
}

// next returns a random call. Every create has a window of its own.
func (m *mixed) next(random *rand.Rand) (tool string, args map[string]any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch n := random.IntN(20); {
	case n < 8:
		return "get_bulk_export", map[string]any{"bulk_id": m.bulk, "wait_seconds": random.IntN(2)}
	case n < 10 || len(m.operations) == 0:
		start := september.Add(-time.Duration(m.windows.Add(1)) * time.Hour)
		return "create_segment_export", map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT",
			"time_range": window{start.Format(time.RFC3339), start.Add(time.Hour).Format(time.RFC3339)},
		}
	case n < 14:
		return "get_export_operation", map[string]any{
			"operation_id": m.operations[random.IntN(len(m.operations))], "wait_seconds": random.IntN(6),
		}
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

// call makes a call, and retries it while the answer is that the server stops, or while
// there is none. To repeat a create is safe, because an identical one is used again.
func (m *mixed) call(ctx context.Context, h *httpSession, tool string, args map[string]any) error {
	for {
		var r toolResult
		err := h.call(ctx, "tools/call", toolCall(tool, args), &r)
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			m.cut.Add(1)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
		m.calls.Add(1)
		if r.IsError && len(r.Content) == 1 && strings.Contains(r.Content[0].Text, "is being restarted") {
			m.retries.Add(1)
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

// checkCut checks that at most three of the requests of ten workers were cut off at each restart:
// the more the machine has to do, the more connections wait to be accepted.
func (m *mixed) checkCut(restarts int) {
	m.t.Helper()
	if cut := m.cut.Load(); cut > 3*int64(restarts) {
		m.t.Errorf("%d requests were cut off at %d restarts", cut, restarts)
	}
}

// TestRollingRestart calls three replicas while they are restarted in turn and a
// bulk export runs. Every call must be answered, a few at each restart after they were
// sent again, each window be exported once, no request be throttled, and the audit log
// name each export.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	lasts, hours := 10*time.Second, 60
	if *rolling > 0 {
		lasts, hours = *rolling, 300
	}
	w := newWorld(t, build(t), "--density", "1200", "--op-time", "1s", "--slots", "20", "--rate", "30", "--burst", "60")
	dir, place := t.TempDir(), database(t)
	f := newFleet(w, 3, "--dir", dir, "--database", place)
	// A connection for each request, as nginx does by default: a stopping replica may
	// close an idle connection just when a request is sent on it.
	next := newHTTPClient(t).Transport.(*http.Transport)
	next.DisableKeepAlives = true
	b := &balancer{fleet: f, next: next}
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
	err := callTool(t.Context(), first, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "hour", "name": "september",
		"time_range": window{september.Format(time.RFC3339), end},
	}, &started)
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
				ctx, cancel := context.WithTimeout(t.Context(), patience)
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
		i := restarts % 3
		work.Go(func() { f.restart(i) })
	}
	work.Wait()
	var status bulkStatus
	for waited := time.Now(); status.State != "complete"; {
		args := map[string]any{"bulk_id": started.ID, "wait_seconds": 15}
		err := callTool(t.Context(), first, "get_bulk_export", args, &status)
		if err != nil || time.Since(waited) > testLimit {
			t.Fatalf("the bulk export is %+v, %v", status, err)
		}
	}
	books := w.books()
	t.Logf("%d calls, %d retries of calls, %d requests sent to another replica, %d cut off, %d restarts",
		m.calls.Load(), m.retries.Load(), b.retries.Load(), m.cut.Load(), restarts)
	m.checkCut(restarts)
	t.Logf("%d exports accepted of %d windows; %d of %d requests to Fullstory throttled",
		books.CreatesAccepted, books.Windows, books.Throttled, books.Requests)
	if want := hours + int(m.windows.Load()); books.Windows != want || books.CreatesAccepted != want {
		t.Errorf("%d exports were accepted of %d windows, want %d of each", books.CreatesAccepted, books.Windows, want)
	}
	if books.Throttled > 0 {
		t.Errorf("%d requests were throttled: the replicas do not share a rate limit", books.Throttled)
	}
	w.audited(place, books.CreatesAccepted)
	(&job{world: w, dir: dir, hours: hours, density: "1200"}).check(false)
}

// audited compares the audit log with the operations of the sandbox: it must name
// each operation once, with its caller.
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
			w.t.Errorf("%s has the caller %q", e.ID, e.Caller)
		}
	}
	operations := w.operations()
	if len(operations) != accepted || len(named) != accepted {
		w.t.Errorf("Fullstory accepted %d exports and lists %d, the audit log names %d", accepted, len(operations),
			len(named))
	}
	for _, operation := range operations {
		if named[operation] != 1 {
			w.t.Errorf("the audit log names %s %d times", operation, named[operation])
		}
	}
}

// operations returns the ids of all operations of the sandbox.
func (w *world) operations() (ids []string) {
	w.t.Helper()
	for token := ""; ; {
		r, err := http.NewRequest(http.MethodGet, w.url+"/operations/v1?limit=100&paginationToken="+url.QueryEscape(token),
			nil)
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
