package download

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// resolverOf returns a resolver that knows the given names, and counts its questions.
// Names without addresses do not exist.
func resolverOf(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go answerDNS(theirs, names)
		return ours, nil
	}}
}

// answerDNS answers the questions that arrive on a connection, as a name server does over
// TCP.
func answerDNS(c net.Conn, names map[string][]string) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, raw); err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(raw) != nil {
			return
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		asked := m.Questions[0]
		addresses := names[strings.ToLower(strings.TrimSuffix(asked.Name.String(), "."))]
		if len(addresses) == 0 {
			m.RCode = dnsmessage.RCodeNameError
		}
		for _, a := range addresses {
			ip := netip.MustParseAddr(a)
			header := dnsmessage.ResourceHeader{Name: asked.Name, Type: asked.Type, Class: asked.Class, TTL: 1}
			switch {
			case asked.Type == dnsmessage.TypeA && ip.Is4():
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: ip.As4()}})
			case asked.Type == dnsmessage.TypeAAAA && ip.Is6():
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
			}
		}
		out, err := m.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}

// proxy is a proxy on this machine that records where it is to connect, and connects to
// one place instead.
type proxy struct {
	*httptest.Server
	to string // address of that place; empty: it connects nowhere

	mu    sync.Mutex
	asked []string
}

// newProxy returns a proxy that connects to a server; nil: to none.
func newProxy(t *testing.T, to *httptest.Server) *proxy {
	t.Helper()
	p := &proxy{}
	if to != nil {
		p.to = to.Listener.Addr().String()
	}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	p.mu.Unlock()
	if p.to == "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	there, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{here, there}, {there, here}} {
		both.Go(func() { io.Copy(pair[0], pair[1]); pair[0].(interface{ CloseWrite() error }).CloseWrite() })
	}
	both.Wait()
}

// choose is a function for network.proxy.
func (p *proxy) choose(*http.Request) (*url.URL, error) { return url.Parse(p.URL) }

// connects returns what the proxy was asked.
func (p *proxy) connects() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// follow follows a link with one try.
func (s Source) follow(t *testing.T, link string) error {
	t.Helper()
	s.Link, s.Tries = func(context.Context) (string, error) { return link, nil }, 1
	_, _, err := get(t.Context(), s)
	return err
}

// secure returns a store with TLS, whose certificate is for example.com, and the network
// in which it is reached by a proxy.
func secure(t *testing.T, h http.HandlerFunc, names map[string][]string) (*proxy, network) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	p := newProxy(t, s)
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return p, network{resolver: resolverOf(t, names), proxy: p.choose, roots: roots}
}

// TestLinksThroughAProxy has hosts that a proxy would reach. The proxy is asked for none
// whose addresses are not all public, and never for a name that it could look up anew.
func TestLinksThroughAProxy(t *testing.T) {
	names := map[string][]string{
		"example.com": {"142.250.1.207"}, "six.example.com": {"2a00:1450:4001::1"},
		"both.example.com": {"2a00:1450:4001::1", "142.250.1.207"}, "nat64.example.com": {"64:ff9b::8efa:1cf"},
		"private.example.com": {"10.0.0.1"}, "one.example.com": {"142.250.1.207", "10.0.0.1"},
		"sixth.example.com": {"142.250.1.207", "fd00::1"}, "here.example.com": {"127.0.0.1"},
		"metadata.example.com": {"169.254.169.254"}, "nat.example.com": {"64:ff9b::a00:1"},
		"private.s3.amazonaws.com": {"10.0.0.1"}, "known.s3.amazonaws.com": {"142.250.1.207"},
	}
	for _, test := range []struct{ name, host, asked, says string }{
		{"public address", "142.250.1.207", "142.250.1.207:443", ""},
		{"public address of IPv6", "[2a00:1450:4001::1]", "[2a00:1450:4001::1]:443", ""},
		{"public name", "example.com", "142.250.1.207:443", ""},
		{"public name with a port", "example.com:8443", "142.250.1.207:8443", ""},
		{"public name with a trailing dot", "example.com.", "142.250.1.207:443", ""},
		{"public name in upper case", "EXAMPLE.com", "142.250.1.207:443", ""},
		{"public name with IPv6 alone", "six.example.com", "[2a00:1450:4001::1]:443", ""},
		{"public name with both", "both.example.com", "142.250.1.207:443", ""},
		{"public name by NAT64", "nat64.example.com", "[64:ff9b::8efa:1cf]:443", ""},
		{"known store", "known.s3.amazonaws.com", "known.s3.amazonaws.com:443", ""},
		{"known store that cannot be looked up", "b.storage.googleapis.com", "b.storage.googleapis.com:443", ""},
		{"private address", "10.0.0.1", "", "private networks"},
		{"metadata of a cloud machine", "169.254.169.254", "", "local link"},
		{"private address, mapped", "[::ffff:10.0.0.1]", "", "private networks"},
		{"this machine", "127.0.0.1", "", "this machine"},
		{"name with a private address", "private.example.com", "", "private networks"},
		{"name with a public and a private address", "one.example.com", "", "private networks"},
		{"name with a private address of IPv6", "sixth.example.com", "", "private networks"},
		{"name of this machine", "here.example.com", "", "this machine"},
		{"localhost", "localhost", "", "this machine"},
		{"name of metadata", "metadata.example.com", "", "local link"},
		{"name with NAT64 of a private address", "nat.example.com", "", "private networks"},
		{"known store with a private address", "private.s3.amazonaws.com", "", "private networks"},
		{"name that only the proxy can look up", "nowhere.example.com", "", "has no address here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProxy(t, nil)
			s := Source{net: network{resolver: resolverOf(t, names), proxy: p.choose}}
			err := s.follow(t, "https://"+test.host+"/x?sig=s3cr3t")
			var link *LinkError
			if stopped := errors.As(err, &link); stopped != (test.asked == "") || err == nil ||
				stopped && !strings.Contains(link.Reason, test.says) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("got %v", err)
			}
			want := []string{}
			if test.asked != "" {
				want = append(want, "CONNECT "+test.asked)
			}
			if asked := p.connects(); !slices.Equal(asked, want) && len(asked)+len(want) > 0 {
				t.Errorf("the proxy was asked for %q, want %q", asked, want)
			}
		})
	}
}

