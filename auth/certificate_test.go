package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
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
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: raw}, key: {Type: "PRIVATE KEY", Bytes: encoded},
	} {
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
		t.Error("missing files are accepted")
	}
	first := selfSigned(t, cert, key)
	c := &certificate{certFile: cert, keyFile: key}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	second := selfSigned(t, cert, key)
	os.Chtimes(cert, time.Now(), time.Now().Add(time.Hour))
	if string(c.get().Certificate[0]) != string(first) {
		t.Error("it is checked too often")
	}
	c.checked = time.Time{}
	if string(c.get().Certificate[0]) != string(second) {
		t.Error("the renewed certificate is not used")
	}
	os.WriteFile(cert, []byte("damaged"), 0o600)
	os.Chtimes(cert, time.Now(), time.Now().Add(2*time.Hour))
	c.checked = time.Time{}
	if string(c.get().Certificate[0]) != string(second) {
		t.Error("a damaged certificate replaces a good one")
	}
}
