package sandbox

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"
)

// answerWith answers a request of the API with what goes wrong, and calls
// answer if it is answered at all.
func (s *Sandbox) answerWith(f *Fault, w http.ResponseWriter, r *http.Request, c caller, answer endpoint) {
	if f == nil {
		answer(w, r, c)
		return
	}
	w.Header().Set("Sandbox-Fault", f.Do)
	switch f.Do {
	case "429":
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "too_many_requests", "Too many requests (injected).")
	case "429_no_retry_after":
		fail(w, http.StatusTooManyRequests, "too_many_requests", "Too many requests (injected).")
	case "500":
		fail(w, http.StatusInternalServerError, "server_error", "Something went wrong (injected).")
	case "502_html":
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "<!DOCTYPE html><html><head><title>502 Server Error</title></head><body><h1>Error: Server Error</h1><p>Please try again in 30 seconds.</p></body></html>\n")
	case "reset":
		reset(w)
	case "hang":
		hang(r)
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
		c.level = s.faults.level(c.key)
		answer(w, r, c)
	default: // of a create, after its acceptance
		captured := &capture{header: http.Header{}, status: http.StatusOK}
		answer(captured, r, c)
		switch {
		case captured.status != http.StatusOK:
			w.WriteHeader(captured.status)
			w.Write(captured.body)
		case f.Do == "reset_after_accept":
			reset(w)
		case f.Do == "hang_after_accept":
			hang(r)
		default:
			fail(w, http.StatusInternalServerError, "server_error", "Something went wrong (injected).")
		}
	}
}

func (f *Fault) delay() time.Duration {
	if f.Delay > 0 {
		return time.Duration(f.Delay)
	}
	return 2 * time.Second
}

// reset breaks the connection without an answer, as far as the transport lets.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// hang waits until the client has gone.
func hang(r *http.Request) {
	io.Copy(io.Discard, r.Body) // the end of a connection is seen once its body is read
	<-r.Context().Done()
}

// wait waits, and tells whether the client is still there.
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

// capture keeps an answer.
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

// withExtraKeys adds keys to every object of an answer.
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
