package remote

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// serveSSE opens a session of the older transport: a stream with the address
// to post messages to, and then all that the server has to tell. A client that
// lost the connection, and names the last event it saw, goes on with the
// session that it had.
func (s *Server) serveSSE(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet { // the mux takes HEAD for GET
		notAllowed(w, "GET", "Open a stream with GET here.")
		return
	}
	caller := CallerOf(r.Context())
	session, seen := s.returning(r)
	if session == nil {
		var err error
		if session, err = s.sessions.create(caller, overSSE); err != nil {
			s.full(w, r)
			return
		}
	}
	defer session.begin()()
	ctx, cancel := s.lasting(r, session)
	defer cancel()
	s.metrics.streams.WithLabelValues(string(overSSE)).Inc()
	defer s.metrics.streams.WithLabelValues(string(overSSE)).Dec()
	e := newEventWriter(w)
	err := e.write(fmt.Sprintf("event: endpoint\ndata: /message?sessionId=%s\nretry: %d\n\n", url.QueryEscape(session.id), comeBack.Milliseconds()))
	if err == nil {
		err = s.serve(ctx, session.standing, seen, e, session.id)
	}
	s.told(err, r)
	if err == nil || errors.Is(err, errUnread) {
		if !session.standing.read() { // not replaced by a reader that came back
			s.sessions.end(session)
		}
		return
	}
	time.AfterFunc(linger, func() {
		if !session.standing.read() {
			s.sessions.end(session)
		}
	})
}

// returning returns the session that a request goes on with, and the last
// event that its client saw; nil if it begins another.
func (s *Server) returning(r *http.Request) (*session, int) {
	id, seq, ok := splitEventID(r.Header.Get("Last-Event-ID"))
	if !ok {
		return nil, goesOn
	}
	session, _, err := s.sessions.find(id, CallerOf(r.Context()), overSSE)
	if err != nil || !session.standing.holds(seq) {
		return nil, goesOn
	}
	return session, seq
}

// message takes a message of the older transport. It is answered on the
// session's stream.
func (s *Server) message(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("sessionId")
	if id == "" {
		s.refuse(w, r, http.StatusBadRequest, "session", "sessionId is missing: open GET /sse, and post to the address that it tells.")
		return
	}
	session := s.findID(w, r, id, overSSE)
	if session == nil {
		return
	}
	m, raw, done, ok := s.receive(w, r)
	if !ok {
		return
	}
	if isCancel(m) {
		session.cancel(string(m.Cancelled))
	}
	if m.isResponse() {
		done()
	} else {
		s.begin(r, newCall(m, raw, CallerOf(r.Context()), session), session.standing, false, done)
	}
	w.WriteHeader(http.StatusAccepted)
}
