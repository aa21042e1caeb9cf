package auth

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"fullstory-export-mcp/local"
)

// certificatePause is the least time between two checks whether a certificate was
// renewed.
const certificatePause = 10 * time.Second

// mostCertificate bounds each file of a certificate, in bytes.
const mostCertificate = 1 << 20

// Certificate returns a TLS configuration with the certificate of two PEM files.
// They are read again when they change, so that a renewed certificate needs no
// restart. Certificate fails if they cannot be used now; if they cannot be used
// later, the previous certificate stays in use.
func Certificate(certFile, keyFile string) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.get(), nil
		},
	}, nil
}

// certificate is a pair of files and the certificate that was read from them.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	pair    *tls.Certificate
	sum     [32]byte // sha256 of both files when pair was read
	checked time.Time
}

func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) > certificatePause {
		c.checked = time.Now()
		_ = c.load() // if only one file is renewed so far, the next check loads both
	}
	return c.pair
}

// load reads the files, and the certificate in them unless they are the same as before. It
// compares the content: a restored file can have the times of the one that it replaces.
func (c *certificate) load() error {
	cert, err := local.ReadFile(c.certFile, mostCertificate)
	if err != nil {
		return err
	}
	key, err := local.ReadFile(c.keyFile, mostCertificate)
	if err != nil {
		return err
	}
	c.checked = time.Now()
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(cert), cert, key))
	if c.pair != nil && sum == c.sum {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	c.pair, c.sum = &pair, sum
	return nil
}
