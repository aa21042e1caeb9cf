package transport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"fullstory-export-mcp/auth"
)

// disconnectGrace is how long a call continues after its client has lost the
// connection, if the client can come back for the answer. It is also how long an
// SSE session waits for its client.
const disconnectGrace = 10 * time.Second

const sessionHeader = "Mcp-Session-Id"

// serveMCP is Streamable HTTP, one route for all messages.
func (s *Server) serveMCP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		s.post(w, r)
		return
	case isModern(r.Header, message{}):
		notAllowed(w, r, []string{http.MethodPost}, r.Method+" is not supported in this protocol version. "+
			"Use subscriptions/listen to receive announcements.")
		return
	}
	if err := checkVersion(r.Header); err != nil {
		s.reject(w, r, http.StatusBadRequest, "version", err.Error())
		return
	}
	if r.Method == http.MethodGet && !mayStream(r) {
		s.reject(w, r, http.StatusNotAcceptable, "accept", "This is the address of an MCP server, for programs. "+
			"Send Accept: text/event-stream to listen, or POST messages.")
		return
	}
	session := s.find(w, r)
	switch {
	case session == nil:
	case r.Method == http.MethodDelete:
		s.publish(r.Context(), session, func(n *sharedState) { *n = sharedState{Ended: true} })
		s.sessions.end(session)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.listen(w, r, session)
	}
}

// post handles one message, or a batch.
func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	in, ok := s.receive(w, r)
	if !ok {
		return
	}
	if in.batch != nil {
		s.postBatch(w, r, in)
		return
	}
	if isModern(r.Header, in.message) {
		s.postModern(w, r, in)
		return
	}
	session, ok := s.sessionOf(w, r, in.message)
	if !ok {
		in.done()
		return
	}
	defer session.begin()()
	switch {
	case in.message.isCancel():
		s.cancel(r.Context(), session, in.message.cancelled)
		in.done()
		answer(w, r, http.StatusAccepted, nil)
	case in.message.isResponse():
		s.respond(r.Context(), session, in.raw)
		in.done()
		answer(w, r, http.StatusAccepted, nil)
	default:
		s.exchange(w, r, s.newCall(r.Context(), in, session), session, in.done)
	}
}

// postModern handles one message of protocol 2026-07-28 or later.
func (s *Server) postModern(w http.ResponseWriter, r *http.Request, in incoming) {
	done := in.done
	if rejected := checkModern(r.Header, in.message, in.raw); rejected != nil {
		done()
		answer(w, r, http.StatusBadRequest, rejected)
		return
	}
	if in.message.isListen() { // it counts as a stream, not as a call
		done()
		if onlyType(r) == jsonType {
			s.reject(w, r, http.StatusNotAcceptable, "accept", "Announcements are sent as a stream. "+
				"Send Accept: text/event-stream.")
			return
		}
		caller := auth.CallerOf(r.Context())
		if done = s.limits.Stream(caller, caller.Sessions); done == nil {
			s.full(w, r, errOwnFull)
			return
		}
	}
	s.exchange(w, r, s.newCall(r.Context(), in, nil), nil, done)
}

// newCall returns a call for a message. session is nil from protocol 2026-07-28
// on; the call then has a conversation of its own, since requests of different
// callers may have the same id.
func (s *Server) newCall(ctx context.Context, in incoming, session *session) *call {
	caller := auth.CallerOf(ctx)
	c := &call{message: in.message, raw: in.raw, server: s.o.MCP}
	c.caller = caller
	if caller.ReadOnly {
		c.server = s.o.ReadOnly
	}
	if in.message.isListen() {
		c.kind = listening
	}
	if session == nil {
		c.conversation = &conversation{id: rand.Text()}
		return c
	}
	c.conversation = &session.conversation
	if change := s.sharedChange(session, in); change != nil {
		c.succeeded = func(ctx context.Context) { s.publish(ctx, session, change) }
	}
	return c
}

