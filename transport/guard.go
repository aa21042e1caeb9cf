package transport

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"fullstory-export-mcp/auth"
)

// reject answers a request that could not be accepted. why is the reason in a
// word, for the metrics; text is the body of the answer.
func (s *Server) reject(w http.ResponseWriter, r *http.Request, status int, why, text string) {
	s.metrics.rejected.WithLabelValues(why).Inc()
	s.o.Log.Debug("request rejected", "why", why, "method", r.Method, "path", shownPath(r))
	fail(w, r, status, text)
}

// guard lets a request through if its Host is a name of this server (against DNS
// rebinding), its Origin is absent or allowed (against web pages in a browser),
// its method is one of methods, and its caller is known and within its rate. next
// runs with the caller in its context. guard itself answers OPTIONS.
func (s *Server) guard(next http.HandlerFunc, methods ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Time{}) // of an earlier request on this connection
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !s.isAllowed(w, r, methods) {
			return
		}
		caller, ok := s.identify(w, r)
		if !ok {
			return
		}
		switch {
		case !s.limits.Request(caller):
			s.tooMany(w, r)
		case caller.Metrics && routeOf(r.Pattern) != metricsRoute:
			s.reject(w, r, http.StatusForbidden, "metrics", "This token reads "+metricsRoute+" and nothing else. "+
				"Ask the operator of this server for a token of another caller.")
		case r.Method == http.MethodPost && !isJSON(r.Header.Get("Content-Type")):
			s.reject(w, r, http.StatusUnsupportedMediaType, "content type",
				"The body must be JSON. Send Content-Type: application/json.")
		case r.ContentLength > maxBody:
			s.tooLarge(w, r)
		default:
			caller.Sessions = cmp.Or(caller.Sessions, s.part(s.o.Sessions))
			ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
			next(w, r.WithContext(s.withAddress(r, auth.WithCaller(ctx, caller))))
		}
	})
}

// tooMany rejects a request beyond the rate of its caller.
func (s *Server) tooMany(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	leave(w, r)
	s.reject(w, r, http.StatusTooManyRequests, "rate", "Too many requests. Wait a second, then send this one again.")
}

// isAllowed reports whether a request may continue, regardless of its caller, on a
// route with these methods. Otherwise isAllowed answers it.
func (s *Server) isAllowed(w http.ResponseWriter, r *http.Request, methods []string) bool {
	switch {
	case !s.isHost(r):
		leave(w, r)
		w.Header().Set("Connection", "close")
		s.reject(w, r, http.StatusForbidden, "host", "This server does not accept requests for this host name. "+
			"To allow it, start the server with --allow-host NAME.")
	case !s.isOrigin(w, r, methods):
		w.Header().Set("Connection", "close")
		s.reject(w, r, http.StatusForbidden, "origin", "Requests from this web page are not allowed. "+
			"To allow them, start the server with --allow-origin ORIGIN.")
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allowed(methods))
		w.WriteHeader(http.StatusNoContent)
	case !slices.Contains(methods, r.Method):
		notAllowed(w, r, methods, "Use "+strings.Join(methods, " or ")+" here.")
	case s.stopping.Load():
		w.Header().Set("Retry-After", "5")
		w.Header().Set("Connection", "close")
		s.reject(w, r, http.StatusServiceUnavailable, "stopping", "The server is restarting. Try again in a few seconds.")
	default:
		return true
	}
	return false
}

// identify returns the caller of a request, or rejects the request.
func (s *Server) identify(w http.ResponseWriter, r *http.Request) (auth.Caller, bool) {
	caller, err := s.gate.Caller(r.Context(), r.Header.Get("Authorization"))
	if rejection, ok := errors.AsType[*auth.Rejection](err); ok {
		s.tokenRejected(r, rejection)
	}
	broken, isBroken := errors.AsType[*auth.CallersError](err)
	both := auth.ScopeRead + " " + auth.ScopeWrite
	switch {
	case err == nil:
		return caller, true
	case isBroken:
		w.Header().Set("Retry-After", "30")
		s.reject(w, r, http.StatusServiceUnavailable, "callers", broken.Error())
	case errors.Is(err, auth.ErrIssuerAway):
		w.Header().Set("Retry-After", "10")
		s.reject(w, r, http.StatusServiceUnavailable, "issuer", "Tokens cannot be checked now, "+
			"because their issuer does not answer. Try again in a few seconds.")
	case errors.Is(err, auth.ErrScope):
		s.challenge(w, r, err, auth.ScopeRead)
		s.reject(w, r, http.StatusForbidden, "scope", "This token lacks the scope "+auth.ScopeRead+".")
	case errors.Is(err, auth.ErrNoToken):
		s.challenge(w, r, err, both)
		s.unauthorized(w, r, "Token missing. Send the header Authorization: Bearer TOKEN.")
	default:
		s.challenge(w, r, err, both)
		s.unauthorized(w, r, "Token invalid or expired; request a new one.")
	}
	return auth.Caller{}, false
}

