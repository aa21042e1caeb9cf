package web

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"fullstory-export-mcp/auth"
)

// tries bound how often somebody may try to sign in: by address, and all together. They are safe
// for concurrent use.
type tries struct {
	mu  sync.Mutex
	by  map[string]*rate.Limiter
	all *rate.Limiter
}

const (
	triesAtOnce = 20 // of one address; then one each triesPause
	triesPause  = 3 * time.Second
	allTries    = 50     // a second, of all addresses
	mostAddress = 10_000 // addresses that are remembered
)

func newTries() *tries {
	return &tries{by: map[string]*rate.Limiter{}, all: rate.NewLimiter(allTries, 4*allTries)}
}

// allow counts a try of an address, and reports whether it may continue.
func (t *tries) allow(address string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.by[address]
	if l == nil {
		if len(t.by) >= mostAddress {
			for a, l := range t.by {
				if l.Tokens() >= triesAtOnce {
					delete(t.by, a)
				}
			}
		}
		if len(t.by) >= mostAddress { // all of them are trying
			return false
		}
		l = rate.NewLimiter(rate.Every(triesPause), triesAtOnce)
		t.by[address] = l
	}
	return l.Allow() && t.all.Allow()
}

// addressOf returns the address that a request comes from. Behind a proxy of a private network it is
// the last one that the proxy names. Of an IPv6 address it is the network, since a host has many.
func addressOf(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	addr, err := netip.ParseAddr(host)
	if err == nil && (addr.IsLoopback() || addr.IsPrivate()) {
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if named, wrong := netip.ParseAddr(strings.TrimSpace(all[len(all)-1])); wrong == nil {
			addr = named
		}
	}
	if addr = addr.Unmap(); addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// signInData is what the page with the form shows.
type signInData struct {
	page
	Next    string // where to continue; one of nextPath
	Issuer  bool   // people can sign in there
	Token   bool   // or by a token
	Problem string
}

// nextPath has the paths to which a person may be led after sign-in: those of this page.
var nextPath = regexp.MustCompile(`^(files|audit|(bulk|sync)/[A-Za-z0-9_%-][A-Za-z0-9._%-]{0,199})$`)

// next returns where a person continues after sign-in; "" is the list.
func next(r *http.Request) string {
	if path := r.FormValue("next"); nextPath.MatchString(path) {
		return path
	}
	return ""
}

// signInPage shows the form.
func (s *Site) signInPage(w http.ResponseWriter, r *http.Request) {
	if s.o.Gate.IsOpen() {
		seeOther(w, "./")
		return
	}
	s.showSignIn(w, r, http.StatusOK, "")
}

// showSignIn shows the form with the reason why the last try failed. A visitor gets a session, for
// the form token.
func (s *Site) showSignIn(w http.ResponseWriter, r *http.Request, status int, problem string) {
	n, err := s.sessions.open(r.Context(), s.cookie(r, ""))
	if err != nil {
		n = s.sessions.start(auth.Caller{}, true)
		s.setCookie(w, r, "", s.sessions.seal(sealedSession, n), http.SameSiteStrictMode)
	}
	d := signInData{
		page: s.page(r, "Sign in", nil), Next: next(r), Issuer: s.o.Code != nil, Token: true, Problem: problem,
	}
	d.FormToken = s.sessions.formToken(n)
	if !s.isPrivate(r) {
		d.Token, d.Issuer = false, false
		d.Problem = "This connection is not encrypted, so signing in here would show your token to others. " +
			"Open this page with https."
	}
	render(w, status, "sign-in.html", d)
}

// signIn signs a person in who gives the token of a caller.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request) {
	old, err := s.sessions.open(r.Context(), s.cookie(r, ""))
	switch {
	case s.o.Gate.IsOpen():
		seeOther(w, "./")
		return
	case !s.isPrivate(r):
		s.showSignIn(w, r, http.StatusForbidden, "")
		return
	}
	if wrong := r.ParseForm(); wrong != nil {
		s.fail(w, r, formStatus(wrong), "The form cannot be read.")
		return
	}
	if err != nil || !s.isOwn(r) || !s.sessions.isForm(old, r.PostForm.Get("token")) {
		s.showSignIn(w, r, http.StatusForbidden, "The form was too old. Try again.")
		return
	}
	if !s.tries.allow(addressOf(r)) {
		w.Header().Set("Retry-After", "60")
		s.showSignIn(w, r, http.StatusTooManyRequests, "Too many tries. Wait a minute, then try again.")
		return
	}
	caller, err := s.o.Gate.Caller(r.Context(), "Bearer "+strings.TrimSpace(r.PostForm.Get("caller_token")))
	if err != nil || caller.Metrics {
		status, problem := s.notSignedIn(r, err)
		s.showSignIn(w, r, status, problem)
		return
	}
	s.enter(w, r, old, caller)
	seeOther(w, "./"+next(r))
}

// enter begins a session of a caller, with a new id, in place of the old one.
func (s *Site) enter(w http.ResponseWriter, r *http.Request, old session, c auth.Caller) {
	if old.ID != "" && !old.Visitor {
		if err := s.sessions.end(r.Context(), old); err != nil {
			s.o.Log.Warn("a session of the web page cannot be ended", "error", err)
		}
	}
	n := s.sessions.start(c, false)
	s.setCookie(w, r, "", s.sessions.seal(sealedSession, n), http.SameSiteStrictMode)
	s.o.Log.InfoContext(auth.WithCaller(r.Context(), c), "signed in on the web page", "from", addressOf(r))
}

// notSignedIn returns the answer to a person whose token was rejected, and logs the reason.
func (s *Site) notSignedIn(r *http.Request, err error) (status int, problem string) {
	broken, isBroken := errors.AsType[*auth.CallersError](err)
	reason := "it reads metrics and nothing else"
	if err != nil {
		reason = err.Error()
	}
	s.failed.Do(func() {
		s.o.Log.Warn("sign-in on the web page rejected", "from", addressOf(r), "reason", reason)
	})
	switch {
	case isBroken:
		return http.StatusServiceUnavailable, broken.Error()
	case errors.Is(err, auth.ErrIssuerAway):
		return http.StatusServiceUnavailable, "The issuer of tokens does not answer. Try again in a minute."
	case err == nil:
		return http.StatusForbidden, "This token reads metrics and nothing else. Use the token of another caller."
	case errors.Is(err, auth.ErrScope):
		return http.StatusForbidden, "You may not read exports: the scope " + auth.ScopeRead + " is missing."
	}
	return http.StatusForbidden, "This token is not valid, or not any more."
}

// signOut ends the session.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request) {
	n, err := s.sessions.open(r.Context(), s.cookie(r, ""))
	if err == nil {
		v := visit{s, w, r, n}
		if !v.form() {
			return
		}
		if err := s.sessions.end(r.Context(), n); err != nil {
			s.o.Log.Warn("a session of the web page cannot be ended", "error", err)
			s.fail(w, r, http.StatusServiceUnavailable, "You are still signed in: the session cannot be ended now. "+
				"Try again in a minute.")
			return
		}
	}
	s.setCookie(w, r, "", "", http.SameSiteStrictMode)
	seeOther(w, "sign-in")
}

// seeOther leads a browser to a path relative to that of the request.
func seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
