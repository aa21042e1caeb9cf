package archive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// maxRedirects is how many redirects of a link are followed.
const maxRedirects = 3

// special are ranges that look public and are not (the special-purpose address
// registries of IANA).
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by the customers of a carrier
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2002::/16"),      // 6to4, which holds an IPv4 address
	netip.MustParsePrefix("64:ff9b:1::/48"), // local NAT64
}

// nat64 leads to the IPv4 address in its last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// checkLink refuses an address that a link to a file has no business with. What
// its host resolves to is checked when it is dialled.
func checkLink(u *url.URL, allowLoopback bool) error {
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && allowLoopback && loopback(u.Hostname()):
	default:
		return &LinkError{Reason: fmt.Sprintf("%s://%s is not https", u.Scheme, u.Host)}
	}
	if u.User != nil || u.Host == "" {
		return &LinkError{Reason: "its host is not plain"}
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// public tells whether ip is one that a link may lead to: whoever makes links
// must not reach into the network of this machine.
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

// newDownloader returns a client for links: without key, cookies or Referer,
// and without a way into private networks. A proxy of the environment is used.
func newDownloader(allowLoopback bool) *http.Client {
	guarded := &net.Dialer{Timeout: 15 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if public(at.Addr()) || allowLoopback && at.Addr().IsLoopback() {
			return nil
		}
		return &LinkError{Reason: fmt.Sprintf("it leads to %s, an address that is not public", at.Addr())}
	}}
	plain := &net.Dialer{Timeout: guarded.Timeout}
	return &http.Client{
		Transport: redirects{&http.Transport{
			Proxy: http.ProxyFromEnvironment,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if isProxy(address) {
					return plain.DialContext(ctx, network, address)
				}
				return guarded.DialContext(ctx, network, address)
			},
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: time.Minute,
			DisableCompression:    true,
		}},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			next.Header.Del("Referer") // it would carry the signature along
			if len(via) > maxRedirects {
				return &LinkError{Reason: "it redirects too often"}
			}
			return checkLink(next.URL, allowLoopback)
		},
	}
}

// redirects refuses a redirect to what is no URL: net/http would repeat it, with
// its signature, in the error.
type redirects struct{ *http.Transport }

func (t redirects) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.Transport.RoundTrip(r)
	if err != nil || response.Header.Get("Location") == "" {
		return response, err
	}
	if _, err := response.Location(); err != nil {
		response.Body.Close()
		return nil, &LinkError{Reason: "it redirects to something that is no URL"}
	}
	return response, nil
}

// isProxy tells whether address is the proxy that the environment names for
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

// withoutURL takes the link, which is a secret, out of an error of a request.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
