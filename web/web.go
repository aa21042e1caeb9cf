// Package web is the web page of a server: a list of the bulk exports and syncs of an account, a
// page for each, its files and its audit log, for people who signed in. It reads without JavaScript;
// with it, the view of package views draws the pages and keeps them up to date.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/exports"
)

// Options say what the pages show, and to whom. All fields without "nil:" are required.
type Options struct {
	Account func(context.Context) (*exports.Account, error) // of the caller of a context
	Gate    auth.Gate                                       // who may sign in; open: nobody needs to
	Limits  *auth.Limits                                    // of requests, shared with the other routes
	Code    *auth.CodeFlow                                  // to sign in at the issuer; nil: by a token alone
	Key     []byte                                          // secret of sessions, which replicas share
	Shared  Shared                                          // nil: there is one replica
	// Address returns the address of the server as the client of a request uses it.
	Address func(context.Context) string
	// File returns the path, relative to that address, of a file for the caller of a context, and
	// until when it is valid.
	File    func(ctx context.Context, subject, name string) (path string, until time.Time)
	Control bool // bulk exports can be paused, resumed, retried and cancelled
	Sync    bool // syncs can be paused and resumed
	Sandbox bool // Fullstory is simulated
	Log     *slog.Logger
}

// Site is the web page. It is safe for concurrent use; use New.
type Site struct {
	o        Options
	sessions *sessions
	tries    *tries
	streams  *streams
	failed   *rate.Sometimes // limits the lines of the log about sign-ins that failed
	mux      *http.ServeMux
}

// Routes are the patterns of the paths of the page.
func Routes() []string {
	return []string{
		"/{$}", "/data", "/events", "/bulk/{id}", "/bulk/{id}/{what}", "/sync/{id}", "/sync/{id}/{what}", "/files",
		"/file/{bulk}/{number}/{sum}", "/tar/{bulk}", "/audit", "/sign-in", "/sign-in/issuer", "/sign-in/callback",
		"/sign-out", "/assets/{name}",
	}
}

// New returns the page.
func New(o Options) *Site {
	s := &Site{
		o: o, sessions: newSessions(o.Key, o.Gate, o.Shared), tries: newTries(), streams: newStreams(),
		failed: &rate.Sometimes{First: 10, Interval: 10 * time.Second},
	}
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /assets/{name}", asset)
	s.mux.HandleFunc("GET /sign-in", s.signInPage)
	s.mux.HandleFunc("POST /sign-in", s.signIn)
	s.mux.HandleFunc("GET /sign-in/issuer", s.beginCode)
	s.mux.HandleFunc("GET /sign-in/callback", s.finishCode)
	s.mux.HandleFunc("POST /sign-out", s.signOut)
	for pattern, h := range map[string]func(*visit){
		"GET /{$}": s.list, "GET /data": s.listData, "GET /events": s.listEvents,
		"GET /bulk/{id}": s.bulkPage, "GET /bulk/{id}/{what}": s.ofBulk, "POST /bulk/{id}/{what}": s.actOnBulk,
		"GET /sync/{id}": s.syncPage, "GET /sync/{id}/{what}": s.ofSync, "POST /sync/{id}/{what}": s.actOnSync,
		"GET /files": s.files, "GET /file/{bulk}/{number}/{sum}": s.file, "GET /tar/{bulk}": s.tar,
		"GET /audit": s.audit,
	} {
		s.mux.HandleFunc(pattern, s.signedIn(h))
	}
	return s
}

// ServeHTTP answers a request to one of Routes, whose Host was checked.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if isForeign(r) {
		http.Error(w, "Requests from other web pages are not accepted.", http.StatusForbidden)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// policy is the Content-Security-Policy of every answer.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// protect sets the headers with which a browser protects the page from others.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// isForeign reports whether a browser says that another web page caused a request that is not a
// link that a person followed.
func isForeign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	other := site != "" && site != "same-origin" && site != "none"
	return other && (r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Method != http.MethodGet)
}

// isOwn reports whether a request that changes something comes from this page, by what its browser
// says; programs say nothing.
func (s *Site) isOwn(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	origins := r.Header.Values("Origin")
	switch {
	case site != "" && site != "same-origin", len(origins) > 1:
		return false
	case len(origins) == 0:
		return true
	case origins[0] == "null": // of a form on a page with Referrer-Policy: no-referrer
		return site == "same-origin"
	}
	u, err := url.Parse(origins[0])
	own, wrong := url.Parse(s.o.Address(r.Context()))
	if err != nil || wrong != nil {
		return false
	}
	return (u.Host == r.Host || u.Host == own.Host) && (u.Scheme == own.Scheme || u.Scheme == "https")
}

// isSecure reports whether the client of a request uses TLS.
func (s *Site) isSecure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(s.o.Address(r.Context()), "https:")
}

// isPrivate reports whether nobody between the client and the server can read a request.
func (s *Site) isPrivate(r *http.Request) bool {
	u, err := url.Parse("http://" + r.Host)
	return s.isSecure(r) || err == nil && auth.IsLoopback(u.Hostname())
}
