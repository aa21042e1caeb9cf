package remote

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// heartbeat is between two signs of life on a stream that has nothing to
	// tell, so that no proxy takes it for dead.
	heartbeat = 20 * time.Second
	// writeTime is how long a reader may take for what is written at once. A
	// slower one is cut off.
	writeTime = 10 * time.Second
	// comeBack is after how long a client whose stream broke should connect
	// again.
	comeBack = time.Second
)

// eventWriter writes server-sent events. Each is flushed, and has writeTime to
// leave.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// newEventWriter begins an event stream.
func newEventWriter(w http.ResponseWriter) *eventWriter {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx holds streams back otherwise
	e := &eventWriter{w, http.NewResponseController(w)}
	w.WriteHeader(http.StatusOK)
	return e
}

// write sends text as it is.
func (e *eventWriter) write(text string) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.control.Flush()
}

// message sends one JSON-RPC message. An empty id leaves it out.
func (e *eventWriter) message(id string, data []byte) error {
	if id != "" {
		id = "id: " + id + "\n"
	}
	return e.write("event: message\n" + id + "data: " + string(data) + "\n\n")
}

// comment sends a sign of life, which clients do not see.
func (e *eventWriter) comment() error { return e.write(": \n\n") }

// serve writes the events of st to e until the stream is over, which is no
// error, or its reader is another, goes away, or is too slow. seen is the last
// event that the reader knows, or goesOn. resumable gives events ids that begin
// with it.
func (s *Server) serve(ctx context.Context, st *stream, seen int, e *eventWriter, resumable string) error {
	replaced := st.attach(seen)
	defer st.detach(replaced)
	beat := time.NewTicker(s.beat)
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

// eventID joins the name of a stream and a place in it. Without a name there
// is no id.
func eventID(stream string, seq int) string {
	if stream == "" {
		return ""
	}
	return fmt.Sprintf("%s_%d", stream, seq)
}

// splitEventID takes apart what eventID joined.
func splitEventID(id string) (stream string, seq int, ok bool) {
	at := strings.LastIndexByte(id, '_')
	if at < 0 {
		return "", 0, false
	}
	seq, err := strconv.Atoi(id[at+1:])
	return id[:at], seq, err == nil && seq >= 0
}
