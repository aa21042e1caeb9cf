package transport

import (
	"context"
	"net/http"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"fullstory-export-mcp/auth"
)

// postBatch handles a batch over Streamable HTTP.
func (s *Server) postBatch(w http.ResponseWriter, r *http.Request, in incoming) {
	version := r.Header.Get(mcp.HeaderProtocolVersion)
	if version != "" && !s.acceptsBatch(w, r, in, version) {
		return
	}
	session, ok := s.sessionOf(w, r, message{})
	if !ok {
		in.done()
		return
	}
	defer session.begin()()
	if version == "" {
		// A replica that did not open the session does not know its version. A request
		// without the header then counts as one of the last version without the header.
		version = session.conversation.versionOr(lastBatchVersion)
		if !s.acceptsBatch(w, r, in, version) {
			return
		}
	}
	if c, done, ok := s.newBatch(w, r, in, session); ok {
		s.exchange(w, r, c, session, done)
	}
}

// postBatchOverSSE handles a batch over the older transport. Its client says initialize
// in the stream that it still has, so the version is known.
func (s *Server) postBatchOverSSE(w http.ResponseWriter, r *http.Request, in incoming, session *session) {
	version := r.Header.Get(mcp.HeaderProtocolVersion)
	if version == "" {
		version = session.conversation.versionOr("")
	}
	if !s.acceptsBatch(w, r, in, version) {
		return
	}
	if c, done, ok := s.newBatch(w, r, in, session); ok {
		c.out = session.sessionStream
		s.begin(r, c, done)
		w.WriteHeader(http.StatusAccepted)
	}
}

// acceptsBatch reports whether a batch can be accepted in a protocol version. Otherwise
// acceptsBatch answers it.
func (s *Server) acceptsBatch(w http.ResponseWriter, r *http.Request, in incoming, version string) bool {
	rejected := checkBatch(in.batch, version)
	if rejected != nil {
		in.done()
		answer(w, r, http.StatusBadRequest, message{}.reject(rejected))
	}
	return rejected == nil
}

// newBatch returns the call that is a batch, and the function to call when it has
// ended. Each member counts against the limits of the caller as if it came alone: the
// batch is rejected if the caller may not send as many requests now, and as many
// members run at once as the caller may have calls. newBatch also cancels what members
// of the batch cancel.
func (s *Server) newBatch(
	w http.ResponseWriter, r *http.Request, in incoming, session *session,
) (c *call, done func(), ok bool) {
	handled, cancelled := members(in.batch)
	caller := auth.CallerOf(r.Context())
	for range len(in.batch) - 1 {
		if !s.limits.Request(caller) {
			in.done()
			s.tooMany(w, r)
			return nil, nil, false
		}
	}
	for _, m := range handled {
		if !s.mayCall(w, r, m.message) {
			in.done()
			return nil, nil, false
		}
	}
	for _, id := range cancelled {
		s.cancel(r.Context(), session, id)
	}
	release := []func(){in.done}
	for len(release) < min(requests(handled), batchCalls) {
		one := s.limits.Call(caller)
		if one == nil {
			break
		}
		release = append(release, one)
	}
	c = s.newCall(r.Context(), incoming{}, session)
	c.batch = &batch{parallel: len(release)}
	for _, m := range handled {
		c.batch.calls = append(c.batch.calls, s.newMember(r.Context(), m, session))
	}
	return c, sync.OnceFunc(func() {
		for _, one := range release {
			one()
		}
	}), true
}

// newMember returns the call of one member of a batch.
func (s *Server) newMember(ctx context.Context, m member, session *session) *call {
	c := s.newCall(ctx, incoming{message: m.message, raw: m.raw}, session)
	c.rejected = m.rejected
	return c
}
