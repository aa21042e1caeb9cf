package sandbox

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"fullstory-export-mcp/local"
)

const (
	// certificateLife is how long a certificate is valid, and certificateRest how much
	// of that must be left for one to be used again.
	certificateLife = 365 * 24 * time.Hour
	certificateRest = 30 * 24 * time.Hour
)

// apiHosts are Fullstory's own hosts. The certificate has their names, too, because
// some clients cannot be given another address: their host is redirected to the
// sandbox, for example in /etc/hosts.
var apiHosts = []string{"api.fullstory.com", "api.eu1.fullstory.com"}

// APIHosts returns the names of Fullstory's own hosts that the certificate has.
func APIHosts() []string { return slices.Clone(apiHosts) }

// TLS returns a configuration with a certificate for hosts, which are names or
// addresses, for localhost and for Fullstory's own hosts. authority is the path of a
// PEM file with the authority that signed the certificate, which clients must trust.
// The authority's key is discarded, so that it cannot sign anything else.
//
// With a State folder the certificate is kept there and used again while it is valid
// and has every host, so that clients need to be told only once.
func (s *Sandbox) TLS(hosts ...string) (config *tls.Config, authority string, err error) {
	hosts = append(append([]string{"localhost", "127.0.0.1", "::1"}, apiHosts...), hosts...)
	folder, err := filepath.Abs(s.folder) // clients may run in another folder
	if err != nil {
		return nil, "", fmt.Errorf("state of the sandbox: %w", err)
	}
	path, authority := filepath.Join(folder, "tls.pem"), filepath.Join(folder, "tls-ca.pem")
	chain, err := createOnce(path, func() ([]byte, error) { return newChain(hosts, time.Now()) })
	if err != nil {
		return nil, "", err
	}
	pair, err := readChain(chain, hosts, time.Now())
	if err != nil { // too old, of other hosts, or damaged
		if chain, err = newChain(hosts, time.Now()); err != nil {
			return nil, "", err
		}
		if err := writeState(path, chain); err != nil {
			return nil, "", err
		}
		if pair, err = readChain(chain, hosts, time.Now()); err != nil {
			return nil, "", fmt.Errorf("certificate of the sandbox: %w", err)
		}
	}
	signer := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[1]})
	if kept, err := local.ReadFile(authority, maxState); err != nil || !bytes.Equal(kept, signer) {
		if err := writeState(authority, signer); err != nil {
			return nil, "", err
		}
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, authority, nil
}

// newChain returns the PEM text of a new certificate for hosts, that of the authority
// that signed it, and the certificate's key.
func newChain(hosts []string, now time.Time) ([]byte, error) {
	begin, end := now.Add(-24*time.Hour), now.Add(certificateLife)
	authority := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Fullstory sandbox of " + now.UTC().Format(time.RFC3339)},
		NotBefore: begin, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityKey, signer, err := newCertificate(authority, nil, nil)
	if err != nil {
		return nil, err
	}
	if authority, err = x509.ParseCertificate(signer); err != nil { // now with its key identifier
		return nil, fmt.Errorf("certificate of the sandbox: %w", err)
	}
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, NotBefore: begin, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	leafKey, signed, err := newCertificate(leaf, authority, authorityKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, fmt.Errorf("certificate of the sandbox: %w", err)
	}
	return slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})), nil
}

// newCertificate returns a certificate with a new key. A nil parent means that it
// signs itself.
func newCertificate(c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate of the sandbox: %w", err)
	}
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate of the sandbox: %w", err)
	}
	return key, der, nil
}

// readChain reads what newChain wrote. It fails if the certificate lacks one of hosts
// or ends soon.
func readChain(chain []byte, hosts []string, now time.Time) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(chain, chain)
	if err != nil {
		return tls.Certificate{}, err
	}
	if len(pair.Certificate) != 2 || now.Add(certificateRest).After(pair.Leaf.NotAfter) {
		return tls.Certificate{}, fmt.Errorf("it has %d certificates, valid until %v", len(pair.Certificate),
			pair.Leaf.NotAfter)
	}
	for _, host := range hosts {
		if err := pair.Leaf.VerifyHostname(host); err != nil {
			return tls.Certificate{}, err
		}
	}
	return pair, nil
}
