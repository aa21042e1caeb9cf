package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"fullstory-export-mcp/exports"
)

// The bounds of streams of events at once, and their times.
const (
	sessionStreams = 4
	callerStreams  = 16
	allStreams     = 256
	lookPause      = 1 * time.Second  // between two looks
	slowPause      = 5 * time.Second  // after many looks without a change
	comments       = 20 * time.Second // proxies close connections on which nothing is sent
	sendTime       = 10 * time.Second // for a browser to read an event
)

// streams count the streams that are open. They are safe for concurrent use.
type streams struct {
	mu   sync.Mutex
	all  int
	held map[string]int // by session and by caller
}

func newStreams() *streams { return &streams{held: map[string]int{}} }

// take reserves a stream of a session until done is called; nil if there are too many.
func (s *streams) take(n session) (done func()) {
	of, by := "session "+n.ID, "caller "+n.Caller.Name
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= allStreams || s.held[of] >= sessionStreams || s.held[by] >= callerStreams {
		return nil
	}
	s.add(of, by, 1)
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.add(of, by, -1)
	})
}

// add changes the counts. s.mu must be held.
func (s *streams) add(of, by string, n int) {
	s.all += n
	for _, key := range []string{of, by} {
		if s.held[key] += n; s.held[key] == 0 {
			delete(s.held, key)
		}
	}
}

// events sends a drawing whenever it has changed, until the session, the server or the browser ends
// the stream (Server-Sent Events).
func (v *visit) events(draw drawer) {
	done := v.s.streams.take(v.session)
	if done == nil {
		v.w.Header().Set("Retry-After", "10")
		v.fail(http.StatusTooManyRequests, "Too many pages are open. Close some.")
		return
	}
	defer done()
	a, err := v.s.o.Account(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.Header().Set("X-Accel-Buffering", "no")
	var last []byte
	sent, idle := time.Now(), 0
	for {
		now, err := v.look(a, draw)
		switch {
		case err != nil && v.r.Context().Err() == nil:
			v.send("event: problem\ndata: {}\n\n")
			return
		case err != nil:
			return
		case !bytes.Equal(now, last):
			if !v.send("data: " + string(now) + "\n\n") {
				return
			}
			last, sent, idle = now, time.Now(), 0
		case time.Since(sent) > comments:
			if !v.send(": still here\n\n") {
				return
			}
			sent = time.Now()
		}
		pause := lookPause
		if idle++; idle > 30 {
			pause = slowPause
		}
		select {
		case <-v.r.Context().Done():
			return
		case <-time.After(pause):
		}
		if v.s.sessions.renew(v.r.Context(), &v.session) != nil {
			v.send("event: end\ndata: {}\n\n")
			return
		}
	}
}

// look returns the present drawing as JSON on one line.
func (v *visit) look(a *exports.Account, draw drawer) ([]byte, error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), readTime)
	defer cancel()
	d, err := draw(ctx, a)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// send sends a part of a stream, and reports whether the browser can still read it.
func (v *visit) send(text string) bool {
	c := http.NewResponseController(v.w)
	c.SetWriteDeadline(time.Now().Add(sendTime))
	if _, err := v.w.Write([]byte(text)); err != nil {
		return false
	}
	return c.Flush() == nil
}
