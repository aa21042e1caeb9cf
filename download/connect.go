package download

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

const (
	// maxRedirects is the number of redirects that are followed from one link.
	maxRedirects = 3
	// maxHeader is the size of the header of an answer in bytes. Stores send 2 kB.
	maxHeader = 64 << 10
	// connectTimeout is the limit of connecting, and of each TLS handshake.
	connectTimeout = 15 * time.Second
	// lookupTimeout is the limit of looking up a store behind a proxy. Networks that have a
	// proxy often answer no questions about names outside, or answer late.
	lookupTimeout = 3 * time.Second
)

// network is how links are reached. Its zero value is the network of this machine; tests
// have others.
type network struct {
	resolver *net.Resolver
	proxy    func(*http.Request) (*url.URL, error) // nil: as the environment says
	roots    *x509.CertPool                        // nil: those of the system
}

// connector sends the requests for links. It sends no key, cookies or Referer, and
// connects to public addresses alone, also through a proxy. The proxy itself may be in a
// private network.
type connector struct {
	Source
	direct *http.Transport
}

// newClient returns a client for the links of s.
func (s Source) newClient() *http.Client {
	c := connector{Source: s}
	c.direct = c.transport()
	c.direct.DialContext = c.dialPublic
	return &http.Client{
		Transport: c,
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			next.Header.Del("Referer") // it would contain the signature of the link
			if len(via) > maxRedirects {
				return &LinkError{Reason: "it redirects too often"}
			}
			return s.checkLink(next.URL)
		},
	}
}

// transport returns a transport with the limits of all connections.
func (c connector) transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: c.net.roots},
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  time.Minute,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
	}
}

// CloseIdleConnections lets http.Client close the connections.
func (c connector) CloseIdleConnections() { c.direct.CloseIdleConnections() }

// RoundTrip sends one request. It fails at a redirect to something that is not a URL:
// net/http would quote it, with its signature, in an error.
func (c connector) RoundTrip(r *http.Request) (*http.Response, error) {
	choose := c.net.proxy
	if choose == nil {
		choose = http.ProxyFromEnvironment
	}
	proxy, err := choose(r)
	var response *http.Response
	switch {
	case err != nil: // it quotes the address, which may have a password
		return nil, errors.New("the proxy that HTTPS_PROXY names is not a URL")
	case proxy == nil:
		response, err = c.direct.RoundTrip(r)
	default:
		response, err = c.viaProxy(r, proxy)
	}
	if err != nil || response.Header.Get("Location") == "" {
		return response, err
	}
	if _, err := response.Location(); err != nil {
		response.Body.Close()
		return nil, &LinkError{Reason: "it redirects to something that is not a URL"}
	}
	return response, nil
}

// dialPublic connects to a host if all of its addresses are public. It looks them up
// once, so that the addresses that it checks are those that it dials.
func (c connector) dialPublic(ctx context.Context, kind, address string) (net.Conn, error) {
	var forbidden error // set before the first address is dialled
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{DNSDone: func(found httptrace.DNSDoneInfo) {
		for _, a := range found.Addrs {
			ip, _ := netip.AddrFromSlice(a.IP)
			forbidden = cmp.Or(forbidden, checkAddress(ip.WithZone(a.Zone), c.AllowLoopback))
		}
	}})
	dialer := &net.Dialer{
		Timeout: connectTimeout, Resolver: c.net.resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return cmp.Or(forbidden, checkAddress(at.Addr(), c.AllowLoopback))
		},
	}
	return dialer.DialContext(ctx, kind, address)
}

// viaProxy sends a request through a proxy. The proxy is given the address that was
// checked, and not the name of the host, which it could look up to another one. It is
// given the names of trusted stores, since proxies often decide by name.
func (c connector) viaProxy(r *http.Request, proxy *url.URL) (*http.Response, error) {
	host := r.URL.Hostname()
	ip, err := c.lookup(r.Context(), host)
	if err != nil {
		return nil, err
	}
	toProxy := &net.Dialer{Timeout: connectTimeout, Resolver: c.net.resolver}
	t := c.transport()
	t.Proxy = http.ProxyURL(proxy)
	t.DialContext = toProxy.DialContext
	t.DisableKeepAlives = true // this transport has one request
	t.TLSClientConfig.ServerName = host
	// A proxy with TLS proves its own name.
	t.DialTLSContext = (&tls.Dialer{NetDialer: toProxy, Config: &tls.Config{RootCAs: c.net.roots}}).DialContext
	sent := r.Clone(r.Context())
	if ip.IsValid() {
		sent.Host = r.URL.Host
		sent.URL.Host = net.JoinHostPort(ip.String(), cmp.Or(r.URL.Port(), "443"))
	}
	response, err := t.RoundTrip(sent)
	if err == nil {
		response.Request = r
	}
	return response, err
}

// lookup returns the address at which a proxy is to reach host, after it has checked all
// of them; the zero address if the proxy is to be given the name.
func (c connector) lookup(ctx context.Context, host string) (netip.Addr, error) {
	trusted := c.Stores.trusted(host)
	if trusted {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
	}
	found, err := c.net.resolver.LookupNetIP(ctx, "ip", host)
	dns, _ := errors.AsType[*net.DNSError](err)
	switch {
	case err != nil && trusted:
		return netip.Addr{}, nil
	case dns != nil && dns.IsNotFound:
		return netip.Addr{}, &LinkError{Reason: "its host " + host + " has no address here that can be checked before " +
			"the proxy is asked for it", Unlisted: true}
	case err != nil:
		return netip.Addr{}, fmt.Errorf("the host of the link cannot be looked up: %w", err)
	}
	for _, ip := range found {
		if err := checkAddress(ip, c.AllowLoopback); err != nil {
			return netip.Addr{}, err
		}
	}
	if trusted {
		return netip.Addr{}, nil
	}
	// Proxies without IPv6 are common, those without IPv4 are not.
	slices.SortStableFunc(found, func(a, b netip.Addr) int { return cmp.Compare(a.Unmap().BitLen(), b.Unmap().BitLen()) })
	return found[0].Unmap(), nil
}
