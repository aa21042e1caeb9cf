package remote

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// linger is how long a call goes on whose client lost the connection and can
// come back for the answer, and how long an SSE session waits for its client.
const linger = 10 * time.Second

var errGone = errors.New("the client went away")

const sessionHeader = "Mcp-Session-Id"

// serveMCP is Streamable HTTP: one route for all.
func (s *Server) serveMCP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.post(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodDelete {
		notAllowed(w, "GET, POST, DELETE", "MCP uses POST, GET and DELETE here.")
		return
	}
	if modern(r.Header, Message{}) {
		notAllowed(w, "POST", r.Method+" has no meaning in this protocol version: what the server announces comes by subscriptions/listen.")
		return
	}
	if err := checkVersion(r.Header); err != nil {
		s.refuse(w, r, http.StatusBadRequest, "version", err.Error())
		return
	}
	if r.Method == http.MethodGet && !accepts(r, "text/event-stream") {
		s.refuse(w, r, http.StatusNotAcceptable, "accept", "This is the address of an MCP server, for programs: send Accept: text/event-stream to listen, or POST messages.")
		return
	}
	session := s.find(w, r)
	switch {
	case session == nil:
	case r.Method == http.MethodDelete:
		s.note(r.Context(), session, func(n *sessionNote) { *n = sessionNote{Ended: true} })
		s.sessions.end(session)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.listen(w, r, session)
	}
}

// find returns the session of a request, or refuses it.
func (s *Server) find(w http.ResponseWriter, r *http.Request) *session {
	id := r.Header.Get(sessionHeader)
	if id == "" {
		s.refuse(w, r, http.StatusBadRequest, "session", "The header Mcp-Session-Id is missing: send initialize first, and then the id from its answer.")
		return nil
	}
	return s.findID(w, r, id, streamable)
}

func (s *Server) findID(w http.ResponseWriter, r *http.Request, id string, over transport) *session {
	session, fresh, err := s.sessions.find(id, CallerOf(r.Context()), over)
	if err == nil && fresh && !s.learn(r.Context(), session) {
		err = errUnknownSession
	}
	switch {
	case errors.Is(err, errFull):
		s.full(w, r)
		return nil
	case err != nil:
		s.refuse(w, r, http.StatusNotFound, "session", "This session is not known, or has ended: begin another.")
		return nil
	}
	return session
}

// full refuses what would be one too many.
func (s *Server) full(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "5")
	s.refuse(w, r, http.StatusServiceUnavailable, "full", "Too many sessions are in use; try again in a few seconds.")
}

// post takes one message.
func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	m, raw, done, ok := s.receive(w, r)
	if !ok {
		return
	}
	defer func() { done() }() // unless exchange takes it over
	caller := CallerOf(r.Context())
	if modern(r.Header, m) {
		if refusal := checkModern(r.Header, m, raw); refusal != nil {
			answer(w, http.StatusBadRequest, refusal)
			return
		}
		if isListen(m) { // a stream is not a call
			done()
			if done = s.limits.stream(caller, caller.streams(s.o.Sessions)); done == nil {
				done = func() {}
				s.full(w, r)
				return
			}
		}
		s.exchange(w, r, newCall(m, raw, caller, nil), hand(&done))
		return
	}
	session, ok := s.sessionOf(w, r, m)
	if !ok {
		return
	}
	defer session.begin()()
	if m.isResponse() {
		answer(w, http.StatusAccepted, nil)
		return
	}
	s.exchange(w, r, newCall(m, raw, caller, session), hand(&done))
}

// hand hands over what is to be done.
func hand(done *func()) (handed func()) {
	handed, *done = *done, func() {}
	return handed
}

// busy refuses a call that is one too many.
func (s *Server) busy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	s.refuse(w, r, http.StatusTooManyRequests, "calls", "Too many calls are running: wait until one has ended.")
}

// sessionOf returns the session of a message, a new one if it opens one, or
// refuses it.
func (s *Server) sessionOf(w http.ResponseWriter, r *http.Request, m Message) (*session, bool) {
	if isHello(m) {
		session, err := s.sessions.create(CallerOf(r.Context()), streamable)
		if err != nil {
			s.full(w, r)
			return nil, false
		}
		w.Header().Set(sessionHeader, session.id)
		return session, true
	}
	if err := checkVersion(r.Header); err != nil {
		s.refuse(w, r, http.StatusBadRequest, "version", err.Error())
		return nil, false
	}
	session := s.find(w, r)
	return session, session != nil
}

