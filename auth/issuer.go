package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

// The scopes of a token: to read, and to start and end exports as well.
const (
	ScopeRead  = "exports:read"
	ScopeWrite = "exports:write"
)

// IssuerOptions say whose tokens are accepted, and which account they are for.
type IssuerOptions struct {
	URL        string            // of the authorization server, as its metadata and tokens name it
	Audience   string            // address of this server in tokens, such as https://mcp.example.com/mcp
	ScopeClaim string            // a claim with scopes, besides scope and scp, such as roles; "" for none
	Claim      string            // the claim with the account; "": every token is for the account without a name
	Accounts   map[string]string // account by the claim's value; empty: the value is the account
	Log        *slog.Logger      // nil discards
}

// Issuer accepts the access tokens of an OAuth 2.1 authorization server: JWTs
// that are signed by one of its keys, issued for this server, and valid now. A final
// slash makes no difference in the addresses of either. Issuer is safe for concurrent
// use.
type Issuer struct {
	o      IssuerOptions
	client *http.Client

	mu    sync.Mutex
	keys  oidc.KeySet // nil until the issuer was reached
	since time.Time   // when its metadata was read
}

// issuerLife is how long the metadata and keys of an issuer are used before they
// are read again. An unknown key is requested earlier.
const issuerLife = 15 * time.Minute

// NewIssuer returns an issuer, whose metadata is read when the first token
// arrives. It fails if an address or the name of an account is not acceptable.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
	for what, address := range map[string]string{"issuer": o.URL, "audience": o.Audience} {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(u.Hostname())) {
			return nil, fmt.Errorf("the %s %q must be an https address", what, address)
		}
	}
	for value, account := range o.Accounts {
		if !isAccount(account) {
			return nil, fmt.Errorf("the account %q of %q %s", account, value, accountRule)
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// Without a limit, anybody who sends tokens of unknown keys would cause a
	// request for each.
	limited := &limitedTransport{limit: rate.NewLimiter(rate.Every(10*time.Second), 5), next: http.DefaultTransport}
	return &Issuer{o: o, client: &http.Client{Timeout: 10 * time.Second, Transport: limited}}, nil
}

// limitedTransport sends an issuer no more requests than its limit allows. Beyond
// it, a token of a key that was not among those read seconds ago is invalid.
type limitedTransport struct {
	limit *rate.Limiter
	next  http.RoundTripper
}

func (t *limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.limit.Allow() {
		return nil, errIssuerLimit
	}
	return t.next.RoundTrip(r)
}

// errIssuerLimit says that a request to the issuer was not sent.
var errIssuerLimit = errors.New("too many requests to the issuer of tokens")

// earlyTime is how long before its nbf a token is accepted, because clocks differ.
const earlyTime = 5 * time.Minute

// caller returns who a token was issued for. It fails with ErrIssuerAway or a
// *Rejection.
func (i *Issuer) caller(ctx context.Context, token string) (Caller, error) {
	keys, err := i.ready(ctx)
	if err != nil {
		i.o.Log.Warn("tokens cannot be checked", "issuer", i.o.URL, "error", err)
		return Caller{}, ErrIssuerAway
	}
	c, err := i.signed(ctx, keys, token)
	if err != nil {
		return Caller{}, err
	}
	expires, err := i.validity(c)
	if err != nil {
		return Caller{}, err
	}
	subject, ok := c.text("sub")
	if !ok {
		return Caller{}, rejected(kindClaim, "its claim sub is missing or not a text")
	}
	scopes := slices.Concat(c.words("scope"), c.words("scp"), c.words(i.o.ScopeClaim))
	write := slices.Contains(scopes, ScopeWrite)
	if !write && !slices.Contains(scopes, ScopeRead) {
		return Caller{}, &Rejection{kindScope, "its scopes do not include " + ScopeRead, ErrScope}
	}
	account, err := i.account(c)
	if err != nil {
		return Caller{}, err
	}
	return Caller{
		Name: "oauth:" + subject, Account: account, ReadOnly: !write, Expires: expires, Issued: true,
	}.limited(), nil
}

// signed returns the claims of a token once one of the keys has verified its
// signature.
func (i *Issuer) signed(ctx context.Context, keys oidc.KeySet, token string) (c claims, err error) {
	_, err = jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	})
	if _, other := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); other {
		return nil, rejected(kindAlgorithm, "it is not signed, or with an algorithm that is not accepted")
	}
	if err != nil {
		return nil, rejected(kindMalformed, "it is not a JWT, and not a token of the file of callers")
	}
	// go-oidc wants this method to be called only after the check of the algorithm above.
	payload, err := keys.VerifySignature(ctx, token)
	switch {
	case err == nil:
	// The text is all that tells this error of go-oidc from others.
	case strings.Contains(err.Error(), "fetching keys") && !errors.Is(err, errIssuerLimit):
		i.o.Log.Warn("the keys of the issuer cannot be read", "issuer", i.o.URL, "error", err)
		return nil, ErrIssuerAway
	default:
		return nil, rejected(kindSignature, "no key of the issuer "+i.o.URL+" has signed it")
	}
	if json.Unmarshal(payload, &c) != nil {
		return nil, rejected(kindMalformed, "its payload is not a JSON object")
	}
	return c, nil
}

