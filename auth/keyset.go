package auth

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Bounds on what an issuer answers, and on its keys.
const (
	mostMetadata = 256 << 10 // bytes
	mostKeySet   = 1 << 20   // bytes
	mostKeys     = 100
	mostHeaders  = 64 << 10 // bytes
	leastRSA     = 2048     // bits of a modulus; fewer can be forged
	mostRSA      = 8192     // bits; more are slow to verify with
)

// publicKey is a key that an issuer signs tokens with.
type publicKey struct {
	id, alg string // "" if the issuer does not say
	key     any
}

// keySet is the usable keys of an issuer. Several may have one id.
type keySet []publicKey

// verify returns the payload of a token that one of the keys has signed.
func (s keySet) verify(t signedToken) (payload []byte, ok bool) {
	for _, k := range s {
		if k.id != "" && t.key != "" && k.id != t.key || k.alg != "" && k.alg != t.alg {
			continue
		}
		if payload, err := t.jws.Verify(k.key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// issuerSite reads what the issuer at url publishes.
type issuerSite struct {
	url    string
	client *http.Client
	log    *slog.Logger
}

func newIssuerSite(url string, log *slog.Logger) *issuerSite {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = mostHeaders
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &issuerSite{url: url, log: log, client: &http.Client{Transport: transport, CheckRedirect: stay}}
}

// keys reads the metadata of the issuer and the keys that it names. It fails if none of
// them can be used.
func (i *issuerSite) keys(ctx context.Context) (keySet, error) {
	var metadata struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	address := strings.TrimSuffix(i.url, "/") + "/.well-known/openid-configuration"
	if err := i.get(ctx, address, mostMetadata, &metadata); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if !sameAddress(metadata.Issuer, i.url) {
		return nil, fmt.Errorf("its metadata names another issuer, %.200q", metadata.Issuer)
	}
	if err := i.checkAddress("jwks_uri", metadata.Keys); err != nil {
		return nil, err
	}
	var published struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := i.get(ctx, metadata.Keys, mostKeySet, &published); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if len(published.Keys) > mostKeys {
		return nil, fmt.Errorf("it publishes %d keys, more than %d", len(published.Keys), mostKeys)
	}
	var usable keySet
	for n, raw := range published.Keys {
		key, err := readKey(raw)
		if errors.Is(err, errOtherUse) { // as usual
			continue
		}
		if err != nil {
			i.log.Warn("a key of the issuer of tokens is not used", "issuer", i.url, "position", n, "reason", err)
			continue
		}
		usable = append(usable, key)
	}
	if len(usable) == 0 {
		return nil, fmt.Errorf("none of the %d keys that it publishes can be used", len(published.Keys))
	}
	return usable, nil
}

// checkAddress fails unless an address of the metadata may be used. It may be on another
// host than the issuer, as Google's are, since the issuer's certificate vouches for it.
// But it needs a certificate as well, and is on this machine only if the issuer is.
func (i *issuerSite) checkAddress(field, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("its metadata has no usable " + field)
	}
	own, err := url.Parse(i.url)
	local := err == nil && IsLoopback(own.Hostname())
	switch {
	case IsLoopback(u.Hostname()) && !local:
		return errors.New("the " + field + " of its metadata is on this machine")
	case u.Scheme == "https", u.Scheme == "http" && local && IsLoopback(u.Hostname()):
		return nil
	}
	return errors.New("the " + field + " of its metadata is not an https address")
}

// get reads JSON of at most limit bytes from an address. It follows no redirect.
func (i *issuerSite) get(ctx context.Context, address string, limit int64, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	answer, err := i.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer has the status %d", answer.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	switch {
	case err != nil:
		return err
	case int64(len(raw)) > limit:
		return fmt.Errorf("the answer has more than %d bytes", limit)
	case json.Unmarshal(raw, into) != nil:
		return errors.New("the answer is not the JSON that was expected")
	}
	return nil
}

// errOtherUse says that a key is for encryption.
var errOtherUse = errors.New("it is not for signatures")

// readKey reads a key of a set. It fails if signatures must not be verified with it.
func readKey(raw json.RawMessage) (publicKey, error) {
	var k jose.JSONWebKey
	if err := json.Unmarshal(raw, &k); err != nil {
		return publicKey{}, errors.New("its type or form is unknown")
	}
	if k.Use != "" && k.Use != "sig" {
		return publicKey{}, errOtherUse
	}
	// A symmetric or private key that is published is known to everybody.
	if !k.IsPublic() || !k.Valid() {
		return publicKey{}, errors.New("it is not a valid public key")
	}
	if r, ok := k.Key.(*rsa.PublicKey); ok && (r.N.BitLen() < leastRSA || r.N.BitLen() > mostRSA) {
		return publicKey{}, fmt.Errorf("it has %d bits, and not between %d and %d", r.N.BitLen(), leastRSA, mostRSA)
	}
	return publicKey{k.KeyID, k.Algorithm, k.Key}, nil
}
