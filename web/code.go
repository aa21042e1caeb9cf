package web

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"fullstory-export-mcp/auth"
)

// codeLife is how long a sign-in at the issuer may take.
const codeLife = 10 * time.Minute

// begun is a sign-in at the issuer that a browser has begun. Its cookie is lax: the issuer sends the
// browser back from another site.
type begun struct {
	auth.CodeRequest
	Next  string `json:"n,omitempty"`
	Until int64  `json:"u"`
}

const codeCookie = "-sign-in"

// beginCode sends the browser to the issuer.
func (s *Site) beginCode(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.o.Code == nil:
		s.fail(w, r, http.StatusNotFound, "There is no such page.")
		return
	case !s.isPrivate(r):
		s.showSignIn(w, r, http.StatusForbidden, "")
		return
	case !s.tries.allow(addressOf(r)):
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusTooManyRequests, "Too many tries. Wait a minute, then try again.")
		return
	}
	request, address, err := s.o.Code.Begin(r.Context(), s.o.Address(r.Context())+"/sign-in/callback")
	if err != nil {
		s.fail(w, r, http.StatusServiceUnavailable, "The issuer of tokens does not answer. Try again in a minute.")
		return
	}
	b := begun{request, next(r), s.sessions.now().Add(codeLife).Unix()}
	s.setCookie(w, r, codeCookie, s.sessions.seal(sealedCode, b), http.SameSiteLaxMode)
	seeOther(w, address)
}

// finishCode signs a person in whom the issuer sends back with a code. Its answer is a page that
// leads on, not a redirect: a browser does not send strict cookies with a request that another site
// began, and redirects belong to that request.
func (s *Site) finishCode(w http.ResponseWriter, r *http.Request) {
	var b begun
	q := r.URL.Query()
	err := s.sessions.unseal(sealedCode, s.cookie(r, codeCookie), &b)
	s.setCookie(w, r, codeCookie, "", http.SameSiteLaxMode)
	state := subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(b.State)) == 1
	if s.o.Code == nil || err != nil || !state || b.State == "" || s.sessions.now().Unix() >= b.Until {
		s.fail(w, r, http.StatusForbidden, "This sign-in was not begun here, or took too long. Begin again.")
		return
	}
	if !s.tries.allow(addressOf(r)) {
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusTooManyRequests, "Too many tries. Wait a minute, then try again.")
		return
	}
	caller, err := s.o.Code.Finish(r.Context(), b.CodeRequest, q)
	if errors.Is(err, auth.ErrCode) {
		s.failed.Do(func() { s.o.Log.Warn("sign-in at the issuer failed", "error", err) })
		s.fail(w, r, http.StatusForbidden, "The issuer did not sign you in. Begin again, or ask its administrator.")
		return
	}
	if err != nil {
		status, problem := s.notSignedIn(r, err)
		s.fail(w, r, status, problem)
		return
	}
	s.enter(w, r, session{}, caller)
	p := s.page(r, "Signed in", nil)
	p.Refresh = root(r) + b.Next
	render(w, http.StatusOK, "continue.html", p)
}
