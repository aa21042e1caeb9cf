package transport

import (
	"context"
	"slices"
	"sync"
	"time"

	"fullstory-export-mcp/auth"
)

// protocol says how the messages of a session travel.
type protocol string

const (
	streamable protocol = "mcp"
	overSSE    protocol = "sse"
)

// mostCallStreams is how many streams of calls a session keeps for clients that
// reconnect.
const mostCallStreams = 16

// session is the conversation of one client over HTTP, which outlives its
// requests. It is safe for concurrent use.
type session struct {
	conversation  conversation
	id            string
	caller        auth.Caller
	over          protocol
	sessionStream *stream         // notifications that belong to no call; over SSE everything
	ended         context.Context // ends with the session
	end           context.CancelCauseFunc

	mu      sync.Mutex
	used    time.Time
	busy    int         // calls and streams: a busy session is not idle
	streams []*stream   // of calls whose client may reconnect, oldest first
	shared  sharedState // what this replica knows of the session's shared state
}

func newSession(id string, c auth.Caller, over protocol, st *stream) *session {
	s := &session{id: id, caller: c, over: over, sessionStream: st, used: time.Now()}
	s.ended, s.end = context.WithCancelCause(context.Background())
	s.conversation.id, s.conversation.out = id, st
	return s
}

// belongsTo reports whether a caller may use the session: one with another account may
// not, even if the name is the same.
func (s *session) belongsTo(c auth.Caller) bool {
	return s.caller.Name == c.Name && s.caller.Account == c.Account
}

// begin marks the session as busy until done is called.
func (s *session) begin() (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
	s.busy++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used = time.Now()
		s.busy--
	}
}

// idle returns since when the session has been idle. ok is false while it is
// busy.
func (s *session) idle() (since time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.busy == 0
}

// keep keeps the stream of a call, so that a client that lost the connection can
// read the rest. Beyond mostCallStreams it forgets the oldest that nobody reads.
func (s *session) keep(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Err() != nil {
		st.forget()
		return
	}
	s.streams = append(s.streams, st)
	for i := 0; i < len(s.streams) && len(s.streams) > mostCallStreams; {
		if !s.streams[i].left() {
			i++
			continue
		}
		s.streams[i].forget()
		s.streams = slices.Delete(s.streams, i, i+1)
	}
}

// kept returns the stream with that id, of a call or of the session; nil if it is
// not kept.
func (s *session) kept(id string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessionStream.id == id {
		return s.sessionStream
	}
	for _, st := range s.streams {
		if st.id == id {
			return st
		}
	}
	return nil
}

// close ends the session, its calls and its streams, because of cause.
func (s *session) close(cause error) {
	s.end(cause)
	s.conversation.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessionStream.forget()
	for _, st := range s.streams {
		st.forget()
	}
	s.streams = nil
}
