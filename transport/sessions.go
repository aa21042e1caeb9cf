package transport

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fullstory-export-mcp/auth"
)

var (
	// errUnknownSession says that a session is forged, has ended, or belongs to
	// another caller or account. Callers cannot tell these apart.
	errUnknownSession = errors.New("unknown session")
	errFull           = errors.New("too many sessions")
	errOwnFull        = errors.New("too many sessions of one caller")
	errIdle           = errors.New("the session was idle")
)

// mostDead is how many ended sessions are remembered.
const mostDead = 10_000

// sessions are the sessions of all callers. An id carries a MAC over its random
// part, and the name and the account of its caller. So a session of Streamable HTTP that this
// process has forgotten, or that another replica opened, resumes when it is used
// again. sessions is safe for concurrent use.
type sessions struct {
	key   []byte
	most  int
	life  time.Duration            // of an idle session
	ended func(id string)          // called for each session that has ended
	bytes atomic.Int64             // kept by all streams
	kept  func(auth.Caller) budget // of the streams of a caller

	mu   sync.Mutex
	open map[string]*session
	per  map[string]int // open sessions by caller
	dead []string       // sessions that their clients ended, oldest first
}

// newSessions returns sessions of which none is open. ended may be nil.
func newSessions(key []byte, most int, life time.Duration, ended func(string)) *sessions {
	if ended == nil {
		ended = func(string) {}
	}
	t := &sessions{
		key: key, most: most, life: life, ended: ended,
		open: map[string]*session{}, per: map[string]int{},
	}
	t.kept = func(auth.Caller) budget { return budget{&t.bytes, &t.bytes, allBytes} }
	return t
}

// mac binds the random part of an id to a caller and his account. Only the name of a
// caller can contain the separator, so it comes last.
func (t *sessions) mac(nonce string, over protocol, c auth.Caller) string {
	h := hmac.New(sha256.New, t.key)
	h.Write([]byte(nonce + "|" + string(over) + "|" + c.Account + "|" + c.Name))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// create opens a session for a caller. It fails with errFull or errOwnFull.
func (t *sessions) create(c auth.Caller, over protocol) (*session, error) {
	nonce := rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(nonce+"-"+t.mac(nonce, over, c), c, over)
}

// add opens the session with that id. If there are too many, it first closes one
// that is idle. t.mu must be held.
func (t *sessions) add(id string, c auth.Caller, over protocol) (*session, error) {
	if own := t.per[c.Name]; c.Sessions > 0 && own >= c.Sessions && !t.makeRoom(c.Name, own) {
		return nil, errOwnFull
	}
	if len(t.open) >= t.most && !t.makeRoom(c.Name, 0) {
		return nil, errFull
	}
	s := newSession(id, c, over, newStream(ofSession, t.kept(c)))
	t.open[id] = s
	t.per[c.Name]++
	return s, nil
}

// makeRoom closes the session that has been idle for longest, of the caller that has the
// most among those with an idle one. That is caller itself, or one with more sessions
// than caller, so nobody loses a session to a heavier caller; with own, the sessions of
// caller, it is caller. makeRoom returns false if there is none. t.mu must be held.
func (t *sessions) makeRoom(caller string, own int) bool {
	var heaviest *session
	var since time.Time
	for _, s := range t.open {
		n := t.per[s.caller.Name]
		if s.caller.Name != caller && (own > 0 || n <= t.per[caller]) {
			continue
		}
		used, ok := s.idle()
		if !ok {
			continue
		}
		if heaviest != nil {
			most := t.per[heaviest.caller.Name]
			if n < most || n == most && !used.Before(since) {
				continue
			}
		}
		heaviest, since = s, used
	}
	if heaviest == nil {
		return false
	}
	t.remove(heaviest, errIdle)
	return true
}

// remove closes a session. t.mu must be held.
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

// find returns the session with that id if it belongs to c. fresh reports that it
// was not known in this process. find fails with errUnknownSession, or as create does.
func (t *sessions) find(id string, c auth.Caller, over protocol) (s *session, fresh bool, err error) {
	t.mu.Lock()
	s = t.open[id]
	t.mu.Unlock()
	if s != nil && s.over == over && s.belongsTo(c) { // the MAC was checked when it was opened
		return s, false, nil
	}
	nonce, mac, ok := strings.Cut(id, "-")
	if !ok || !hmac.Equal([]byte(mac), []byte(t.mac(nonce, over, c))) {
		return nil, false, errUnknownSession
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.open[id]; ok {
		return s, false, nil
	}
	if over == overSSE || slices.Contains(t.dead, id) { // an SSE session does not outlive its stream
		return nil, false, errUnknownSession
	}
	s, err = t.add(id, c, over)
	return s, true, err
}

// end closes a session for good, because its client ended it.
func (t *sessions) end(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(s, context.Canceled)
	if t.dead = append(t.dead, s.id); len(t.dead) > mostDead {
		t.dead = slices.Delete(t.dead, 0, mostDead/10)
	}
}

// sweep closes the sessions that have been idle for longer than t.life.
func (t *sessions) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.open {
		if used, ok := s.idle(); ok && now.Sub(used) > t.life {
			t.remove(s, errIdle)
		}
	}
}

// count returns how many sessions of a protocol are open.
func (t *sessions) count(over protocol) (n int) {
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
	return slices.Collect(maps.Values(t.open))
}