// sessionOf returns the session of a message, a new one for initialize. It
// rejects a request without a valid one.
func (s *Server) sessionOf(w http.ResponseWriter, r *http.Request, m message) (*session, bool) {
	if m.isInitialize() {
		session, err := s.sessions.create(auth.CallerOf(r.Context()), streamable)
		if err != nil {
			s.full(w, r, err)
			return nil, false
		}
		w.Header().Set(sessionHeader, session.id)
		return session, true
	}
	if err := checkVersion(r.Header); err != nil {
		s.reject(w, r, http.StatusBadRequest, "version", err.Error())
		return nil, false
	}
	session := s.find(w, r)
	return session, session != nil
}

// find returns the session of a request, or rejects the request and returns nil.
func (s *Server) find(w http.ResponseWriter, r *http.Request) *session {
	id := r.Header.Get(sessionHeader)
	if id == "" {
		s.reject(w, r, http.StatusBadRequest, "session", "The header Mcp-Session-Id is missing. "+
			"Send initialize first, and then the id from its answer.")
		return nil
	}
	return s.findID(w, r, id, streamable)
}

func (s *Server) findID(w http.ResponseWriter, r *http.Request, id string, over protocol) *session {
	session, fresh, err := s.sessions.find(id, auth.CallerOf(r.Context()), over)
	if err == nil && fresh && !s.load(r.Context(), session) {
		err = errUnknownSession
	}
	switch {
	case errors.Is(err, errFull) || errors.Is(err, errOwnFull):
		s.full(w, r, err)
		return nil
	case err != nil:
		s.reject(w, r, http.StatusNotFound, "session",
			"This session is unknown or has ended. Open a new one with initialize.")
		return nil
	}
	return session
}

// full rejects a request for a session or stream beyond the limit of all callers or, if
// err is errOwnFull, of its own.
func (s *Server) full(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Retry-After", "5")
	if errors.Is(err, errOwnFull) {
		limit := auth.CallerOf(r.Context()).Sessions
		s.reject(w, r, http.StatusServiceUnavailable, "caller full", fmt.Sprintf("Your limit of %d sessions is in use. "+
			"End sessions with DELETE, or close streams, and try again.", limit))
		return
	}
	s.reject(w, r, http.StatusServiceUnavailable, "full", "Too many sessions are in use. Try again in a few seconds.")
}

// exchange answers c: with JSON if the answer is the only message, else with a
// stream. When the client disconnects, the call is cancelled: at once, or after
// disconnectGrace if the client can come back for the answer. exchange calls done
// when the call has ended, which may be after exchange returns.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, c *call, session *session, done func()) {
	st := newStream(ofCall, s.sessions.kept(auth.CallerOf(r.Context())))
	c.out, c.final, c.mute = st, true, !mayStream(r)
	answered := s.begin(r, c, done)
	data, alone, ok := st.only(r.Context(), mayStream(r) || c.kind == listening)
	switch {
	case !ok:
		c.cancel(errGone)
	case alone:
		answerAlone(w, r, data, session == nil)
	case session == nil:
		s.logEnd(s.writeStream(r.Context(), st, fromUnread, s.newEventWriter(w), ""), r)
		c.cancel(errGone)
	default:
		session.keep(st)
		s.logEnd(s.writeStream(r.Context(), st, fromUnread, s.newEventWriter(w), st.id), r)
		time.AfterFunc(disconnectGrace, func() {
			if !st.hasReader() {
				c.cancel(errGone)
			}
		})
		return
	}
	<-answered
	st.forget()
}

// begin starts c in another goroutine. When c has been answered, it calls done
// and then closes answered.
func (s *Server) begin(r *http.Request, c *call, done func()) (answered <-chan struct{}) {
	run := s.core.start(context.WithoutCancel(r.Context()), c)
	unwatch := func() bool { return true }
	if c.kind == listening {
		unwatch = s.watchToken(r, c.cancel)
	}
	ended := make(chan struct{})
	s.core.workers.run(func() {
		defer close(ended)
		defer done()
		defer unwatch()
		defer s.turn(auth.CallerOf(r.Context()), c.kind)()
		run()
	})
	return ended
}

