package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"golang.org/x/time/rate"
)

const (
	// maxBody is the largest request body that is read, in bytes.
	maxBody = 1 << 20
	// maxHeader is the most that the headers of a request may take, in bytes.
	maxHeader = 32 << 10
	// largeBody is what a body takes, in bytes, that is handled only with few
	// others like it: what is read of it may take fifty times as much.
	largeBody   = 64 << 10
	largeBodies = 4
	// readTime is how long a request may take to arrive.
	readTime = 10 * time.Second
)

// refuse answers a request that is not served. why is the reason in a word,
// for the metrics.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, why, text string) {
	s.metrics.refused.WithLabelValues(why).Inc()
	s.o.Log.Debug("refused", "why", why, "method", r.Method, "path", r.URL.Path)
	http.Error(w, text, status)
}

// guard lets a request through if its Host is a name of this server (against
// DNS rebinding), its Origin is absent or one that may use it (a web page that
// a browser has open is not), and its caller is known and within its rate.
func (s *Server) guard(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.SetWriteDeadline(time.Time{}) // of an earlier request on this connection
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case !s.isHost(r):
			s.refuse(w, r, http.StatusForbidden, "host", "This server does not go by that name. If it should, start it with --allow-host NAME.")
			return
		case !s.isOrigin(w, r):
			s.refuse(w, r, http.StatusForbidden, "origin", "Requests from this web page are refused. If they should not be, start the server with --allow-origin ORIGIN.")
			return
		case r.Method == http.MethodOptions:
			w.Header().Set("Allow", "GET, POST, DELETE")
			w.WriteHeader(http.StatusNoContent)
			return
		case s.stopping.Load():
			w.Header().Set("Retry-After", "5")
			w.Header().Set("Connection", "close")
			s.refuse(w, r, http.StatusServiceUnavailable, "stopping", "The server is being restarted; try again in a few seconds.")
			return
		}
		caller, ok := s.caller(w, r)
		if !ok {
			return
		}
		if !s.limits.request(caller) {
			w.Header().Set("Retry-After", "1")
			s.refuse(w, r, http.StatusTooManyRequests, "rate", "Too many requests: wait a second and send this one again.")
			return
		}
		switch {
		case r.Method == http.MethodPost && !isJSON(r.Header.Get("Content-Type")):
			s.refuse(w, r, http.StatusUnsupportedMediaType, "content type", "The body must be JSON: send Content-Type: application/json.")
			return
		case r.ContentLength > maxBody:
			s.tooLarge(w, r)
			return
		}
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		next(w, r.WithContext(WithCaller(ctx, caller)))
	})
}

// caller returns whom a request comes from, or refuses it.
func (s *Server) caller(w http.ResponseWriter, r *http.Request) (Caller, bool) {
	if s.o.Callers == nil && s.o.Issuer == nil {
		return Caller{}.limited(), true
	}
	header := r.Header.Get("Authorization")
	err := errToken
	if token, ok := bearer(header); ok {
		var c Caller
		if c, err = s.known(r.Context(), token); err == nil {
			return c, true
		}
	}
	switch {
	case errors.Is(err, errIssuerAway):
		w.Header().Set("Retry-After", "10")
		s.refuse(w, r, http.StatusServiceUnavailable, "issuer", "Tokens cannot be checked now, because their issuer does not answer; try again in a few seconds.")
	case errors.Is(err, errScope):
		s.challenge(w, "insufficient_scope", ScopeRead)
		s.refuse(w, r, http.StatusForbidden, "scope", "This token lacks the scope "+ScopeRead+".")
	case header == "":
		s.challenge(w, "", ScopeRead+" "+ScopeWrite)
		s.stranger(w, r, "Send the token that you were given: Authorization: Bearer TOKEN.")
	default:
		s.challenge(w, "invalid_token", ScopeRead+" "+ScopeWrite)
		s.stranger(w, r, "This token is not accepted. Get another from where this one comes from.")
	}
	return Caller{}, false
}

// known returns whom a token stands for: a caller of the file, or whoever the
// issuer made it for.
func (s *Server) known(ctx context.Context, token string) (Caller, error) {
	if s.o.Callers != nil {
		if c, ok := s.o.Callers.byToken(token); ok {
			return c, nil
		}
	}
	if s.o.Issuer == nil {
		return Caller{}, errToken
	}
	return s.o.Issuer.caller(ctx, token)
}

// challenge says what token is wanted.
func (s *Server) challenge(w http.ResponseWriter, what, scope string) {
	text := `Bearer realm="fullstory-export-mcp"`
	switch {
	case s.o.Issuer != nil:
		text = s.o.Issuer.challenge(what, scope)
	case what != "":
		text += `, error="` + what + `"`
	}
	w.Header().Set("WWW-Authenticate", text)
}

// stranger refuses a request without a token that is accepted.
func (s *Server) stranger(w http.ResponseWriter, r *http.Request, text string) {
	strangers.Do(func() {
		s.o.Log.Warn("a request without a valid token was refused", "from", r.RemoteAddr, "path", r.URL.Path)
	})
	s.refuse(w, r, http.StatusUnauthorized, "token", text)
}