// challenge sets the header that says which token is needed.
func (s *Server) challenge(w http.ResponseWriter, r *http.Request, err error, scope string) {
	w.Header().Set("WWW-Authenticate", s.gate.Challenge(r.URL.Path, err, scope))
}

// tokenRejected counts a token that was rejected and logs the reason. Anybody can send
// such tokens, so after the first ones of a kind the log has one of it a second.
func (s *Server) tokenRejected(r *http.Request, rejection *auth.Rejection) {
	s.metrics.tokens.WithLabelValues(rejection.Kind).Inc()
	s.rejections[rejection.Kind].Do(func() {
		s.o.Log.Info("token rejected", "kind", rejection.Kind, "reason", rejection.Reason,
			"from", r.RemoteAddr, "path", shownPath(r))
	})
}

// leave closes the connection of a request that is rejected before its body was read, if it
// has one: net/http would wait for the body.
func leave(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		http.NewResponseController(w).SetReadDeadline(time.Now())
	}
}

// isStranger reports whether a request shows no token to a server that has callers. Its
// connection is closed after the answer. Preflights of web pages have none either, and a
// request follows; downloads have a ticket.
func (s *Server) isStranger(r *http.Request) bool {
	return (s.o.Callers != nil || s.o.Issuer != nil) && r.Header.Get("Authorization") == "" &&
		r.Method != http.MethodOptions && !strings.HasPrefix(r.URL.Path, filesRoute)
}

// unauthorized rejects a request without a valid token, and closes its connection: idle
// ones cost memory.
func (s *Server) unauthorized(w http.ResponseWriter, r *http.Request, text string) {
	leave(w, r)
	w.Header().Set("Connection", "close")
	s.strangers.Do(func() {
		s.o.Log.Warn("request without a valid token rejected", "from", r.RemoteAddr, "path", shownPath(r))
	})
	s.reject(w, r, http.StatusUnauthorized, "token", text)
}

// mayCall reports whether the caller's token allows the tool that m calls.
// Otherwise mayCall rejects the request and names the scope that is needed.
func (s *Server) mayCall(w http.ResponseWriter, r *http.Request, m message) bool {
	c := auth.CallerOf(r.Context())
	if !c.Issued || !c.ReadOnly || m.method != methodCallTool || !slices.Contains(s.o.Writes, m.name) {
		return true
	}
	s.challenge(w, r, auth.ErrScope, auth.ScopeRead+" "+auth.ScopeWrite)
	s.reject(w, r, http.StatusForbidden, "scope", m.name+" needs the scope "+auth.ScopeWrite+", which this token lacks.")
	return false
}

// isHost reports whether the Host of a request is a name of this server: a name
// of this machine, one of Options.Hosts, or, if other machines reach the server,
// any address, since no web page can give an address to its own name.
func (s *Server) isHost(r *http.Request) bool {
	host := hostname(r.Host)
	if auth.IsLoopback(host) || s.hosts[host] {
		return true
	}
	_, err := netip.ParseAddr(host)
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return err == nil && ok && !local.IP.IsLoopback()
}

// hostname returns the host of a Host header or an address, in lower case and
// without port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// allowedHeaders are the headers of a request that a web page may set.
const allowedHeaders = "Authorization, Content-Type, Accept, Last-Event-ID, " +
	"Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name"

// isOrigin reports whether a request has no Origin, as those of programs, the
// Origin of this server, or one of Options.Origins; then isOrigin sets the
// headers that a browser needs for a route with these methods.
func (s *Server) isOrigin(w http.ResponseWriter, r *http.Request, methods []string) bool {
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
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		h.Set("Access-Control-Allow-Headers", allowedHeaders)
		h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, Retry-After")
		h.Set("Access-Control-Max-Age", "600")
		return true
	}
	u, err := url.Parse(origins[0])
	return err == nil && u.Host == r.Host && (u.Scheme == "http" || u.Scheme == "https")
}

// recovered answers a panic of a handler with an error instead of a closed
// connection, and allows every body at most readTime.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil || v == http.ErrAbortHandler {
				return
			}
			id := newErrorID()
			s.o.Log.Error("internal error", "id", id, "path", shownPath(r), "panic", v, "stack", string(debug.Stack()))
			fail(w, r, http.StatusInternalServerError, internalErrorText(id))
		}()
		if r.ContentLength != 0 { // net/http reads the body of a rejected request too
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTime))
		}
		if s.isStranger(r) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
