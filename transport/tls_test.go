package transport

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/auth"
)

// certificateFiles writes the certificate of net/http/httptest, which is for
// 127.0.0.1, and its key.
func certificateFiles(t *testing.T) (cert, key string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	s.Close()
	pair := s.TLS.Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestTLS answers and streams over HTTP/2.
func TestTLS(t *testing.T) {
	config, err := auth.Certificate(certificateFiles(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go New(Options{MCP: newWorld(t, nil).mcp()}).Serve(t.Context(), l, config)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
	}}
	r, err := client.Post("https://"+l.Addr().String()+"/mcp", "application/json", strings.NewReader(initialize))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, r.Body)
	if r.ProtoMajor != 2 || r.StatusCode != http.StatusOK {
		t.Errorf("answered by HTTP/%d with %d", r.ProtoMajor, r.StatusCode)
	}
	q, _ := http.NewRequestWithContext(t.Context(), "POST", "https://"+l.Addr().String()+"/mcp",
		strings.NewReader(toolCall(2, "count", `{"to":3}`)))
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/json, text/event-stream")
	q.Header.Set("Mcp-Session-Id", r.Header.Get("Mcp-Session-Id"))
	stream, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if events := newReader(stream.Body).all(); len(events) != 4 {
		t.Errorf("got %v", events)
	}
}
