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

// bookLimit is how many requests, and how many kinds of accepted exports, are
// told of.
const bookLimit = 1000

// books remember the last requests.
type books struct {
	mu   sync.Mutex
	last []*bookEntry
}

// bookEntry is one request that was received. The key is told by its suffix.
type bookEntry struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Key    string    `json:"key,omitempty"`
	Range  string    `json:"range,omitempty"`
	Status int       `json:"status"` // 0: not answered yet, or the connection was broken
	Fault  string    `json:"fault,omitempty"`
}

// begin notes a request as it arrives, and returns a function that notes what
// it was answered.
func (b *books) begin(e bookEntry) (end func(status int, fault string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.last) >= 2*bookLimit {
		b.last = slices.Delete(b.last, 0, len(b.last)-bookLimit+1)
	}
	b.last = append(b.last, &e)
	return func(status int, fault string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		e.Status, e.Fault = status, fault
	}
}

func (b *books) list() []bookEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries := []bookEntry{}
	for _, e := range b.last[max(0, len(b.last)-bookLimit):] {
		entries = append(entries, *e)
	}
	return entries
}

// recorded writes down each request of the API or for a file.
func (s *Sandbox) recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w}
		end := s.books.begin(bookEntry{At: s.Now(), Method: r.Method, Path: r.URL.Path, Range: r.Header.Get("Range"), Key: suffixOf(r.Header.Get("Authorization"))})
		defer func() { end(seen.status, w.Header().Get("Sandbox-Fault")) }()
		next.ServeHTTP(seen, r)
	})
}

func suffixOf(key string) string {
	if len(key) < 4 {
		return ""
	}
	return key[len(key)-4:]
}

// statusWriter sees the status of an answer.
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

// acceptedKind is one request that was accepted, and how often. The pinned now
// makes no difference.
type acceptedKind struct {
	Fingerprint string       `json:"fingerprint"`
	Segment     string       `json:"segment_id"`
	Type        rowKind      `json:"type"`
	Scope       scope        `json:"scope,omitempty"`
	Format      format       `json:"format"`
	Exports     requestRange `json:"time_range"`
	Count       int          `json:"count"`
}

// accepted adds up the exports that were accepted, the latest kinds first.
func (s *Sandbox) accepted() ([]acceptedKind, error) {
	newest, _, err := s.journal.all()
	if err != nil {
		return nil, err
	}
	kinds := []acceptedKind{}
	places := map[string]int{}
	for _, x := range newest {
		id := x.request.fingerprint()
		at, known := places[id]
		if !known {
			at = len(kinds)
			places[id] = at
			kinds = append(kinds, acceptedKind{id, x.request.Segment, x.request.Type, x.request.Scope, x.request.Format, x.request.Exports, 0})
		}
		kinds[at].Count++
	}
	return kinds[:min(len(kinds), bookLimit)], nil
}

// fingerprint tells two requests apart, but for their pinned now.
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

func (s *Sandbox) showRequests(w http.ResponseWriter, _ *http.Request) {
	kinds, err := s.accepted()
	if err != nil {
		s.failWith(w, err)
		return
	}
	reply(w, struct {
		Requests []bookEntry    `json:"requests"`
		Accepted []acceptedKind `json:"accepted"`
	}{s.books.list(), kinds})
}
