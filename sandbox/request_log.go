package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

// logLimit bounds both lists of GET /sandbox/requests: requests, and distinct
// accepted exports.
const logLimit = 1000

// requestLog keeps the last requests. It has up to twice logLimit entries, so
// that old ones are dropped in bulk and not with every request. The zero value
// is empty and ready; it is safe for concurrent use.
type requestLog struct {
	mu      sync.Mutex
	entries []*loggedRequest
}

// loggedRequest is one received request. Of the key only the last four bytes are
// kept.
type loggedRequest struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Key    string    `json:"key,omitempty"`
	Range  string    `json:"range,omitempty"`
	Status int       `json:"status"` // 0: not answered yet, or the connection broke
	Fault  string    `json:"fault,omitempty"`
}

// begin records a request when it arrives. The returned end records the outcome;
// it must be called once, after the answer.
func (b *requestLog) begin(e loggedRequest) (end func(status int, fault string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.entries) >= 2*logLimit {
		b.entries = slices.Delete(b.entries, 0, len(b.entries)-logLimit+1)
	}
	b.entries = append(b.entries, &e)
	return func(status int, fault string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		e.Status, e.Fault = status, fault
	}
}

// list returns copies of the last logLimit entries, oldest first.
func (b *requestLog) list() []loggedRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries := []loggedRequest{}
	for _, e := range b.entries[max(0, len(b.entries)-logLimit):] {
		entries = append(entries, *e)
	}
	return entries
}

// logRequests records each request that next handles. The deferred end also runs
// when a fault breaks the connection by panicking.
func (s *Sandbox) logRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w}
		end := s.requestLog.begin(loggedRequest{At: s.Now(), Method: r.Method, Path: r.URL.Path,
			Range: r.Header.Get("Range"), Key: keySuffix(r.Header.Get("Authorization"))})
		defer func() { end(seen.status, w.Header().Get("Sandbox-Fault")) }()
		next.ServeHTTP(seen, r)
	})
}

// keySuffix returns the last four bytes of a key, or "" for a shorter one.
func keySuffix(key string) string {
	if len(key) < 4 {
		return ""
	}
	return key[len(key)-4:]
}

// statusWriter records the status of an answer. Unwrap lets faults reach the
// connection through http.ResponseController.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// acceptedRequest is a distinct accepted request and how often it was accepted.
// Requests that differ only in their pinned now are the same.
type acceptedRequest struct {
	Fingerprint string       `json:"fingerprint"`
	Segment     string       `json:"segment_id"`
	Type        rowKind      `json:"type"`
	Scope       scope        `json:"scope,omitempty"`
	Format      format       `json:"format"`
	Exports     requestRange `json:"time_range"`
	Count       int          `json:"count"`
}

// accepted groups the accepted exports by request, most recent first, and returns
// at most logLimit groups.
func (s *Sandbox) accepted() ([]acceptedRequest, error) {
	newest, _, err := s.journal.all()
	if err != nil {
		return nil, err
	}
	kinds := []acceptedRequest{}
	places := map[string]int{}
	for _, x := range newest {
		id := x.request.fingerprint()
		at, known := places[id]
		if !known {
			at = len(kinds)
			places[id] = at
			kinds = append(kinds, acceptedRequest{id, x.request.Segment, x.request.Type, x.request.Scope,
				x.request.Format, x.request.Exports, 0})
		}
		kinds[at].Count++
	}
	return kinds[:min(len(kinds), logLimit)], nil
}

// fingerprint identifies a request by all of its fields except the pinned now.
func (r *exportRequest) fingerprint() string {
	same := *r
	same.PinnedNow = time.Time{}
	raw, err := json.Marshal(same)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// showRequests answers GET /sandbox/requests.
func (s *Sandbox) showRequests(w http.ResponseWriter, _ *http.Request) {
	kinds, err := s.accepted()
	if err != nil {
		s.failWith(w, err)
		return
	}
	reply(w, struct {
		Requests []loggedRequest   `json:"requests"`
		Accepted []acceptedRequest `json:"accepted"`
	}{s.requestLog.list(), kinds})
}
