package download

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// maxRedirects is the number of redirects that are followed from one link.
const maxRedirects = 3

// special are ranges that netip takes for public, but that the special-purpose address
// registries of IANA do not.
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by the customers of a carrier
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2002::/16"),      // 6to4, which holds an IPv4 address
	netip.MustParsePrefix("64:ff9b:1::/48"), // local NAT64
}

// nat64 is the prefix of addresses that lead to the IPv4 address in their last four
// bytes, which may be private.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// parseLink parses a link. It encodes bytes that a URL must not have, such as a raw
// space, since some APIs send them. It fails with a *LinkError.
func parseLink(link string) (*url.URL, error) {
	link = strings.TrimSpace(link)
	if strings.ContainsFunc(link, unicode.IsControl) {
		return nil, &LinkError{Reason: "it holds a control character"}
	}
	u, err := url.Parse(link)
	switch {
	case link == "":
		return nil, &LinkError{Reason: "it is empty"}
	case err != nil:
		return nil, &LinkError{Reason: "it is not a URL"}
	case u.Scheme == "":
		return nil, &LinkError{Reason: "it is relative: it has no scheme"}
	}
	u.RawQuery = encoded(u.RawQuery)
	return u, nil
}

// encoded percent-encodes the bytes of a query that are not printable ASCII. It leaves
// the rest as it is: the signature of the link covers it.
func encoded(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// checkLink returns a *LinkError for a URL that a link to a file must not have. The
// dialer checks the addresses of its host, so that another DNS answer cannot change them
// in between.
func checkLink(u *url.URL, allowLoopback bool) error {
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && allowLoopback && loopback(u.Hostname()):
	default:
		return &LinkError{Reason: fmt.Sprintf("%s://%s is not https", u.Scheme, u.Host)}
	}
	switch {
	case u.Host == "":
		return &LinkError{Reason: "it has no host"}
	case u.User != nil:
		return &LinkError{Reason: "it holds a user name"}
	}
	return nil
}

// loopback reports whether a host is this machine by its spelling.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// public reports whether ip is on the public internet. The author of a link must not
// reach services in the network of this machine.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate()
}

// newClient returns a client for links. It sends no key, cookies or Referer, and does
// not connect to private networks. It uses the proxy that the environment names, which
// may be in one; the proxy then decides where links may lead.
func newClient(allowLoopback bool) *http.Client {
	publicOnly := &net.Dialer{Timeout: 15 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if public(at.Addr()) || allowLoopback && at.Addr().IsLoopback() {
			return nil
		}
		return &LinkError{Reason: fmt.Sprintf("it leads to %s, an address that is not public", at.Addr())}
	}}
	toProxy := &net.Dialer{Timeout: publicOnly.Timeout}
	return &http.Client{
		Transport: redirects{&http.Transport{
			Proxy: http.ProxyFromEnvironment,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if isProxy(address) {
					return toProxy.DialContext(ctx, network, address)
				}
				return publicOnly.DialContext(ctx, network, address)
			},
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: time.Minute,
			DisableCompression:    true,
		}},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			next.Header.Del("Referer") // it would contain the signature of the link
			if len(via) > maxRedirects {
				return &LinkError{Reason: "it redirects too often"}
			}
			return checkLink(next.URL, allowLoopback)
		},
	}
}

// redirects fails at a redirect to something that is not a URL. net/http would quote it,
// with its signature, in an error.
type redirects struct{ *http.Transport }

func (t redirects) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.Transport.RoundTrip(r)
	if err != nil || response.Header.Get("Location") == "" {
		return response, err
	}
	if _, err := response.Location(); err != nil {
		response.Body.Close()
		return nil, &LinkError{Reason: "it redirects to something that is not a URL"}
	}
	return response, nil
}

// isProxy reports whether address is the proxy that the environment names for
// links.
func isProxy(address string) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: "storage.googleapis.com"}})
	if err != nil || proxy == nil {
		return false
	}
	port := proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[proxy.Scheme]
	}
	return net.JoinHostPort(proxy.Hostname(), port) == address
}

// withoutURL returns the cause of an error of a request without the link, which is a
// secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