// cancel ends the request of a session with that id, in JSON as sent, here or at
// another replica.
func (s *Server) cancel(ctx context.Context, session *session, id json.RawMessage) {
	if session.conversation.cancel(id) || len(id) > longestSharedID {
		return
	}
	s.publish(ctx, session, func(n *sharedState) {
		n.Cancels = append(n.Cancels, string(id))
		n.Cancels = n.Cancels[max(0, len(n.Cancels)-mostCancels):]
	})
}

// answerAlone writes an answer that no notification came before.
func answerAlone(w http.ResponseWriter, r *http.Request, data []byte, modern bool) {
	switch {
	case data == nil:
		answer(w, r, http.StatusAccepted, nil)
	case modern:
		answer(w, r, modernStatus(data), data)
	default:
		answer(w, r, http.StatusOK, data)
	}
}

// logEnd counts and logs the end of a stream whose client did not read.
func (s *Server) logEnd(err error, r *http.Request) {
	if err != nil && !isDisconnect(err) {
		s.metrics.cut.Inc()
		s.o.Log.Debug("a stream was closed", "path", r.URL.Path, "error", err)
	}
}

// listen sends a client the notifications that belong to no call, or what is left
// of a stream after the event that Last-Event-ID names.
func (s *Server) listen(w http.ResponseWriter, r *http.Request, session *session) {
	caller := auth.CallerOf(r.Context())
	done := s.limits.Stream(caller, 2*caller.Sessions)
	if done == nil {
		s.full(w, r, errOwnFull)
		return
	}
	defer done()
	defer session.begin()()
	st, seen := session.sessionStream, fromUnread
	st.renew()
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		id, seq, ok := splitEventID(last)
		kept := session.kept(id)
		switch {
		case ok && kept != nil && kept.holds(seq):
			st, seen = kept, seq
		case strings.HasPrefix(id, ofCall):
			s.reject(w, r, http.StatusBadRequest, "event",
				"The events after this Last-Event-ID are no longer kept. Send the request again.")
			return
		}
	}
	ctx, end := s.streamContext(r, session)
	defer end()
	e := s.newEventWriter(w)
	if e.comment() == nil { // sends the headers now, not with the first event
		s.logEnd(s.writeStream(ctx, st, seen, e, st.id), r)
	}
}

// streamContext returns the context of a stream of a session. It ends with the
// request, the session or the token, or when the server begins to stop. The
// caller must call end.
func (s *Server) streamContext(r *http.Request, session *session) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	p := &piece{kind: listening, caller: auth.CallerOf(r.Context()), cancel: cancel}
	if session.over == overSSE {
		p.kind = conversing
	}
	s.core.work.add(p)
	unbind := context.AfterFunc(session.ended, func() { cancel(context.Cause(session.ended)) })
	unwatch := s.watchToken(r, cancel)
	open := s.metrics.streams.WithLabelValues(string(session.over))
	open.Inc()
	return ctx, func() {
		open.Dec()
		s.core.work.remove(p)
		unbind()
		unwatch()
		cancel(nil)
	}
}

// watchToken calls cancel when the token of a request expires, unless unwatch is called
// before. It calls cancel at once if the callers changed while the request was handled,
// since refresh ended only the streams that were known then. The stream must be known.
func (s *Server) watchToken(r *http.Request, cancel context.CancelCauseFunc) (unwatch func() bool) {
	caller := auth.CallerOf(r.Context())
	if caller.Token != "" && !s.o.Callers.Valid(caller) {
		cancel(auth.ErrRevoked)
	}
	if caller.Expires.IsZero() {
		return func() bool { return true }
	}
	return time.AfterFunc(time.Until(caller.Expires), func() { cancel(auth.ErrRevoked) }).Stop
}
