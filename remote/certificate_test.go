package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned writes a new certificate for 127.0.0.1 and returns it.
func selfSigned(t *testing.T, cert, key string) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: raw}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return raw
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := Certificate(cert, key); err == nil {
		t.Error("missing files are no error")
	}
	first := selfSigned(t, cert, key)
	c := &certificate{certFile: cert, keyFile: key}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	second := selfSigned(t, cert, key)
	os.Chtimes(cert, time.Now(), time.Now().Add(time.Hour))
	if string(c.get().Certificate[0]) != string(first) {
		t.Error("it is looked at too often")
	}
	c.looked = time.Time{}
	if string(c.get().Certificate[0]) != string(second) {
		t.Error("the renewed certificate is not used")
	}
	os.WriteFile(cert, []byte("damaged"), 0o600)
	os.Chtimes(cert, time.Now(), time.Now().Add(2*time.Hour))
	c.looked = time.Time{}
	if string(c.get().Certificate[0]) != string(second) {
		t.Error("a damaged certificate replaces a good one")
	}
}

// TestTLS answers and streams over HTTP/2.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	selfSigned(t, cert, key)
	config, err := Certificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go New(Options{MCP: newWorld(t, nil).mcp()}).Serve(t.Context(), l, config)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	r, err := client.Post("https://"+l.Addr().String()+"/mcp", "application/json", strings.NewReader(initialize))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, r.Body)
	if r.ProtoMajor != 2 || r.StatusCode != http.StatusOK {
		t.Errorf("answered by HTTP/%d with %d", r.ProtoMajor, r.StatusCode)
	}
	q, _ := http.NewRequestWithContext(t.Context(), "POST", "https://"+l.Addr().String()+"/mcp", strings.NewReader(toolCall(2, "count", `{"to":3}`)))
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/json, text/event-stream")
	q.Header.Set("Mcp-Session-Id", r.Header.Get("Mcp-Session-Id"))
	stream, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if events := newReader(stream.Body).all(); len(events) != 4 {
		t.Errorf("told %v", events)
	}
}
