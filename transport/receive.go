package transport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"fullstory-export-mcp/auth"
)

const (
	// maxBody is the largest body of a request, in bytes.
	maxBody = 1 << 20
	// maxHeader bounds the headers of a request, in bytes.
	maxHeader = 32 << 10
	// largeBody is from how many bytes on a body is large: handling it may take
	// fifty times as much memory, so at most largeBodies are handled at once.
	largeBody   = 64 << 10
	largeBodies = 4
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

// receive reads a message or a batch and reserves one of its caller's calls for it,
// until done. It rejects what is neither.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (in incoming, ok bool) {
	raw, releaseBody, ok := s.body(w, r)
	if !ok {
		return in, false
	}
	releaseCall := s.limits.Call(auth.CallerOf(r.Context()))
	if releaseCall == nil {
		releaseBody()
		s.throttle(w, r)
		return in, false
	}
	done := func() { releaseBody(); releaseCall() }
	in = incoming{raw: raw, done: done}
	var rejected *rejection
	if isBatch(raw) {
		in.batch, rejected = splitBatch(raw)
	} else {
		in.message, rejected = parseMessage(raw)
	}
	if rejected != nil {
		done()
		answer(w, r, http.StatusBadRequest, in.message.reject(rejected))
		return in, false
	}
	if !s.mayCall(w, r, in.message) {
		done()
		return in, false
	}
	return in, true
}

// body reads the body of a request, which must not be larger than maxBody and
// must arrive within readTime; otherwise body rejects the request. A large body
// waits until few others are handled, and counts as handled until release.
func (s *Server) body(w http.ResponseWriter, r *http.Request) (raw []byte, release func(), ok bool) {
	release = func() {}
	if r.ContentLength < 0 || r.ContentLength > largeBody {
		wait, cancel := context.WithTimeout(r.Context(), readTime)
		defer cancel()
		select {
		case s.large <- struct{}{}:
			release = sync.OnceFunc(func() { <-s.large })
		case <-wait.Done():
			s.throttle(w, r)
			return nil, nil, false
		}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case large:
		s.tooLarge(w, r)
	case err != nil:
		w.Header().Set("Connection", "close")
		s.reject(w, r, http.StatusRequestTimeout, "slow", "The body did not arrive in time.")
	default:
		http.NewResponseController(w).SetReadDeadline(time.Time{})
		return trimMark(raw), release, true
	}
	release()
	return nil, nil, false
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
