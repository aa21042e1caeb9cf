package remote

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// transport is how a session's messages travel.
type transport string

const (
	streamable transport = "mcp"
	overSSE    transport = "sse"
)

var (
	// errUnknownSession is a session that is no other caller's business
	// either: forged, ended, or somebody else's.
	errUnknownSession = errors.New("unknown session")
	errFull           = errors.New("too many sessions")
)

// mostCalls is how many streams of calls a session keeps for clients that come
// back.
const mostCalls = 16

// session is one client's connection to the server, which outlives its
// requests. It is safe for concurrent use.
type session struct {
	id       string
	caller   Caller
	over     transport
	standing *stream // what belongs to no call; over SSE everything
	level    atomic.Value
	ended    context.Context // ends with the session
	end      context.CancelCauseFunc

	mu      sync.Mutex
	used    time.Time
	busy    int                                // calls and readers: a busy session is not idle
	calls   []*stream                          // of calls whose client may come back, oldest first
	cancels map[string]context.CancelCauseFunc // of running calls, by id as sent
	noted   sessionNote                        // what other replicas were told, or told
}

// begin notes that the session is used until done is called.
func (s *session) begin() (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
	s.busy++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used = time.Now()
		s.busy--
	})
}

// idle returns since when nothing has used the session; it is false while
// something does.
func (s *session) idle() (since time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.busy == 0
}

// errCancelled is a call that its client does not want any more.
var errCancelled = fmt.Errorf("cancelled by the client: %w", context.Canceled)

// start notes a running call under its id; cancel ends it. stop forgets it.
func (s *session) start(id string, cancel context.CancelCauseFunc) (stop func()) {
	if s == nil || id == "" {
		return func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.cancels[id]; taken {
		return func() {} // ids are not to be used twice; the first one has it
	}
	s.cancels[id] = cancel
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.cancels, id)
	}
}

// cancel ends the running call with that id. It returns false if there is none.
func (s *session) cancel(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cancel, ok := s.cancels[id]
	if ok {
		cancel(errCancelled)
	}
	return ok
}

// whenEnded calls f once the session has ended, unless unbind is called before.
func (s *session) whenEnded(f func()) (unbind func() bool) {
	if s == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(s.ended, f)
}

// keep holds on to the stream of a call, so that a client that lost the
// connection can read the rest. The oldest are let go.
func (s *session) keep(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Err() != nil {
		st.forget()
		return
	}
	s.calls = append(s.calls, st)
	if len(s.calls) > mostCalls {
		s.calls[0].forget()
		s.calls = slices.Delete(s.calls, 0, 1)
	}
}

// kept returns the stream with that id: of a call, or the standing one.
func (s *session) kept(id string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams() {
		if st.id == id {
			return st
		}
	}
	return nil
}

// streams returns the streams that are kept. The caller holds mu.
func (s *session) streams() []*stream { return append([]*stream{s.standing}, s.calls...) }

// close ends the session and all that hangs on it, because of cause.
func (s *session) close(cause error) {
	s.end(cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams() {
		st.forget()
	}
	s.calls = nil
}

// sessions are those of all callers. An id proves by itself whose it is: it
// carries a MAC over its random part and the caller's name, so that a session
// of Streamable HTTP which this process has forgotten, or never knew, goes on
// when it is used again. It is safe for concurrent use.
type sessions struct {
	key   []byte
	most  int
	life  time.Duration
	ended func(id string) // told of each session that has ended; may be nil
	bytes atomic.Int64    // that all streams keep

	mu   sync.Mutex
	open map[string]*session
	per  map[string]int // open sessions by caller
	dead []string       // ended by their clients; the oldest are forgotten
}

// mostDead is how many ended sessions are remembered.
const mostDead = 10_000

func newSessions(key []byte, most int, life time.Duration, ended func(string)) *sessions {
	if ended == nil {
		ended = func(string) {}
	}
	return &sessions{key: key, most: most, life: life, ended: ended, open: map[string]*session{}, per: map[string]int{}}
}

// mac binds the random part of an id to who may use it.
func (t *sessions) mac(nonce string, over transport, caller string) string {
	h := hmac.New(sha256.New, t.key)
	h.Write([]byte(nonce + "|" + string(over) + "|" + caller))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// create opens a session for a caller. It fails with errFull.
func (t *sessions) create(c Caller, over transport) (*session, error) {
	nonce := rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(nonce+"-"+t.mac(nonce, over, c.Name), c, over)
}

// add opens the session with that id, in the place of one that nobody uses if
// there are too many. The caller holds mu.
func (t *sessions) add(id string, c Caller, over transport) (*session, error) {
	own := c.Sessions > 0 && t.per[c.Name] >= c.Sessions
	if (own || len(t.open) >= t.most) && !t.makeRoom(c.Name, own) {
		return nil, errFull
	}
	ended, end := context.WithCancelCause(context.Background())
	s := &session{id: id, caller: c, over: over, standing: newStream(ofSession, &t.bytes), ended: ended, end: end, used: time.Now(), cancels: map[string]context.CancelCauseFunc{}}
	t.open[id] = s
	t.per[c.Name]++
	return s, nil
}

// makeRoom closes the session that has been idle for longest: the caller's own
// if own is set. It returns false if all are in use.
func (t *sessions) makeRoom(caller string, own bool) bool {
	var oldest *session
	var since time.Time
	for _, s := range t.open {
		if own && s.caller.Name != caller {
			continue
		}
		if used, ok := s.idle(); ok && (oldest == nil || used.Before(since)) {
			oldest, since = s, used
		}
	}
	if oldest == nil {
		return false
	}
	t.remove(oldest, errIdle)
	return true
}

var errIdle = errors.New("the session was idle")

// remove closes a session. The caller holds mu.
func (t *sessions) remove(s *session, cause error) {
	if t.open[s.id] != s {
		return
	}
	delete(t.open, s.id)
	if t.per[s.caller.Name]--; t.per[s.caller.Name] == 0 {
		delete(t.per, s.caller.Name)
	}
	s.close(cause)
	t.ended(s.id)
}

// find returns the session with that id if it is this caller's, and whether it
// was not known here. It fails with errUnknownSession or errFull.
func (t *sessions) find(id string, c Caller, over transport) (s *session, fresh bool, err error) {
	nonce, mac, ok := strings.Cut(id, "-")
	if !ok || !hmac.Equal([]byte(mac), []byte(t.mac(nonce, over, c.Name))) {
		return nil, false, errUnknownSession
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.open[id]; ok {
		return s, false, nil
	}
	if over == overSSE || slices.Contains(t.dead, id) {
		return nil, false, errUnknownSession // without its stream, an SSE session is none
	}
	s, err = t.add(id, c, over)
	return s, true, err
}

// end closes a session for good, as its client wants it.
func (t *sessions) end(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(s, context.Canceled)
	if t.dead = append(t.dead, s.id); len(t.dead) > mostDead {
		t.dead = slices.Delete(t.dead, 0, mostDead/10)
	}
}

// sweep closes the sessions that nobody has used for as long as they live.
func (t *sessions) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.open {
		if used, ok := s.idle(); ok && now.Sub(used) > t.life {
			t.remove(s, errIdle)
		}
	}
}

// count returns how many sessions of a transport are open.
func (t *sessions) count(over transport) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.open {
		if s.over == over {
			n++
		}
	}
	return n
}

// all returns the open sessions.
func (t *sessions) all() []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	var open []*session
	for _, s := range t.open {
		open = append(open, s)
	}
	return open
}
