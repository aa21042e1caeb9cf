package exports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// answer is an answer to a request of the victim.
type answer struct {
	status int // 0: the answer of the sandbox
	body   string
	header [2]string
}

// interceptor changes the sandbox's answers to the victim's requests. Functions that are
// nil change nothing. mu is locked while a function runs.
type interceptor struct {
	// create answers the nth create, from 1. accept has the sandbox accept it, and returns
	// the id of its operation.
	create    func(n int, accept func() string) answer
	operation func(map[string]any) // changes an operation, in lists and alone
	alone     func() answer        // answers a read of one operation
	list      func() answer        // answers a read of the list of operations
	unlisted  bool                 // lists do not have the victim's operations
	results   func() answer        // answers a read of results

	mu      sync.Mutex
	creates int
	ids     map[string]bool // of the victim's operations
	exports map[string]bool // of the victim's search exports
}

// serve answers a request, by api or instead of it.
func (m *interceptor) serve(api http.Handler, w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	recorded := httptest.NewRecorder()
	forward := func() *httptest.ResponseRecorder { api.ServeHTTP(recorded, r); return recorded }
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	a := answer{}
	switch path := r.URL.Path; {
	case r.Method == http.MethodPost && path == "/segments/v1/exports" && bytes.Contains(body, []byte(victim)):
		a = m.created(forward)
	case path == "/operations/v1" && m.list != nil:
		a = m.list()
	case path == "/operations/v1", len(parts) == 3 && parts[0] == "operations" && r.Method == http.MethodGet:
		a = m.operations(forward(), parts)
	case len(parts) == 5 && parts[0] == "search" && m.exports[parts[3]] && m.results != nil:
		a = m.results()
	}
	if a.status == 0 {
		if recorded.Body.Len() == 0 {
			forward()
		}
		a = answer{status: recorded.Code, body: recorded.Body.String()}
	}
	for name, values := range recorded.Header() {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	if a.header[0] != "" {
		w.Header().Set(a.header[0], a.header[1])
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// created answers a create of the victim, and notes the operation if it is accepted.
func (m *interceptor) created(forward func() *httptest.ResponseRecorder) answer {
	m.creates++
	accept := func() string {
		var named struct{ OperationID string }
		_ = json.Unmarshal(forward().Body.Bytes(), &named)
		m.ids[named.OperationID] = true
		return named.OperationID
	}
	if m.create == nil {
		accept()
		return answer{}
	}
	return m.create(m.creates, accept)
}

// operations changes the victim's operations in a list or in a read of one operation.
func (m *interceptor) operations(got *httptest.ResponseRecorder, parts []string) answer {
	var page map[string]any
	if got.Code != http.StatusOK || json.Unmarshal(got.Body.Bytes(), &page) != nil {
		return answer{}
	}
	if len(parts) == 3 {
		if m.ids[fmt.Sprint(page["id"])] && m.alone != nil {
			return m.alone()
		}
		m.change(page)
	} else {
		var kept []any
		for _, each := range page["operations"].([]any) {
			if m.change(each.(map[string]any)); !m.unlisted || !m.ids[fmt.Sprint(each.(map[string]any)["id"])] {
				kept = append(kept, each)
			}
		}
		page["operations"] = kept
	}
	raw, _ := json.Marshal(page)
	return answer{status: http.StatusOK, body: string(raw)}
}

// change changes op if it is the victim's.
func (m *interceptor) change(op map[string]any) {
	if !m.ids[fmt.Sprint(op["id"])] {
		return
	}
	if results, ok := op["results"].(map[string]any); ok {
		m.exports[fmt.Sprint(results["searchExportId"])] = true
	}
	if m.operation != nil {
		m.operation(op)
	}
}

// hold keeps the victim's operations pending until release is called.
func (l *lab) hold() (release func()) {
	var released atomic.Bool
	l.intercept.Store(&interceptor{ids: map[string]bool{}, exports: map[string]bool{}, operation: func(op map[string]any) {
		if op["state"] == "COMPLETED" && !released.Load() {
			op["state"], op["results"] = "PENDING", nil
		}
	}})
	return func() { released.Store(true) }
}

// always is an interceptor.create with the same answer each time.
func always(a answer) func(int, func() string) answer {
	return func(int, func() string) answer { return a }
}

const wafPage = "<html><body>Blocked.</body></html>"

// TestInterceptedAnswers gives one bulk export answers that no fault of the sandbox has.
// They concern its requests alone, not the key or the connection: the neighbour is
// exported meanwhile.
func TestInterceptedAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range intercepted() {
		t.Run(name, func(t *testing.T) {
			if test.want.similar {
				long(t)
			}
			t.Parallel()
			test.check(t)
		})
	}
}

type interceptTest struct {
	*interceptor
	want hostile
}

func intercepted() map[string]interceptTest {
	first := ""
	began := time.Now()
	reason := strings.Repeat("long ", 15_000)
	if *full {
		reason = strings.Repeat(reason, 10)
	}
	notYours := answer{status: 403, body: `{"message":"not yours"}`}
	return map[string]interceptTest{
		"a create answered 403 by a firewall": {&interceptor{create: always(answer{status: 403, body: wafPage})},
			hostile{hours: 1, ends: ledger.BulkPaused, creates: 6, says: "an HTML page"}},
		"a create answered 404 by a proxy": {&interceptor{create: always(answer{status: 404, body: wafPage})},
			hostile{hours: 1, ends: ledger.BulkPaused, creates: 6, says: "an HTML page", similar: true}},
		"a create redirected": {&interceptor{create: always(answer{
			status: 308, header: [2]string{"Location", "https://elsewhere.example.com/"},
		})},
			hostile{hours: 1, ends: ledger.BulkPaused, creates: 6, says: "redirect"}},
		"a create forbidden": {&interceptor{create: always(answer{status: 403, body: `{"message":"not this segment"}`})},
			hostile{hours: 2, ends: ledger.BulkPaused, creates: 1, says: "not this segment"}},
		"a create answered 409": {&interceptor{create: func(n int, accept func() string) answer {
			if n < 3 {
				return answer{status: 409, body: `{"message":"too many exports run"}`}
			}
			accept()
			return answer{}
		}}, hostile{hours: 1, ends: ledger.BulkComplete, creates: 3}},
		"a create that names another operation": {&interceptor{create: func(n int, accept func() string) answer {
			if id := accept(); n == 1 {
				first = id
			}
			return answer{status: 200, body: `{"operationId":"` + first + `"}`}
		}}, hostile{hours: 2, ends: ledger.BulkComplete, creates: 2}},
		"429 without a time": {&interceptor{create: always(answer{status: 429, header: [2]string{"Retry-After", "soon"}})},
			hostile{hours: 1, ends: ledger.BulkRunning, creates: 6, says: "429"}},
		"a forbidden operation": {&interceptor{unlisted: true, alone: func() answer { return notYours }},
			hostile{hours: 2, ends: ledger.BulkRunning, says: "not yours"}},
		"a list that cannot be read": {&interceptor{list: func() answer { return answer{status: 500} }},
			hostile{hours: 2, ends: ledger.BulkComplete}},
		"a list that is a page": {&interceptor{list: func() answer { return answer{status: 200, body: wafPage} }},
			hostile{hours: 2, ends: ledger.BulkComplete, similar: true}},
		"a list that is too long": {&interceptor{list: func() answer {
			return answer{status: 200, body: `{"operations":[{"id":"` + strings.Repeat("x", 9<<20) + `"}]}`}
		}}, hostile{hours: 2, ends: ledger.BulkComplete}},
		"a lost answer and no list": {&interceptor{
			create: always(answer{status: 500}),
			list:   func() answer { return answer{status: 500, body: `{"message":"no list today"}`} },
		}, hostile{hours: 2, ends: ledger.BulkRunning, creates: 1, says: "no list today"}},
		"failed with long reasons": {&interceptor{operation: func(op map[string]any) {
			op["state"], op["errorDetails"] = "FAILED", reason
		}}, hostile{hours: 1, ends: ledger.BulkFailed, creates: 60, says: "long long"}},
		"forbidden results": {&interceptor{results: func() answer { return notYours }},
			hostile{hours: 2, ends: ledger.BulkPaused, says: "not yours"}},
		"completed without results, for a while": {&interceptor{operation: func(op map[string]any) {
			if time.Since(began) < 4*time.Second {
				op["results"] = nil
			}
		}}, hostile{hours: 2, ends: ledger.BulkComplete, similar: true}},
		"completed without results": {&interceptor{operation: func(op map[string]any) { op["results"] = nil }},
			hostile{hours: 2, ends: ledger.BulkRunning, says: "does not name its file"}},
		"an unknown state": {&interceptor{operation: func(op map[string]any) { op["state"] = "PAUSED" }},
			hostile{hours: 2, ends: ledger.BulkRunning, says: "a state that this program does not know"}},
		"failed without a reason": {&interceptor{operation: func(op map[string]any) { op["state"] = "FAILED" }},
			hostile{hours: 1, ends: ledger.BulkRunning, creates: 30, says: "gave no reason"}},
	}
}

func (test interceptTest) check(t *testing.T) {
	l := newLab(t, sandbox.Config{Density: 1000})
	m := test.interceptor
	m.ids, m.exports = map[string]bool{}, map[string]bool{}
	l.intercept.Store(m)
	l.run()
	neighbour := l.start(order(8))
	v := l.start(orderOf(victim, test.want.hours))
	l.awaitState(neighbour.ID, ledger.BulkComplete)
	l.checkFolder(neighbour)
	s := l.await(v.ID, string(test.want.ends)+", with a reason", func(s Status) bool {
		if test.want.ends != ledger.BulkRunning {
			l.hurryAll(v.ID, false)
		}
		return s.Bulk.State == test.want.ends && strings.Contains(l.reasons(s.Bulk), test.want.says)
	})
	if s.Bulk.State == ledger.BulkComplete {
		l.checkFolder(v)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if most := max(test.want.creates, test.want.hours); m.creates > most {
		t.Errorf("%d creates were sent for the victim, want at most %d", m.creates, most)
	}
}

// TestThrottledCreates throttles the creates of one export: the delay doubles with each,
// from a second, and each is one request.
func TestThrottledCreates(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	var sent []time.Time
	m := &interceptor{ids: map[string]bool{}, exports: map[string]bool{}}
	m.create = func(int, func() string) answer {
		sent = append(sent, time.Now())
		return answer{status: http.StatusTooManyRequests}
	}
	l.intercept.Store(m)
	l.run()
	v := l.start(orderOf(victim, 1))
	l.await(v.ID, "throttled three times", func(Status) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(sent) >= 3
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, least := range []time.Duration{time.Second, 2 * time.Second} {
		if delay := sent[i+1].Sub(sent[i]); delay < least {
			t.Errorf("create %d was sent %v after the one before, want at least %v", i+2, delay, least)
		}
	}
}