// mayCall tells whether a token allows the tool that m calls. If not, the answer
// says which scope it takes.
func (s *Server) mayCall(w http.ResponseWriter, r *http.Request, m Message) bool {
	c := CallerOf(r.Context())
	if !c.issued || !c.ReadOnly || m.Method != "tools/call" || !slices.Contains(s.o.Writes, m.Name) {
		return true
	}
	s.challenge(w, "insufficient_scope", ScopeRead+" "+ScopeWrite)
	s.refuse(w, r, http.StatusForbidden, "scope", m.Name+" takes the scope "+ScopeWrite+", which this token lacks.")
	return false
}

// strangers keeps what anybody can cause from filling the log.
var strangers = rate.Sometimes{First: 10, Interval: 10 * time.Second}

// isHost reports whether the Host of a request is a name of this server: of
// this machine, one that was allowed, or, unless it listens on this machine
// only, any address, which no web page can make its own name stand for.
func (s *Server) isHost(r *http.Request) bool {
	host := hostname(r.Host)
	if isLocalName(host) || s.hosts[host] {
		return true
	}
	_, err := netip.ParseAddr(host)
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return err == nil && ok && !local.IP.IsLoopback()
}

// isLocalName tells whether a name stands for this machine only.
func isLocalName(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// hostname returns the host of a Host header, or of an address, in small
// letters and without port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// isOrigin reports whether a request has no Origin, as those of programs, the
// one of this server, or one that is allowed, which is then told to the
// browser.
func (s *Server) isOrigin(w http.ResponseWriter, r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	w.Header().Add("Vary", "Origin")
	if len(origins) > 1 {
		return false
	}
	if s.origins[strings.ToLower(origins[0])] {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name")
		h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, Retry-After")
		h.Set("Access-Control-Max-Age", "600")
		return true
	}
	u, err := url.Parse(origins[0])
	return err == nil && u.Host == r.Host && (u.Scheme == "http" || u.Scheme == "https")
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == "application/json"
}

func (s *Server) tooLarge(w http.ResponseWriter, r *http.Request) {
	s.refuse(w, r, http.StatusRequestEntityTooLarge, "body", "The body is larger than 1 MiB.")
}

// body reads the body of a request, which has to be no larger than maxBody and
// there within readTime. Otherwise it refuses the request. A large one waits
// for its place, which done gives back.
func (s *Server) body(w http.ResponseWriter, r *http.Request) (raw []byte, done func(), ok bool) {
	done = func() {}
	if r.ContentLength < 0 || r.ContentLength > largeBody {
		wait, cancel := context.WithTimeout(r.Context(), readTime)
		defer cancel()
		select {
		case s.large <- struct{}{}:
			done = sync.OnceFunc(func() { <-s.large })
		case <-wait.Done():
			s.busy(w, r)
			return nil, done, false
		}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		s.tooLarge(w, r)
	case err != nil:
		w.Header().Set("Connection", "close")
		s.refuse(w, r, http.StatusRequestTimeout, "slow", "The body did not arrive in time.")
	default:
		http.NewResponseController(w).SetReadDeadline(time.Time{})
		return raw, done, true
	}
	done()
	return nil, done, false
}

// receive reads a message, and takes a place among the caller's calls for it,
// which done gives back. What is no message is refused.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (m Message, raw []byte, done func(), ok bool) {
	raw, read, ok := s.body(w, r)
	if !ok {
		return m, nil, read, false
	}
	place := s.limits.call(CallerOf(r.Context()))
	if place == nil {
		read()
		s.busy(w, r)
		return m, nil, read, false
	}
	done = func() { read(); place() }
	m, err := ParseMessage(raw)
	var refused *Refusal
	if errors.As(err, &refused) {
		done()
		answer(w, http.StatusBadRequest, m.Refuse(refused))
		return m, nil, done, false
	}
	if !s.mayCall(w, r, m) {
		done()
		return m, nil, done, false
	}
	return m, raw, done, true
}

// answer writes a JSON answer, or an empty one. A client that does not take it
// within writeTime is cut off.
func answer(w http.ResponseWriter, status int, data []byte) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	if data != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	w.Write(data)
}

// notAllowed answers a method that a route has not.
func notAllowed(w http.ResponseWriter, allowed, text string) {
	w.Header().Set("Allow", allowed)
	http.Error(w, text, http.StatusMethodNotAllowed)
}

// recovered answers a panic of a handler with an error instead of a closed
// connection, and lets no body take longer than readTime.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil || v == http.ErrAbortHandler {
				return
			}
			id := rand.Text()[:10]
			s.o.Log.Error("internal error", "id", id, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			http.Error(w, "internal error "+id+"; the server's log has the details", http.StatusInternalServerError)
		}()
		if r.ContentLength != 0 { // also of a request that is refused, whose body net/http reads
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTime))
		}
		next.ServeHTTP(w, r)
	})
}

// accepts tells whether a request names a content type among those it takes.
func accepts(r *http.Request, contentType string) bool {
	for _, header := range r.Header.Values("Accept") {
		for item := range strings.SplitSeq(header, ",") {
			if t, _, err := mime.ParseMediaType(item); err == nil && t == contentType {
				return true
			}
		}
	}
	return false
}

func list(items []string) string { return strings.Join(slices.Sorted(slices.Values(items)), ", ") }

// gone tells whether an error is only that a client went away.
func gone(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}
