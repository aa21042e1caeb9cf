package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// CodeFlow signs a person in at an issuer with the authorization code flow of OAuth 2.1 (PKCE with
// S256, RFC 7636, and a public client, which has no secret). It is safe for concurrent use; use
// NewCodeFlow.
type CodeFlow struct {
	issuer *Issuer
	client string
	site   *issuerSite

	mu   sync.Mutex
	ends endpoints
	at   time.Time // when they were read; zero: never
}

// endpoints are the addresses of an issuer, by its metadata.
type endpoints struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
	NamesIss  bool   `json:"authorization_response_iss_parameter_supported"`
}

// ErrCode says that the issuer signed nobody in.
var ErrCode = errors.New("the issuer did not sign in")

// NewCodeFlow returns the flow of a client that is registered at the issuer with that id.
func NewCodeFlow(i *Issuer, client string) *CodeFlow {
	return &CodeFlow{issuer: i, client: client, site: newIssuerSite(i.o.URL, i.o.Log)}
}

// CodeRequest is a sign-in that has begun. Nobody but the browser that began it may see Verifier.
type CodeRequest struct {
	State    string `json:"s"`
	Verifier string `json:"v"`
	Redirect string `json:"r"` // where the issuer sends the browser with the code
}

// Begin begins a sign-in, and returns the address at the issuer where it continues. It fails with
// ErrIssuerAway if the metadata of the issuer cannot be read.
func (f *CodeFlow) Begin(ctx context.Context, redirect string) (r CodeRequest, address string, err error) {
	ends, err := f.endpoints(ctx)
	if err != nil {
		return r, "", err
	}
	u, err := url.Parse(ends.Authorize)
	if err != nil {
		return r, "", err
	}
	r = CodeRequest{State: secret(), Verifier: secret(), Redirect: redirect}
	sum := sha256.Sum256([]byte(r.Verifier))
	q := u.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": f.client, "redirect_uri": redirect, "state": r.State,
		"scope":          strings.Join([]string{ScopeRead, ScopeWrite, ScopeLinks}, " "),
		"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256",
		"resource": f.issuer.o.Audience, // RFC 8707
	} {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return r, u.String(), nil
}

// secret returns 256 random bits in letters, digits, '-' and '_'.
func secret() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Finish returns the caller that the issuer signed in, from the query with which it sent the browser
// back. The caller must have compared the state. It fails with ErrCode, ErrIssuerAway, or a
// *Rejection of the token.
func (f *CodeFlow) Finish(ctx context.Context, r CodeRequest, q url.Values) (Caller, error) {
	ends, err := f.endpoints(ctx)
	if err != nil {
		return Caller{}, err
	}
	// RFC 9207: a code of another issuer must not be sent to this one.
	if iss := q.Get("iss"); iss != "" && !sameAddress(iss, f.issuer.o.URL) || iss == "" && ends.NamesIss {
		return Caller{}, fmt.Errorf("%w: its answer is of another issuer", ErrCode)
	}
	if q.Get("error") != "" || q.Get("code") == "" {
		return Caller{}, fmt.Errorf("%w: it answers %.100q", ErrCode, q.Get("error"))
	}
	token, err := f.exchange(ctx, ends.Token, url.Values{
		"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {r.Redirect},
		"client_id": {f.client}, "code_verifier": {r.Verifier}, "resource": {f.issuer.o.Audience},
	})
	if err != nil {
		return Caller{}, err
	}
	return f.issuer.caller(ctx, token)
}

// exchange exchanges a code for an access token.
func (f *CodeFlow) exchange(ctx context.Context, address string, form url.Values) (token string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	answer, err := f.site.client.Do(r)
	if err != nil {
		return "", ErrIssuerAway
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, mostMetadata))
	if err != nil {
		return "", ErrIssuerAway
	}
	var got struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
	}
	if answer.StatusCode != http.StatusOK || json.Unmarshal(raw, &got) != nil || got.Token == "" ||
		!strings.EqualFold(got.Type, "bearer") || len(got.Token) > mostToken {
		return "", fmt.Errorf("%w: it answers a code with the status %d and no token", ErrCode, answer.StatusCode)
	}
	return got.Token, nil
}

// endpoints returns the addresses of the issuer, from answers at most keysLife old.
func (f *CodeFlow) endpoints(ctx context.Context) (endpoints, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.at.IsZero() && time.Since(f.at) < keysLife {
		return f.ends, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	var ends endpoints
	address := strings.TrimSuffix(f.issuer.o.URL, "/") + "/.well-known/openid-configuration"
	err := f.site.get(ctx, address, mostMetadata, &ends)
	switch {
	case err != nil:
	case !sameAddress(ends.Issuer, f.issuer.o.URL):
		err = fmt.Errorf("its metadata names another issuer, %.200q", ends.Issuer)
	default:
		err = errors.Join(f.site.checkAddress("authorization_endpoint", ends.Authorize),
			f.site.checkAddress("token_endpoint", ends.Token))
	}
	if err != nil {
		f.issuer.o.Log.Warn("the metadata of the issuer cannot be used to sign in", "issuer", f.issuer.o.URL, "error", err)
		return endpoints{}, ErrIssuerAway
	}
	f.ends, f.at = ends, time.Now()
	return ends, nil
}
