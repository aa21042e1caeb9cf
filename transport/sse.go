package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"fullstory-export-mcp/auth"
)

// serveSSE opens a session of the older transport: a stream that begins with the
// address to post messages to and then carries everything that the server sends.
// A client that lost the connection and names the last event that it has resumes
// its session.
func (s *Server) serveSSE(w http.ResponseWriter, r *http.Request) {
	session, seen := s.resumed(r)
	if session == nil {
		var err error
		if session, err = s.sessions.create(auth.CallerOf(r.Context()), overSSE); err != nil {
			s.full(w, r, err)
			return
		}
	}
	defer session.begin()()
	ctx, end := s.streamContext(r, session)
	defer end()
	e := s.newEventWriter(w)
	err := e.write(fmt.Appendf(nil, "event: endpoint\ndata: %s?sessionId=%s\nretry: %d\n\n",
		relativeMessagePath, url.QueryEscape(session.id), reconnectPause.Milliseconds()))
	if err == nil {
		err = s.writeStream(ctx, session.sessionStream, seen, e, session.id)
	}
	s.logEnd(err, r)
	if err == nil || errors.Is(err, errUnread) {
		if !session.sessionStream.hasReader() { // the client has not reconnected
			s.sessions.end(session)
		}
		return
	}
	time.AfterFunc(disconnectGrace, func() {
		if !session.sessionStream.hasReader() {
			s.sessions.end(session)
		}
	})
}

// resumed returns the session that a request resumes and the last event that its
// client has. The session is nil if the request opens a new one.
func (s *Server) resumed(r *http.Request) (*session, int) {
	id, seq, ok := splitEventID(r.Header.Get("Last-Event-ID"))
	if !ok {
		return nil, fromUnread
	}
	session, _, err := s.sessions.find(id, auth.CallerOf(r.Context()), overSSE)
	if err != nil || !session.sessionStream.holds(seq) {
		return nil, fromUnread
	}
	return session, seq
}

// postMessage handles a message of the older transport. The answer goes to the
// stream of the session.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("sessionId")
	if id == "" {
		s.reject(w, r, http.StatusBadRequest, "session", "sessionId is missing. "+
			"Open a stream with GET /sse, and post to the address that it begins with.")
		return
	}
	session := s.findID(w, r, id, overSSE)
	if session == nil {
		return
	}
	in, ok := s.receive(w, r)
	if !ok {
		return
	}
	switch {
	case in.batch != nil:
		s.postBatchOverSSE(w, r, in, session)
		return
	case in.message.isCancel():
		session.conversation.cancel(in.message.cancelled)
		in.done()
	case in.message.isResponse():
		s.respond(r.Context(), session, in.raw)
		in.done()
	default:
		c := s.newCall(r.Context(), in, session)
		c.out = session.sessionStream
		s.begin(r, c, in.done)
	}
	w.WriteHeader(http.StatusAccepted)
}
