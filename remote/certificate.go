package remote

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificatePause is between two looks at whether a certificate was renewed.
const certificatePause = 10 * time.Second

// Certificate returns a TLS configuration with the certificate of two PEM
// files, which are read again when they change, so that a renewed one needs no
// restart. It fails if they are not fit now; later the old one stays.
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

type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	pair    *tls.Certificate
	changed time.Time // of certFile, as it was read
	looked  time.Time
}

func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > certificatePause {
		c.looked = time.Now()
		if info, err := os.Stat(c.certFile); err == nil && !info.ModTime().Equal(c.changed) {
			_ = c.load() // half renewed: the next look finds both
		}
	}
	return c.pair
}

func (c *certificate) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair, c.changed, c.looked = &pair, info.ModTime(), time.Now()
	return nil
}
