package transport

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// heartbeat is the time between two comments on a stream without messages, so
	// that no proxy closes it.
	heartbeat = 20 * time.Second
	// writeTime is how long a client may take to read what is written at once. A
	// slower one is disconnected.
	writeTime = 10 * time.Second
	// reconnectPause is how long a client should wait before it reconnects.
	reconnectPause = time.Second
)

// eventWriter writes server-sent events. Each is flushed within limit.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
}

// newEventWriter begins an event stream.
func (s *Server) newEventWriter(w http.ResponseWriter) *eventWriter {
	setStreamHeaders(w.Header())
	e := &eventWriter{w, http.NewResponseController(w), s.writeTime}
	w.WriteHeader(http.StatusOK)
	return e
}

// setStreamHeaders sets the headers of an event stream.
func setStreamHeaders(h http.Header) {
	h.Set("Content-Type", streamType)
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no") // otherwise nginx buffers streams
}

// write sends text as it is.
func (e *eventWriter) write(text []byte) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(e.limit)); err != nil {
		return err
	}
	if _, err := e.w.Write(text); err != nil {
		return err
	}
	return e.control.Flush()
}

// message sends one JSON-RPC message, without an id if id is "".
func (e *eventWriter) message(id string, data []byte) error { return e.write(encodeEvent(id, data)) }

// encodeEvent returns the event of one JSON-RPC message, without an id if id is "".
func encodeEvent(id string, data []byte) []byte {
	if id != "" {
		id = "id: " + id + "\n"
	}
	return slices.Concat([]byte("event: message\n"+id+"data: "), data, []byte("\n\n"))
}

// comment sends a comment, which clients ignore.
func (e *eventWriter) comment() error { return e.write([]byte(": \n\n")) }

// writeStream writes the events of st to e. It returns nil when the stream is
// over or another reader has replaced this one, and an error when the client is
// gone or too slow, or ctx ends. seen is the last event that the client has, or
// fromUnread. resumable is what the ids of events begin with; "" leaves them out.
func (s *Server) writeStream(ctx context.Context, st *stream, seen int, e *eventWriter, resumable string) error {
	replaced := st.attach(seen)
	defer st.detach(replaced)
	beat := time.NewTicker(s.heartbeat)
	defer beat.Stop()
	for {
		next, ok, over, changed, err := st.next(replaced)
		switch {
		case err != nil:
			return err
		case ok:
			if err := e.message(eventID(resumable, next.seq), next.data); err != nil {
				return st.unwritten(replaced, next, err)
			}
			continue
		case over:
			return nil
		}
		select {
		case <-changed:
		case <-replaced:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-beat.C:
			if err := e.comment(); err != nil {
				return err
			}
		}
	}
}

// eventID joins the name of a stream and a place in it; "" without a name.
func eventID(stream string, seq int) string {
	if stream == "" {
		return ""
	}
	return fmt.Sprintf("%s_%d", stream, seq)
}

// splitEventID splits what eventID joined.
func splitEventID(id string) (stream string, seq int, ok bool) {
	at := strings.LastIndexByte(id, '_')
	if at < 0 {
		return "", 0, false
	}
	seq, err := strconv.Atoi(id[at+1:])
	return id[:at], seq, err == nil && seq >= 0
}
