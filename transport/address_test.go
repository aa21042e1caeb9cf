package transport

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"testing"
)

// TestAddress asks for the address of the server as clients see it. What a client may choose
// freely is not in it.
func TestAddress(t *testing.T) {
	s := &Server{hosts: map[string]bool{"mcp.example.com": true}}
	local := &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 8931}
	for _, test := range []struct {
		host, proto string
		tls         bool
		want        string
	}{
		{"mcp.example.com", "", false, "http://mcp.example.com"},
		{"MCP.example.com:8443", "", true, "https://mcp.example.com:8443"},
		{"mcp.example.com", "https", false, "https://mcp.example.com"},
		{"mcp.example.com", "http", true, "https://mcp.example.com"},
		{"mcp.example.com", "javascript", false, "http://mcp.example.com"},
		{"localhost:8931", "", false, "http://localhost:8931"},
		{"[::1]:8931", "", false, "http://[::1]:8931"},
		{"[::1]", "", false, "http://[::1]"},
		{"evil.example", "", false, "http://10.1.2.3:8931"},
		{"192.0.2.1:8931", "", false, "http://10.1.2.3:8931"},
		{"localhost:80@evil.example", "", false, "http://localhost"},
		{"localhost:99999", "", false, "http://localhost"},
		{"mcp.example.com:80/evil", "", false, "http://mcp.example.com"},
		{"", "", false, "http://10.1.2.3:8931"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(local)))
		r.Host = test.host
		r.Header.Set("X-Forwarded-Proto", test.proto)
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("Forwarded", "host=evil.example")
		if test.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if got := s.address(r); got != test.want {
			t.Errorf("%+v: the address is %s", test, got)
		}
	}
}

// TestPublicURL reads addresses that an operator may give.
func TestPublicURL(t *testing.T) {
	for given, want := range map[string]string{
		"https://mcp.example.com":              "https://mcp.example.com",
		"https://mcp.example.com/":             "https://mcp.example.com",
		"https://mcp.example.com/mcp":          "https://mcp.example.com",
		"https://mcp.example.com/x/sse/":       "https://mcp.example.com/x",
		"http://127.0.0.1:8931/exports":        "http://127.0.0.1:8931/exports",
		"https://mcp.example.com/mcp/mcp":      "https://mcp.example.com/mcp",
		"https://mcp.example.com/a%20b":        "https://mcp.example.com/a%20b",
		"mcp.example.com":                      "",
		"file:///etc":                          "",
		"https://":                             "",
		"https://user:secret@mcp.example.com/": "",
		"https://mcp.example.com/?x=y":         "",
		"https://mcp.example.com/#x":           "",
		"":                                     "",
	} {
		got, err := PublicURL(given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", given, got, err, want)
		}
	}
}
