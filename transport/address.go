package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"fullstory-export-mcp/auth"
)

// addressKey is the key of the address of the server in a context.
type addressKey struct{}

// withAddress returns the context of a request with the address that its client uses.
func (s *Server) withAddress(r *http.Request, ctx context.Context) context.Context {
	if s.o.Files == nil || s.o.Files.Public != "" {
		return ctx
	}
	return context.WithValue(ctx, addressKey{}, s.address(r))
}

// address returns the address of the server for the client of a request, without a final
// slash: by its Host if that is a name of this machine or one of Options.Hosts, and
// otherwise where the connection arrived. A prefix that a proxy removed is not known here.
func (s *Server) address(r *http.Request) string {
	scheme := "http"
	// A proxy says that clients use TLS. If somebody else says so, the address does not
	// work, and nothing is sent without TLS.
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	if name := hostname(r.Host); auth.IsLoopback(name) || s.hosts[name] {
		return scheme + "://" + joined(name, r.Host)
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return scheme + "://" + local.String()
	}
	return scheme + "://localhost"
}

// joined returns a host name with the port of a Host header, if that has one.
func joined(name, host string) string {
	_, port, err := net.SplitHostPort(host)
	if n, wrong := strconv.ParseUint(port, 10, 16); err == nil && wrong == nil {
		return net.JoinHostPort(name, strconv.FormatUint(n, 10))
	}
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

// PublicURL returns the address below which clients reach the server, without a final
// slash, from one that an operator gave: that address, or that of /mcp or /sse below it. Its
// path is a prefix that a proxy removes.
func PublicURL(given string) (string, error) {
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("give an address such as https://mcp.example.com, with the path below which a proxy serves it")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	for _, route := range []string{"/mcp", "/sse"} {
		if above, ok := strings.CutSuffix(path, route); ok {
			path = strings.TrimRight(above, "/")
			break
		}
	}
	return u.Scheme + "://" + u.Host + path, nil
}