// TestFileThroughAProxy fetches a file by the address of its host, with the certificate
// and the Host of its name, also through a proxy with TLS.
func TestFileThroughAProxy(t *testing.T) {
	content := blob(5000)
	var host string
	p, there := secure(t, func(w http.ResponseWriter, r *http.Request) {
		host = r.Host
		serveObject(w, r, `"a"`, content)
	}, map[string][]string{"example.com": {"142.250.1.207"}})
	for name, change := range map[string]func(){
		"a proxy":          func() {},
		"a proxy with TLS": func() { p.tls(t, &there) },
	} {
		t.Run(name, func(t *testing.T) {
			change()
			host = ""
			if err := (Source{net: there}).follow(t, "https://example.com/x"); err != nil || host != "example.com" {
				t.Errorf("got %v with the host %q", err, host)
			}
		})
	}
	t.Run("another certificate", func(t *testing.T) {
		there.resolver = resolverOf(t, map[string][]string{"example.org": {"142.250.1.207"}})
		err := Source{net: there}.follow(t, "https://example.org/x")
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("got %v", err)
		}
	})
}

// tls has a network use the proxy over TLS.
func (p *proxy) tls(t *testing.T, n *network) {
	t.Helper()
	front := httptest.NewTLSServer(p)
	t.Cleanup(front.Close)
	n.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(front.URL) }
}

// TestRedirectThroughAProxy has a store that redirects to private places.
func TestRedirectThroughAProxy(t *testing.T) {
	for name, location := range map[string]string{
		"to an address":                 "https://10.0.0.1/x?sig=s3cr3t",
		"to a name":                     "https://private.example.com/x?sig=s3cr3t",
		"to http":                       "http://example.com/x?sig=s3cr3t",
		"to an odd host":                "https://0x7f.1/x?sig=s3cr3t",
		"without a scheme":              "//10.0.0.1/x?sig=s3cr3t",
		"to a file":                     "file:///etc/passwd",
		"to another scheme":             "gopher://10.0.0.1/x",
		"to this machine":               "https://localhost/x",
		"to a host that is not allowed": "https://elsewhere.example.org/x",
	} {
		t.Run(name, func(t *testing.T) {
			p, there := secure(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(http.StatusFound)
			}, map[string][]string{"example.com": {"142.250.1.207"}, "private.example.com": {"10.0.0.1"}})
			stores, err := NewStores([]string{"example.com", "10.0.0.1", "localhost"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = Source{net: there, Stores: stores}.follow(t, "https://example.com/x")
			var link *LinkError
			if asked := p.connects(); !errors.As(err, &link) || strings.Contains(err.Error(), "s3cr3t") || len(asked) != 1 {
				t.Errorf("got %v; the proxy was asked for %q", err, asked)
			}
		})
	}
}

// TestNamesOfPrivateAddresses has names that lead to this machine, where a server would
// answer. An address that is allowed does not make up for another one that is not.
func TestNamesOfPrivateAddresses(t *testing.T) {
	inner := newStore(t, whole(`"a"`, blob(100)))
	port := inner.Listener.Addr().(*net.TCPAddr).Port
	resolver := resolverOf(t, map[string][]string{
		"one.test": {"127.0.0.1"}, "two.test": {"127.0.0.1", "10.0.0.1"}, "six.test": {"::1"},
	})
	for _, host := range []string{"one.test", "two.test", "six.test", "localhost"} {
		t.Run(host, func(t *testing.T) {
			noProxy := func(*http.Request) (*url.URL, error) { return nil, nil }
			s := Source{AllowLoopback: host == "two.test", net: network{resolver: resolver, proxy: noProxy}}
			err := s.follow(t, fmt.Sprintf("https://%s:%d/x?sig=s3cr3t", host, port))
			var link *LinkError
			if !errors.As(err, &link) || !strings.Contains(link.Reason, "not public") {
				t.Errorf("got %v", err)
			}
		})
	}
	if asked := inner.requests(); len(asked) > 0 {
		t.Errorf("the server on this machine was asked: %q", asked)
	}
}

// TestProxyIsNotATarget has a link to the proxy itself, which NO_PROXY makes direct.
func TestProxyIsNotATarget(t *testing.T) {
	p := newProxy(t, nil)
	s := Source{net: network{proxy: func(r *http.Request) (*url.URL, error) {
		if r.URL.Host == p.Listener.Addr().String() {
			return nil, nil
		}
		return url.Parse(p.URL)
	}}}
	err := s.follow(t, strings.Replace(p.URL, "http:", "https:", 1)+"/x")
	var link *LinkError
	if !errors.As(err, &link) || len(p.connects()) > 0 {
		t.Errorf("got %v; the proxy was asked for %q", err, p.connects())
	}
}

// TestProxyIsNotAURL checks that the error does not quote the password of a proxy.
func TestProxyIsNotAURL(t *testing.T) {
	s := Source{net: network{proxy: func(*http.Request) (*url.URL, error) {
		return nil, errors.New("invalid proxy address http://u:s3cr3t@[::1")
	}}}
	if err := s.follow(t, "https://example.com/x"); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v", err)
	}
}
