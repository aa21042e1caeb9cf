package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"time"
)

// secureDatabase makes a PostgreSQL reachable with TLS alone, as a server of that name would
// be: connections to address are forwarded to plain. authority is the PEM file that clients
// must trust. It ends with the process.
func secureDatabase(plain, name string) (address string, authority []byte, err error) {
	authority, leaf, err := certificates(name)
	if err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forward(c, plain, leaf)
		}
	}()
	return l.Addr().String(), authority, nil
}

// sslRequest is what a client of PostgreSQL sends first if it wants TLS.
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

// forward connects a client to plain once it has asked for TLS, and has accepted leaf.
func forward(c net.Conn, plain string, leaf tls.Certificate) {
	defer c.Close()
	asked := make([]byte, len(sslRequest))
	if _, err := io.ReadFull(c, asked); err != nil || !bytes.Equal(asked, sslRequest) {
		return
	}
	if _, err := c.Write([]byte{'S'}); err != nil {
		return
	}
	secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{leaf}})
	if err := secure.Handshake(); err != nil {
		return
	}
	to, err := net.Dial("tcp", plain)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		io.Copy(to, secure)
		to.Close()
	}()
	io.Copy(secure, to)
}

// certificates returns a new authority as PEM, and a certificate for a name that it signed.
func certificates(name string) (authority []byte, leaf tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, leaf, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ci"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, leaf, err
	}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotAfter: ca.NotAfter}
	raw, err := x509.CreateCertificate(rand.Reader, server, ca, key.Public(), key)
	if err != nil {
		return nil, leaf, err
	}
	leaf = tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), leaf, nil
}
