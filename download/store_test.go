package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a Sink in memory.
type memory struct {
	content []byte
	etag    string
	length  int64
	full    error // that Reserve returns
	broken  error // that Write returns
}

func (m *memory) Has() (size int64, etag string, length int64) {
	return int64(len(m.content)), m.etag, m.length
}

func (m *memory) Begin(etag string, length int64) error {
	if len(m.content) > 0 {
		return errors.New("Begin of a sink that is not empty")
	}
	m.etag, m.length = etag, length
	return nil
}

func (m *memory) Reset() error {
	m.content, m.etag, m.length = nil, "", -1
	return nil
}

func (m *memory) Reserve(int64) error { return m.full }

func (m *memory) Write(b []byte) (int, error) {
	if m.broken != nil {
		return 0, m.broken
	}
	m.content = append(m.content, b...)
	return len(b), nil
}

// blob returns n bytes that look random, the same for each n.
func blob(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

// handler answers the request of number n, from 1.
type handler func(n int, w http.ResponseWriter, r *http.Request)

// whole returns a handler that serves an object.
func whole(etag string, content []byte) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, etag, content) }
}

// broken returns a handler that sends the first size bytes of each answer.
func broken(etag string, content []byte, size int) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) { cut(w, r, etag, content, size) }
}

// part returns a handler that sends the whole object as a part, whatever was asked.
func part(etag string, content []byte) handler {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(content)
	}
}

// status returns a handler that answers with a status alone.
func status(code int) handler {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// redirect returns a handler that redirects to a location.
func redirect(to string) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// then returns a handler that answers each of the first requests with one of first, and
// the others with rest.
func then(rest handler, first ...handler) handler {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		if n <= len(first) {
			first[n-1](n, w, r)
			return
		}
		rest(n, w, r)
	}
}

// store is an object store of one object.
type store struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // "METHOD Range If-Range" of each request
}

// newStore starts a store that answers with h. It rejects HEAD, as a store does with a
// link that is signed for GET.
func newStore(t *testing.T, h handler) *store {
	t.Helper()
	s := &store{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		asked := fmt.Sprint(r.Method, " ", r.Header.Get("Range"), " ", r.Header.Get("If-Range"))
		s.asked = append(s.asked, strings.TrimSpace(asked))
		n := len(s.asked)
		s.mu.Unlock()
		for _, secret := range []string{"Authorization", "Cookie", "Referer"} {
			if r.Header.Get(secret) != "" {
				t.Errorf("the download sends %s: %q", secret, r.Header.Get(secret))
			}
		}
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("Accept-Encoding is %q", r.Header.Get("Accept-Encoding"))
		}
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		h(n, w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// requests returns the requests so far, see store.asked.
func (s *store) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// serveObject answers as an object store does, with Range and If-Range.
func serveObject(w http.ResponseWriter, r *http.Request, etag string, content []byte) {
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Type", "application/gzip")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// cut sends the first n bytes of the answer to r and then breaks the
// connection.
func cut(w http.ResponseWriter, r *http.Request, etag string, content []byte, n int) {
	recorded := httptest.NewRecorder()
	serveObject(recorded, r, etag, content)
	for key, values := range recorded.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(recorded.Code)
	w.Write(recorded.Body.Bytes()[:n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// source returns the object of the store.
func (s *store) source() Source {
	return Source{
		Link:          func(context.Context) (string, error) { return s.URL + "/bucket/object?sig=s3cr3t", nil },
		AllowLoopback: true,
	}
}

// quick returns limits for tests, with short waits.
func quick() limits {
	return limits{
		answer: time.Minute, stall: time.Minute, period: 5 * time.Minute, slowest: 64 << 10,
		wait: time.Millisecond, tries: 5, largest: 1 << 30,
	}
}

// get downloads the file of a source into an empty sink.
func get(ctx context.Context, s Source) ([]byte, Result, error) {
	sink := &memory{length: -1}
	result, err := s.to(ctx, sink, quick())
	return sink.content, result, err
}