// exchange answers c: with JSON if the answer is all there is to tell, else
// with a stream. A client that goes away ends the call, unless it can come back
// for the answer: then the call has a while to end. done is called when the
// call has ended.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, c *call, done func()) {
	if c.session != nil && isCancel(c.message) {
		s.cancelled(r.Context(), c.session, string(c.message.Cancelled))
	}
	st := newStream(ofCall, &s.sessions.bytes)
	cancel, ran := s.begin(r, c, st, true, done)
	data, alone, ok := st.only(r.Context(), accepts(r, "text/event-stream"))
	switch {
	case !ok:
		cancel(errGone)
	case alone:
		s.answer(w, c, data)
	case c.session == nil:
		s.told(s.serve(r.Context(), st, goesOn, newEventWriter(w), ""), r)
		cancel(errGone)
	default:
		c.session.keep(st)
		s.told(s.serve(r.Context(), st, goesOn, newEventWriter(w), st.id), r)
		time.AfterFunc(linger, func() {
			if !st.read() {
				cancel(errGone)
			}
		})
		return
	}
	<-ran
	st.forget()
}

// cancelled ends the call of a session with that id, here or at another replica.
func (s *Server) cancelled(ctx context.Context, session *session, id string) {
	if session.cancel(id) || len(id) > largestID {
		return
	}
	s.note(ctx, session, func(n *sessionNote) {
		n.Cancels = append(n.Cancels, id)
		n.Cancels = n.Cancels[max(0, len(n.Cancels)-mostCancels):]
	})
}

// largestID is the longest id of a request, in bytes, that is told to others.
const largestID = 100

// begin has c answered on st, beside the caller, until cancel is called, the
// session ends, or the server stops. ran is closed, and done called, when that
// has ended.
func (s *Server) begin(r *http.Request, c *call, st *stream, last bool, done func()) (cancel context.CancelCauseFunc, ran <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	stop := c.session.start(string(c.message.ID), cancel)
	end := s.work.add(kindOf(c), tokenOf(r), cancel)
	unbind := c.session.whenEnded(func() { cancel(errGone) })
	if isListen(c.message) {
		unwatch := watchExpiry(r, cancel)
		context.AfterFunc(ctx, func() { unwatch() })
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer done()
		defer end()
		defer stop()
		defer unbind()
		defer cancel(nil)
		s.run(ctx, c, st, last)
	}()
	return cancel, ended
}

// answer writes the answer of c alone.
func (s *Server) answer(w http.ResponseWriter, c *call, data []byte) {
	switch {
	case data == nil:
		answer(w, http.StatusAccepted, nil)
	case c.session == nil:
		answer(w, modernStatus(data), data)
	default:
		answer(w, http.StatusOK, data)
	}
}

// told notes how a stream ended, if that is worth it.
func (s *Server) told(err error, r *http.Request) {
	if err != nil && !gone(err) {
		s.metrics.cut.Inc()
		s.o.Log.Debug("a stream was cut", "path", r.URL.Path, "error", err)
	}
}

// listen lets a client hear what belongs to no call, or read the rest of a
// stream that broke, after the event that it names as the last.
func (s *Server) listen(w http.ResponseWriter, r *http.Request, session *session) {
	caller := CallerOf(r.Context())
	done := s.limits.stream(caller, 2*caller.streams(s.o.Sessions))
	if done == nil {
		s.full(w, r)
		return
	}
	defer done()
	defer session.begin()()
	st, seen := session.standing, goesOn
	st.renew()
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		id, seq, ok := splitEventID(last)
		kept := session.kept(id)
		switch {
		case ok && kept != nil && kept.holds(seq):
			st, seen = kept, seq
		case strings.HasPrefix(id, ofCall):
			s.refuse(w, r, http.StatusBadRequest, "event", "What came after this Last-Event-ID is not kept any more: send the request again.")
			return
		}
	}
	ctx, cancel := s.lasting(r, session)
	defer cancel()
	s.metrics.streams.WithLabelValues(string(streamable)).Inc()
	defer s.metrics.streams.WithLabelValues(string(streamable)).Dec()
	e := newEventWriter(w)
	if e.comment() == nil { // the headers leave now, not with the first event
		s.told(s.serve(ctx, st, seen, e, st.id), r)
	}
}

// lasting returns a context of a stream, which ends with its request, its
// session, its token, or when the server begins to stop.
func (s *Server) lasting(r *http.Request, session *session) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	unbind := context.AfterFunc(session.ended, func() { cancel(context.Cause(session.ended)) })
	forget := s.work.add(kindOfStream(session), tokenOf(r), cancel)
	unwatch := watchExpiry(r, cancel)
	return ctx, func() {
		forget()
		unbind()
		unwatch()
		cancel(nil)
	}
}

// watchExpiry calls cancel when the token of a request expires.
func watchExpiry(r *http.Request, cancel context.CancelCauseFunc) (unwatch func() bool) {
	expires := CallerOf(r.Context()).expires
	if expires.IsZero() {
		return func() bool { return true }
	}
	return time.AfterFunc(time.Until(expires), func() { cancel(errRevoked) }).Stop
}

func kindOfStream(s *session) kind {
	if s.over == overSSE {
		return conversing
	}
	return listening
}

func kindOf(c *call) kind {
	if isListen(c.message) {
		return listening
	}
	return calling
}

// streams is how many streams c may have open.
func (c Caller) streams(most int) int {
	if c.Sessions > 0 {
		return c.Sessions
	}
	return most
}
