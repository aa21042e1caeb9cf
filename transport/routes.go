package transport

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/auth"
)

// relativeMessagePath is where clients of the older transport post messages, relative to
// the address of their stream. A proxy may serve that under any prefix, with or without
// a final slash: /x/sse leads to /x/message, and /x/sse/ to /x/sse/message. Both are
// routes. Some clients cannot resolve "../" or a query alone.
const relativeMessagePath = "message"

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	guarded := func(path string, next http.HandlerFunc, methods ...string) {
		h := s.guard(next, methods...)
		mux.Handle(path, h)
		mux.Handle(path+finalSlash, h) // otherwise it is unknown, or redirected, which loses the body
	}
	guarded("/mcp", s.serveMCP, http.MethodGet, http.MethodPost, http.MethodDelete)
	if s.o.SSE {
		guarded("/sse", s.serveSSE, http.MethodGet)
		guarded("/"+relativeMessagePath, s.postMessage, http.MethodPost)
		guarded("/sse/"+relativeMessagePath, s.postMessage, http.MethodPost)
	}
	if s.o.Issuer != nil {
		mux.HandleFunc(auth.MetadataPath, s.metadata)
		mux.HandleFunc(auth.MetadataPath+"/{path...}", s.metadata)
	} else if s.o.Callers != nil {
		mux.HandleFunc("POST /register", rejectRegistration)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.Handle("GET /readyz", s.readiness())
	if s.o.Files != nil {
		mux.HandleFunc(filesRoute+"{ticket}/{name}", s.serveFile)
	}
	if s.o.Pages != nil {
		for _, route := range s.o.Pages.Routes {
			mux.HandleFunc(route, s.servePage)
		}
	}
	guarded(metricsRoute, s.serveMetrics, http.MethodGet, http.MethodHead)
	return mux
}

// finalSlash ends the pattern of a path with a final slash, and of no path below it.
const finalSlash = "/{$}"

// routeOf returns the name of a route in the metrics: its pattern, the same with and
// without a final slash.
func routeOf(pattern string) string {
	if pattern == "" {
		return "none"
	}
	return strings.TrimSuffix(pattern, finalSlash)
}

// allowed returns the Allow header of a route with these methods, which answers
// OPTIONS as well.
func allowed(methods []string) string {
	return strings.Join(slices.Concat(methods, []string{http.MethodOptions}), ", ")
}

// notAllowed answers a method that a route does not have.
func notAllowed(w http.ResponseWriter, r *http.Request, methods []string, text string) {
	w.Header().Set("Allow", allowed(methods))
	fail(w, r, http.StatusMethodNotAllowed, text)
}

// rejectRegistration answers a client without a token that asks to be registered, in the
// form of RFC 7591: clients that get a 401 look for an authorization server, and without
// one take this server for it. Some show a person nothing but this answer.
func rejectRegistration(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusForbidden)
	json.NewEncoder(w).Encode(map[string]string{
		"error": "access_denied",
		"error_description": "This server registers no clients: it needs a token. Ask the person who runs it, " +
			"and send it as the header Authorization: Bearer TOKEN.",
	})
}

// metadata publishes whose tokens are accepted, to anybody and to any web page: a
// client in a browser has no token yet, and reads nothing else here.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	methods := []string{http.MethodGet, http.MethodHead}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch {
	case r.Method == http.MethodOptions:
		h.Set("Allow", allowed(methods))
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		h.Set("Access-Control-Allow-Headers", allowedHeaders+", *")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return
	case !slices.Contains(methods, r.Method):
		notAllowed(w, r, methods, "Use GET here.")
		return
	}
	h.Set("Cache-Control", "max-age=3600")
	h.Set("Content-Type", jsonType)
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	json.NewEncoder(w).Encode(s.o.Issuer.Metadata(r.URL.Path))
}