// validity returns when a token expires. It fails if the token is of another issuer,
// for another server, or not valid now.
func (i *Issuer) validity(c claims) (expires time.Time, err error) {
	if issuer, _ := c.text("iss"); !sameAddress(issuer, i.o.URL) {
		return expires, rejected(kindIssuer, "its claim iss is not "+i.o.URL)
	}
	isOurs := func(audience string) bool { return sameAddress(audience, i.o.Audience) }
	if !slices.ContainsFunc(c.texts("aud"), isOurs) {
		return expires, rejected(kindAudience, "its claim aud does not name "+i.o.Audience)
	}
	expires, ok := c.instant("exp")
	switch now := time.Now(); {
	case !ok:
		return expires, rejected(kindClaim, "its claim exp is missing or not a number of seconds")
	case expires.Before(now):
		return expires, rejected(kindExpired, "it has expired")
	case c.has("nbf"):
		begins, ok := c.instant("nbf")
		if !ok {
			return expires, rejected(kindClaim, "its claim nbf is not a number of seconds")
		}
		if begins.After(now.Add(earlyTime)) {
			return expires, rejected(kindEarly, "it is not valid yet")
		}
	}
	return expires, nil
}

// account returns the account that a token is for. It fails if the claim names none
// or, in a list, more than one.
func (i *Issuer) account(c claims) (string, error) {
	if i.o.Claim == "" {
		return "", nil
	}
	var accounts []string
	for _, account := range c.texts(i.o.Claim) {
		if len(i.o.Accounts) > 0 {
			account = i.o.Accounts[account]
		}
		if isAccount(account) && !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
	}
	switch len(accounts) {
	case 0:
		return "", rejected(kindAccount, "its claim "+i.o.Claim+" names no account")
	case 1:
		return accounts[0], nil
	}
	return "", rejected(kindAccount, "its claim "+i.o.Claim+" names more than one account")
}

// ready returns the keys of the issuer, with metadata that is at most issuerLife
// old, or older while the issuer does not answer.
func (i *Issuer) ready(ctx context.Context) (oidc.KeySet, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.keys != nil && time.Since(i.since) < issuerLife {
		return i.keys, nil
	}
	address, err := i.keysAddress(ctx)
	if err != nil && i.keys != nil {
		return i.keys, nil
	}
	if err != nil {
		return nil, err
	}
	// Keys are fetched later, when this request may have ended.
	i.keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), i.client), address)
	i.since = time.Now()
	return i.keys, nil
}

// keysAddress reads where the issuer publishes its keys.
func (i *Issuer) keysAddress(ctx context.Context) (string, error) {
	// go-oidc would compare the issuer exactly; it is compared below.
	lenient := oidc.InsecureIssuerURLContext(oidc.ClientContext(ctx, i.client), i.o.URL)
	provider, err := oidc.NewProvider(lenient, i.o.URL)
	if err != nil {
		return "", err
	}
	var metadata struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return "", err
	}
	if !sameAddress(metadata.Issuer, i.o.URL) {
		return "", fmt.Errorf("its metadata names another issuer, %q", metadata.Issuer)
	}
	return metadata.Keys, nil
}

// MetadataPath is where a server publishes whose tokens it accepts (RFC 9728).
const MetadataPath = "/.well-known/oauth-protected-resource"

// Metadata is the document that RFC 9728 defines for a resource server.
type Metadata struct {
	Resource string   `json:"resource"`
	Name     string   `json:"resource_name"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
	Methods  []string `json:"bearer_methods_supported"`
}

// Metadata returns the document to serve at path, which is MetadataPath or begins with
// it and a slash. If a client found it with a final slash, the address of the server
// has one too, because clients compare it with the one that they know.
func (i *Issuer) Metadata(path string) Metadata {
	resource := i.o.Audience
	if below, ok := strings.CutPrefix(path, MetadataPath+"/"); ok && strings.HasSuffix(below, "/") {
		resource = strings.TrimSuffix(resource, "/") + "/"
	}
	return Metadata{
		Resource: resource, Name: "Fullstory exports", Servers: []string{i.o.URL},
		Scopes: []string{ScopeRead, ScopeWrite}, Methods: []string{"header"},
	}
}

// metadataURL returns the address of the metadata for a client that sent a request to
// path.
func (i *Issuer) metadataURL(path string) string {
	u, err := url.Parse(i.o.Audience)
	if err != nil {
		return ""
	}
	address := u.Scheme + "://" + u.Host + MetadataPath + strings.TrimSuffix(u.Path, "/")
	if strings.HasSuffix(path, "/") {
		address += "/"
	}
	return address
}

// challenge returns the parameters of a WWW-Authenticate header that ask for a
// token with these scopes, in answer to a request to path.
func (i *Issuer) challenge(path, scope string) string {
	return fmt.Sprintf(`Bearer realm="fullstory-export-mcp", resource_metadata=%q, scope=%q`, i.metadataURL(path), scope)
}
