package sandbox

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLinksBehindAProxy checks the scheme and the host of links and redirects.
func TestLinksBehindAProxy(t *testing.T) {
	a := serveAPI(t, Config{})
	results, _ := a.completed(a.create(minimalCreate))["results"].(map[string]any)
	path := "/search/v1/exports/" + results["searchExportId"].(string) + "/results"
	host := strings.TrimPrefix(a.url, "http://")
	for _, test := range []struct{ proto, host, want string }{
		{"", "", "http://" + host},
		{"https", "", "https://" + host},
		{"HTTPS", "api.example.com", "https://api.example.com"},
		{"https, http", "api.example.com:8443, inner", "https://api.example.com:8443"},
		{"http", "[::1]:80", "http://[::1]:80"},
		{"", "api.example.com", "http://api.example.com"},
		{"ftp", "a/b", "http://" + host},
		{"https://x", "user@b", "http://" + host},
		{"https", "a b", "https://" + host},
	} {
		headers := []string{"X-Forwarded-Proto", test.proto, "X-Forwarded-Host", test.host}
		location, _ := a.ask("GET", path, KeyArchitect, "", headers...).fields()["location"].(string)
		if !strings.HasPrefix(location, test.want+filePath) {
			t.Errorf("%q, %q: the link is %s", test.proto, test.host, location)
		}
		a.script(`{"on":"me","do":"307_path"}`)
		r := a.ask("GET", "/me", KeyArchitect, "", headers...)
		if got := r.header.Get("Location"); got != test.want+"/moved/me" {
			t.Errorf("%q, %q: the redirect is to %s", test.proto, test.host, got)
		}
	}
	a.script(`{"on":"me","do":"307_host"}`)
	r := a.ask("GET", "/me", KeyArchitect, "", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "127.0.0.1:8443")
	if got := r.header.Get("Location"); got != "https://localhost:8443/moved/me" {
		t.Errorf("307_host is to %s", got)
	}
}

// serveTLS serves the sandbox over https until the test ends, and returns the client
// that trusts the authority alone.
func serveTLS(t *testing.T, s *Sandbox, hosts ...string) (*http.Client, string) {
	t.Helper()
	config, authority, err := s.TLS(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewUnstartedServer(s)
	served.TLS = config
	served.StartTLS()
	t.Cleanup(served.Close)
	signer, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(signer) || strings.Contains(string(signer), "PRIVATE") {
		t.Fatalf("the authority is %s", signer)
	}
	address := served.Listener.Addr().String()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, DisableKeepAlives: true}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &http.Client{Transport: transport}, served.URL
}

// TestTLS checks for which hosts clients that trust the authority accept the
// certificate, and that links and resets work with it.
func TestTLS(t *testing.T) {
	a := serveAPI(t, Config{})
	client, address := serveTLS(t, a.sandbox, "sandbox.test", "192.0.2.7")
	ask := func(address, key string) (*http.Response, error) {
		r, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			r.Header.Set("Authorization", "basic "+key)
		}
		return client.Do(r)
	}
	for host, accepted := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "[::1]": true, "sandbox.test": true, "192.0.2.7": true,
		"api.fullstory.com": true, "api.eu1.fullstory.com": true, "www.fullstory.com": false, "192.0.2.8": false,
	} {
		r, err := ask("https://"+host+"/me", KeyAdmin)
		if accepted != (err == nil) || err == nil && r.StatusCode != http.StatusOK {
			t.Errorf("%s: %v", host, err)
		}
	}
	results, _ := a.completed(a.create(minimalCreate))["results"].(map[string]any)
	r, err := ask(address+"/search/v1/exports/"+results["searchExportId"].(string)+"/results", KeyArchitect)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	location, _ := answered{body: string(body)}.fields()["location"].(string)
	if !strings.HasPrefix(location, address+filePath) {
		t.Fatalf("the link is %s", body)
	}
	if r, err := ask(location, ""); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("the file: %v, %v", r, err)
	}
	a.script(`{"on":"me","do":"reset"}`)
	if _, err := ask(address+"/me", KeyAdmin); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset over TLS: %v", err)
	}
}

// TestCertificateIsStrict checks what strict clients, such as Python's, need besides a
// valid signature.
func TestCertificateIsStrict(t *testing.T) {
	chain, err := newChain([]string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(chain, chain)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := x509.ParseCertificate(pair.Certificate[1])
	if err != nil || len(signer.SubjectKeyId) == 0 || !bytes.Equal(pair.Leaf.AuthorityKeyId, signer.SubjectKeyId) {
		t.Errorf("the certificate is signed by %x, the authority is %x, %v", pair.Leaf.AuthorityKeyId,
			signer.SubjectKeyId, err)
	}
	if !signer.IsCA || signer.KeyUsage != x509.KeyUsageCertSign || pair.Leaf.IsCA {
		t.Errorf("the authority has the usage %v", signer.KeyUsage)
	}
}

// TestCertificateIsKept checks when a State folder gives the certificate again.
func TestCertificateIsKept(t *testing.T) {
	folder := t.TempDir()
	authority := func(hosts ...string) string {
		a := serveAPI(t, Config{State: folder})
		_, path, err := a.sandbox.TLS(hosts...)
		if err != nil || path != filepath.Join(folder, "tls-ca.pem") {
			t.Fatalf("%s, %v", path, err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := authority()
	if authority() != first {
		t.Error("a restart changes the authority")
	}
	other := authority("sandbox.test")
	if other == first {
		t.Error("the certificate lacks a new host")
	}
	if authority() != other {
		t.Error("the certificate is replaced though it has every host")
	}
	old, err := newChain([]string{"localhost", "127.0.0.1", "::1"}, time.Now().Add(-certificateLife))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"old": string(old), "damaged": "x"} {
		if err := os.WriteFile(filepath.Join(folder, "tls.pem"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := authority(); got == other || strings.Contains(string(old), got) {
			t.Errorf("a certificate that is %s is used", name)
		}
	}
}
