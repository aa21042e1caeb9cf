package web

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"fullstory-export-mcp/auth"
)

// store is a Shared in memory.
type store struct {
	mu    sync.Mutex
	notes map[string]string
	down  error
}

func (s *store) Session(_ context.Context, id string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes[id], s.down
}

func (s *store) ChangeSession(_ context.Context, id string, change func(string) string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[id] = change(s.notes[id])
	return s.down
}

// gate returns a gate with one caller, and that caller.
func gate(t *testing.T) (auth.Gate, auth.Caller) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "callers.json")
	token, _, err := auth.NewToken(path, auth.Caller{Name: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	g := auth.Gate{Callers: callers}
	c, err := g.Caller(t.Context(), "Bearer "+token)
	if err != nil {
		t.Fatal(err)
	}
	return g, c
}

// TestReplicas signs in at one replica, is known at the other, and signs out there.
func TestReplicas(t *testing.T) {
	g, c := gate(t)
	key, shared := []byte("a key of replicas, of 32 bytes.."), &store{notes: map[string]string{}}
	one, two := newSessions(key, g, shared), newSessions(key, g, shared)
	other := newSessions([]byte("another key"), g, shared)
	n := one.start(c, false)
	cookie := one.seal(sealedSession, n)
	found, err := two.open(t.Context(), cookie)
	if err != nil || found.Caller.Name != "anna" || !two.isForm(found, one.formToken(n)) {
		t.Fatalf("another replica answers %+v, %v", found, err)
	}
	if _, err := other.open(t.Context(), cookie); !errors.Is(err, errSealed) {
		t.Errorf("with another key: %v", err)
	}
	if err := two.unseal(sealedCode, cookie, &begun{}); err == nil {
		t.Error("a session is accepted as a sign-in that has begun")
	}
	if err := two.end(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	if _, err := one.open(t.Context(), cookie); !errors.Is(err, errSealed) {
		t.Errorf("after sign-out at another replica: %v", err)
	}
	shared.down = errors.New("away")
	if _, err := one.open(t.Context(), one.seal(sealedSession, one.start(c, false))); !errors.Is(err, shared.down) {
		t.Errorf("without the store: %v", err)
	}
}

// TestSessionsEnd lets sessions become old, and restarts the only process.
func TestSessionsEnd(t *testing.T) {
	g, c := gate(t)
	s := newSessions([]byte("key"), g, nil)
	now := time.Now()
	s.now = func() time.Time { return now }
	n := s.start(c, false)
	cookie := s.seal(sealedSession, n)
	for after, valid := range map[time.Duration]bool{0: true, sessionLife - time.Second: true,
		sessionLife + time.Second: false} {
		s.now = func() time.Time { return now.Add(after) }
		if _, err := s.open(t.Context(), cookie); (err == nil) != valid {
			t.Errorf("after %v: %v", after, err)
		}
	}
	s.now = func() time.Time { return now }
	if err := s.end(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.open(t.Context(), cookie); err == nil {
		t.Error("a session that was ended is open")
	}
	if _, err := newSessions([]byte("key"), g, nil).open(t.Context(), cookie); err == nil {
		t.Error("after a restart, which forgets who signed out, the session is open")
	}
	s.now = func() time.Time { return now.Add(2 * sessionLife) }
	if err := s.end(t.Context(), s.start(c, false)); err != nil || len(s.ended) != 1 {
		t.Errorf("%d ends are kept for sessions that are over, %v", len(s.ended), err)
	}
	issued := auth.Caller{Name: "oauth:x", Issued: true, Expires: now.Add(time.Minute)}
	s.now = func() time.Time { return now }
	if got := s.start(issued, false).Until; got != issued.Expires.Unix() {
		t.Errorf("a session of an issued token ends %v later", time.Unix(got, 0).Sub(now))
	}
}

// TestCookies reads the attributes of cookies with TLS, by a proxy and on this machine.
func TestCookies(t *testing.T) {
	for _, c := range []struct {
		address, host, name string
		secure              bool
	}{
		{"https://mcp.example.com", "mcp.example.com", "__Host-fullstory-export", true},
		{"http://127.0.0.1:8931", "127.0.0.1:8931", "fullstory-export-8931", false},
		{"http://localhost", "localhost", "fullstory-export-80", false},
		{"http://localhost", "localhost:8931; Domain=x", "fullstory-export-80", false},
	} {
		g, caller := gate(t)
		site := New(Options{Gate: g, Address: func(context.Context) string { return c.address }})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		w := recorder{header: http.Header{}}
		site.setCookie(w, r, "", site.sessions.seal(sealedSession, site.sessions.start(caller, false)),
			http.SameSiteStrictMode)
		set, err := http.ParseSetCookie(w.header.Get("Set-Cookie"))
		if err != nil {
			t.Fatal(err)
		}
		if set.Name != c.name || set.Secure != c.secure || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode ||
			set.Path != "/" || set.Domain != "" || set.MaxAge != 0 {
			t.Errorf("%s: %+v", c.address, set)
		}
		if len(set.Value) > 2000 {
			t.Errorf("the cookie has %d bytes", len(set.Value))
		}
	}
}

type recorder struct{ header http.Header }

func (r recorder) Header() http.Header         { return r.header }
func (r recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r recorder) WriteHeader(int)             {}

// TestTries bounds the tries of an address, of a network and of all.
func TestTries(t *testing.T) {
	tr := newTries()
	allowed := 0
	for range 100 {
		if tr.allow("198.51.100.1") {
			allowed++
		}
	}
	if allowed < triesAtOnce || allowed > triesAtOnce+2 || !tr.allow("198.51.100.2") {
		t.Errorf("%d tries are allowed at once", allowed)
	}
	for i := range 2 * mostAddress {
		tr.allow(string(rune(i)))
	}
	if len(tr.by) > mostAddress {
		t.Errorf("%d addresses are remembered", len(tr.by))
	}
	r := &http.Request{Header: http.Header{"X-Forwarded-For": {"1.2.3.4, 2001:db8:1:2:3:4:5:6"}}}
	for remote, want := range map[string]string{
		"127.0.0.1:1": "2001:db8:1:2::/64", "203.0.113.9:1": "203.0.113.9", "[::ffff:203.0.113.9]:1": "203.0.113.9",
		"[2001:db8::1]:1": "2001:db8::/64", "10.0.0.1:1": "2001:db8:1:2::/64",
	} {
		if r.RemoteAddr = remote; addressOf(r) != want {
			t.Errorf("%s is %s, want %s", remote, addressOf(r), want)
		}
	}
}

// TestStreams bounds the streams of a session, of a caller and of all.
func TestStreams(t *testing.T) {
	s := newStreams()
	take := func(id, caller string) func() { return s.take(session{ID: id, Caller: auth.Caller{Name: caller}}) }
	var done []func()
	for range sessionStreams {
		done = append(done, take("a", "anna"))
	}
	if take("a", "anna") != nil {
		t.Error("a session has too many")
	}
	for i := range callerStreams - sessionStreams {
		done = append(done, take(string(rune('b'+i)), "anna"))
	}
	if take("zz", "anna") != nil {
		t.Error("a caller has too many")
	}
	for i := range allStreams - callerStreams {
		done = append(done, take(string(rune(1000+i)), string(rune(1000+i))))
	}
	if take("bert", "bert") != nil {
		t.Error("all have too many")
	}
	for _, end := range done {
		end()
		end()
	}
	if s.all != 0 || len(s.held) != 0 {
		t.Errorf("%d streams are counted after their end, %v", s.all, s.held)
	}
}
