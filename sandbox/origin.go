package sandbox

import (
	"net/http"
	"net/url"
	"strings"
)

// origin returns the scheme and the host at which the client reached the sandbox, such
// as https://api.example.com. Behind a proxy they are those in X-Forwarded-Proto and
// X-Forwarded-Host; invalid ones are ignored.
func origin(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if forwarded := strings.ToLower(nearest(r.Header, "X-Forwarded-Proto")); forwarded == "http" || forwarded == "https" {
		scheme = forwarded
	}
	if forwarded := nearest(r.Header, "X-Forwarded-Host"); isHost(forwarded) {
		host = forwarded
	}
	return scheme + "://" + host
}

// nearest returns the value of a header to which each proxy adds one, as written by
// the proxy nearest to the client: the first.
func nearest(h http.Header, name string) string {
	first, _, _ := strings.Cut(h.Get(name), ",")
	return strings.TrimSpace(first)
}

// isHost reports whether text is a host with or without a port, and nothing else.
func isHost(text string) bool {
	u, err := url.Parse("//" + text)
	return err == nil && text != "" && u.Host == text && u.Hostname() != ""
}
