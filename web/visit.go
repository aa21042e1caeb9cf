package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/exports"
)

// visit is a request of a person who may see the page.
type visit struct {
	s       *Site
	w       http.ResponseWriter
	r       *http.Request
	session session
}

// readTime bounds what is read or done for a request.
const readTime = 15 * time.Second

// signedIn lets the requests of people through who are signed in, within their rate. Others are
// sent to the form. A server that anybody may call gives everybody a session, for its form token.
func (s *Site) signedIn(next func(*visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, err := s.sessions.open(r.Context(), s.cookie(r, ""))
		if err == nil && n.Visitor {
			err = auth.ErrToken
		}
		if err != nil && s.o.Gate.IsOpen() {
			n, err = s.welcome(w, r)
		}
		if err != nil {
			s.stranger(w, r, err)
			return
		}
		w.Header().Del("Connection") // set for strangers alone
		if !s.o.Limits.Request(n.Caller) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many requests. Wait a second, then try again.", http.StatusTooManyRequests)
			return
		}
		next(&visit{s, w, r.WithContext(auth.WithCaller(r.Context(), n.Caller)), n})
	}
}

// welcome begins a session of a person on a server that anybody may call.
func (s *Site) welcome(w http.ResponseWriter, r *http.Request) (session, error) {
	caller, err := s.o.Gate.Current(auth.Caller{})
	if err != nil {
		return session{}, err
	}
	n := s.sessions.start(caller, false)
	s.setCookie(w, r, "", s.sessions.seal(sealedSession, n), http.SameSiteStrictMode)
	return n, nil
}

// stranger answers a request without a session that is valid.
func (s *Site) stranger(w http.ResponseWriter, r *http.Request, err error) {
	broken, isBroken := errors.AsType[*auth.CallersError](err)
	switch {
	case isBroken:
		w.Header().Set("Retry-After", "30")
		s.fail(w, r, http.StatusServiceUnavailable, broken.Error())
	case !errors.Is(err, errSealed) && !errors.Is(err, auth.ErrToken):
		s.o.Log.Warn("a session of the web page cannot be checked", "error", err)
		s.fail(w, r, http.StatusServiceUnavailable, "Your session cannot be checked now. Try again in a minute.")
	case r.Method != http.MethodGet || !isPage(r):
		s.fail(w, r, http.StatusUnauthorized, "You are not signed in, or not any more. Load the page again to sign in.")
	default:
		w.Header().Set("Location", root(r)+"sign-in?next="+url.QueryEscape(strings.TrimPrefix(r.URL.EscapedPath(), "/")))
		w.WriteHeader(http.StatusSeeOther)
	}
}

// isPage reports whether a request is for a page that a person looks at.
func isPage(r *http.Request) bool {
	what := r.PathValue("what")
	return r.URL.Path != "/data" && r.URL.Path != "/events" && what != "data" && what != "events"
}

// root returns the relative path from a request to that of the list: a proxy may serve the page
// below a prefix that is not known here.
func root(r *http.Request) string {
	return strings.Repeat("../", max(0, strings.Count(r.URL.EscapedPath(), "/")-1))
}

// wantsJSON reports whether the script of the page sent a request.
func wantsJSON(r *http.Request) bool { return r.Header.Get("Accept") == "application/json" }

// form checks that a request comes from a form of this page in this session. Otherwise it answers.
func (v *visit) form() bool {
	token := v.r.Header.Get("X-Form-Token")
	if token == "" {
		if err := v.r.ParseForm(); err != nil {
			v.fail(formStatus(err), "The form cannot be read.")
			return false
		}
		token = v.r.PostForm.Get("token")
	}
	if !v.s.isOwn(v.r) || !v.s.sessions.isForm(v.session, token) {
		v.fail(http.StatusForbidden, "This form is not of your session. Load the page again, then try again.")
		return false
	}
	return true
}

// formStatus returns the status for a form that cannot be read.
func formStatus(err error) int {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// account returns the account of the person, or answers with the reason why it cannot be used. end
// must be called.
func (v *visit) account() (ctx context.Context, a *exports.Account, end func(), ok bool) {
	ctx, cancel := context.WithTimeout(v.r.Context(), readTime)
	a, err := v.s.o.Account(ctx)
	if err != nil {
		v.failed(err)
		cancel()
		return nil, nil, func() {}, false
	}
	return ctx, a, cancel, true
}

// mayAct reports whether the person may change bulk exports.
func (v *visit) mayAct() bool { return v.s.o.Control && !v.session.Caller.ReadOnly }

// maySync reports whether the person may change syncs.
func (v *visit) maySync() bool { return v.s.o.Sync && !v.session.Caller.ReadOnly }

// fail answers with an error in words.
func (v *visit) fail(status int, text string) { v.s.fail(v.w, v.r, status, text) }

// failed answers with the explanation of an error.
func (v *visit) failed(err error) {
	status := http.StatusServiceUnavailable
	x := exports.Explain(err)
	text := x.Cause
	for _, w := range x.Wrong {
		text += " " + sentence(w.Text)
	}
	switch {
	case exports.IsUnknown(err):
		status, text = http.StatusNotFound, "This account has nothing of that name or id."
	case errors.Is(err, exports.ErrWrongState), errors.Is(err, exports.ErrIncomplete), x.Kind == exports.Quota:
		status = http.StatusConflict
	case x.Kind == exports.Arguments:
		status = http.StatusBadRequest
	case x.Kind == exports.Internal:
		text = "It cannot be done now. Try again in a minute; the log of the server has the reason."
		v.s.o.Log.WarnContext(v.r.Context(), "a request of the web page failed", "path", v.r.Pattern, "error", err)
	}
	v.fail(status, strings.ReplaceAll(strings.TrimSpace(text), "`", ""))
}

// sentence returns the first sentence of an explanation, with a capital: others say what a model can
// call.
func sentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	first = strings.TrimSuffix(first, ".") + "."
	return strings.ToUpper(first[:1]) + first[1:]
}
