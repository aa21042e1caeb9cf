package sandbox

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Guarded returns s for a listener, with protection against web pages in a browser on
// this machine. A request that a page of another site makes is rejected. So is, unless
// shared, one for another host than this machine or one of hosts: a page can give an
// address of this machine to a name of its own, and then counts as the same site (DNS
// rebinding). A shared sandbox is one that other machines reach, under any name; it
// needs Config.OwnKeys.
func (s *Sandbox) Guarded(shared bool, hosts ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostname(r.Host)
		allowed := slices.ContainsFunc(hosts, func(name string) bool { return strings.EqualFold(name, host) })
		switch {
		case !shared && !isLoopback(host) && !allowed:
			fail(w, http.StatusForbidden, "forbidden_host", "The sandbox does not accept requests for this host name. "+
				"To allow it, start the sandbox with --allow-host NAME.")
		case !isOwnOrigin(r):
			fail(w, http.StatusForbidden, "forbidden_origin", "The sandbox does not accept requests from web pages.")
		default:
			s.ServeHTTP(w, r)
		}
	})
}

// hostname returns the host of a Host header, in lower case and without port and
// brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// isLoopback reports whether a host is reached from this machine only.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// isOwnOrigin reports whether a request comes from a program, which sends no Origin, or
// from a page of the sandbox itself. Browsers send Sec-Fetch-Site also with requests
// that have no Origin, such as those for images.
func isOwnOrigin(r *http.Request) bool {
	if site := r.Header.Values("Sec-Fetch-Site"); len(site) > 1 ||
		len(site) == 1 && site[0] != "same-origin" && site[0] != "none" {
		return false
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	u, err := url.Parse(origins[0])
	return len(origins) == 1 && err == nil && u.Host == r.Host && (u.Scheme == "http" || u.Scheme == "https")
}
