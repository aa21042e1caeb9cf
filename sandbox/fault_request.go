package sandbox

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// answerUnderFault answers a request to the API under a fault (nil: none). It calls
// answer if the request is to have its usual effect.
func (s *Sandbox) answerUnderFault(f *Fault, w http.ResponseWriter, r *http.Request, c caller, answer endpoint) {
	if f == nil {
		answer(w, r, c)
		return
	}
	w.Header().Set("Sandbox-Fault", f.Do)
	switch f.Do {
	case "slow":
		if wait(r, f.delay()) {
			answer(w, r, c)
		}
	case "extra_keys":
		captured := &capture{header: w.Header(), status: http.StatusOK}
		answer(captured, r, c)
		w.WriteHeader(captured.status)
		w.Write(withExtraKeys(captured.body))
	case "role":
		role := f.Role
		if role == "" {
			role = roles[standard]
		}
		s.faults.demote(c.key, role)
		c.level = s.faults.level(c.key, c.level)
		answer(w, r, c)
	case "link_relative", "link_space", "link_scheme", "link_empty":
		captured := &capture{header: w.Header(), status: http.StatusOK}
		answer(captured, r, c)
		w.WriteHeader(captured.status)
		w.Write(withLink(captured.body, f.Do))
	default:
		if do, after := strings.CutSuffix(f.Do, "_after_accept"); after {
			s.answerAccepted(f, do, w, r, c, answer)
			return
		}
		s.answerInstead(f, f.Do, w, r)
	}
}

// answerAccepted lets a create happen and then answers with the effect do. A create
// that was rejected gets its usual answer.
func (s *Sandbox) answerAccepted(f *Fault, do string, w http.ResponseWriter, r *http.Request, c caller,
	answer endpoint) {
	captured := &capture{header: http.Header{}, status: http.StatusOK}
	answer(captured, r, c)
	status := map[string]int{"201": http.StatusCreated, "202": http.StatusAccepted}[do]
	if captured.status != http.StatusOK {
		status = captured.status
	}
	if status == 0 {
		s.answerInstead(f, do, w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(captured.body)
}

// delay returns the delay of slow.
func (f *Fault) delay() time.Duration {
	if f.Delay > 0 {
		return time.Duration(f.Delay)
	}
	return 2 * time.Second
}

// reset breaks the connection without an answer: with a TCP reset on HTTP/1, and
// by aborting the stream where the connection cannot be taken over.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn() // closed without the alert that ends TLS
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// hang waits until the client disconnects.
func hang(r *http.Request) {
	io.Copy(io.Discard, r.Body) // net/http notices a disconnect only after the body is read
	<-r.Context().Done()
}

// wait waits for d, and reports whether the client is still connected.
func wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

// capture is a ResponseWriter that keeps an answer instead of sending it.
type capture struct {
	header http.Header
	status int
	body   []byte
}

func (c *capture) Header() http.Header    { return c.header }
func (c *capture) WriteHeader(status int) { c.status = status }
func (c *capture) Write(p []byte) (int, error) {
	c.body = append(c.body, p...)
	return len(p), nil
}

// withExtraKeys adds keys to every object of an answer. A body that is not JSON
// stays as it is.
func withExtraKeys(body []byte) []byte {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return body
	}
	extend(v)
	out, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return out
}

// extend adds keys to the object v and to all objects in it, in place.
func extend(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			extend(inner)
		}
		v["addedLater"], v["addedObject"] = true, map[string]any{"id": "unknown", "values": []any{1, "two", nil}}
	case []any:
		for _, inner := range v {
			extend(inner)
		}
	}
}
