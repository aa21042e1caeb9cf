package remote

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// maxBody is the largest request body that is read, in bytes.
const maxBody = 1 << 20

// guard lets a request through only if it comes from a program on this
// machine, not from a web page that a browser has open: the Host must be a
// loopback one (against DNS rebinding), an Origin must be absent or this very
// server, and a body must be JSON, which a page cannot send elsewhere without
// asking first, and of at most maxBody.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !loopback(r.Host):
			http.Error(w, "This server answers only to names of this machine, such as 127.0.0.1 or localhost.", http.StatusForbidden)
		case !ownOrigin(r):
			http.Error(w, "Requests from web pages are refused.", http.StatusForbidden)
		case r.Method == http.MethodPost && !isJSON(r.Header.Get("Content-Type")):
			http.Error(w, "The body must be JSON: send Content-Type: application/json.", http.StatusUnsupportedMediaType)
		case r.ContentLength > maxBody:
			http.Error(w, "The body is larger than 1 MiB.", http.StatusRequestEntityTooLarge)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			next.ServeHTTP(w, r)
		}
	})
}

// loopback reports whether a Host header names this machine.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// ownOrigin reports whether a request has no Origin, as those of programs, or
// the one of this server.
func ownOrigin(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	u, err := url.Parse(origins[0])
	return len(origins) == 1 && err == nil && u.Host == r.Host && (u.Scheme == "http" || u.Scheme == "https")
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == "application/json"
}
