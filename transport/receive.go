package transport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"time"

	"fullstory-export-mcp/auth"
)

const (
	// maxBody is the largest body of a request, in bytes.
	maxBody = 1 << 20
	// maxHeader bounds the headers of a request, in bytes.
	maxHeader = 32 << 10
	// largeBody is from how many bytes on a body is large: handling it may take
	// fifty times as much memory, so at most largeBodies are handled at once, and
	// readBodies are read or wait for that. One of several callers has at most ownBodies
	// and ownRead of them.
	largeBody   = 64 << 10
	largeBodies = 4
	ownBodies   = 1
	readBodies  = 64
	ownRead     = 4
	// Of other bodies, arrivingBodies are read at the same time, one of several callers'
	// ownArriving. Those beyond are rejected: an honest body arrives with its headers.
	arrivingBodies = 1024
	ownArriving    = 128
	// readTime is how long a request may take to arrive.
	readTime = 10 * time.Second
)

// incoming is one message that was posted, or a batch.
type incoming struct {
	message message
	raw     []byte
	batch   []json.RawMessage // the messages of a batch, at least one; nil for a single message
	done    func()            // releases what receive reserved for it
}

// receive reads a message or a batch, and reserves one of its caller's calls for it, until
// done, unless it is the answer to a question. It rejects what is neither. A body that is
// still arriving takes none of the calls.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (in incoming, ok bool) {
	raw, releaseBody, ok := s.body(w, r)
	if !ok {
		return in, false
	}
	in = incoming{raw: raw, done: releaseBody}
	var rejected *rejection
	if isBatch(raw) {
		in.batch, rejected = splitBatch(raw)
	} else {
		in.message, rejected = parseMessage(raw)
	}
	if rejected == nil && in.message.isResponse() {
		return in, true // a call waits for it, so it is none of the calls itself
	}
	releaseCall := s.limits.Call(auth.CallerOf(r.Context()))
	if releaseCall == nil {
		releaseBody()
		s.throttle(w, r)
		return in, false
	}
	in.done = func() { releaseBody(); releaseCall() }
	if rejected != nil {
		in.done()
		answer(w, r, http.StatusBadRequest, in.message.reject(rejected))
		return in, false
	}
	if !s.mayCall(w, r, in.message) {
		in.done()
		return in, false
	}
	return in, true
}

// body reads the body of a request, which must not be larger than maxBody and must
// arrive within readTime; otherwise body rejects the request. A large body waits until
// few others are handled, and counts as handled until release. It waits after it was
// read, so a slow sender keeps nobody from being handled.
func (s *Server) body(w http.ResponseWriter, r *http.Request) (raw []byte, release func(), ok bool) {
	release = func() {}
	large := r.ContentLength < 0 || r.ContentLength > largeBody
	if large {
		releaseRead, ok := s.slot(w, r, s.reading, ownRead)
		if !ok {
			return nil, nil, false
		}
		defer releaseRead()
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTime)) // it was not read while it waited
	} else if r.ContentLength > 0 {
		read, ok := s.arrives(w, r)
		if !ok {
			return nil, nil, false
		}
		defer read()
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		s.tooLarge(w, r)
		return nil, nil, false
	case err != nil:
		w.Header().Set("Connection", "close")
		s.reject(w, r, http.StatusRequestTimeout, "slow", "The body did not arrive in time.")
		return nil, nil, false
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	if large && len(raw) > largeBody {
		if release, ok = s.slot(w, r, s.handling, ownBodies); !ok {
			return nil, nil, false
		}
	}
	return trimMark(raw), release, true
}

// arrives counts a body that is not large until it was read, or rejects the request if too
// many others of its caller, or of all, are still arriving.
func (s *Server) arrives(w http.ResponseWriter, r *http.Request) (read func(), ok bool) {
	own := ownArriving
	if s.gate.Single() {
		own = 0
	}
	done := s.limits.Body(auth.CallerOf(r.Context()), own)
	if done != nil && s.arriving.Add(1) <= arrivingBodies {
		return func() { s.arriving.Add(-1); done() }, true
	}
	if done != nil {
		s.arriving.Add(-1)
		done()
	}
	leave(w, r)
	w.Header().Set("Retry-After", "1")
	s.reject(w, r, http.StatusTooManyRequests, "bodies", "Too many requests are still arriving. Send each one at once, "+
		"and try again in a second.")
	return nil, false
}

// slot waits for a slot for a large body, of which one of several callers has at most
// own. It rejects the request if that takes longer than readTime.
func (s *Server) slot(w http.ResponseWriter, r *http.Request, of *auth.Slots, own int) (release func(), ok bool) {
	if s.gate.Single() {
		own = 0
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	release, err := of.Take(ctx, auth.CallerOf(r.Context()).Name, own)
	if err != nil {
		leave(w, r) // the body may not have been read
		s.throttle(w, r)
		return nil, false
	}
	return release, true
}

// throttle rejects a call beyond the calls at once of its caller.
func (s *Server) throttle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	s.reject(w, r, http.StatusTooManyRequests, "calls", "Too many calls are running. Wait until one has ended.")
}

func (s *Server) tooLarge(w http.ResponseWriter, r *http.Request) {
	s.reject(w, r, http.StatusRequestEntityTooLarge, "body", "The body is larger than 1 MiB.")
}

// isJSON reports whether a Content-Type is JSON.
func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == jsonType
}

// isDisconnect reports whether err only says that a client disconnected.
func isDisconnect(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}
