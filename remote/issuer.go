package remote

import (
	"context"
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
	"golang.org/x/time/rate"
)

// The scopes of a token: to look, and to start and end exports as well.
const (
	ScopeRead  = "exports:read"
	ScopeWrite = "exports:write"
)

// IssuerOptions say whose tokens are accepted, and what is read from them.
type IssuerOptions struct {
	URL      string            // of the authorization server, as its metadata and tokens name it
	Audience string            // the address of this server that tokens have to be made for, such as https://mcp.example.com/mcp
	Claim    string            // that names the account; empty: there is one, without a name
	Accounts map[string]string // account by the claim's value; empty: the value is the name
	Log      *slog.Logger
}

// Issuer accepts the access tokens of an OAuth 2.1 authorization server: JWTs
// that are signed by one of its keys, made for this server, and valid now. It
// is safe for concurrent use.
type Issuer struct {
	o      IssuerOptions
	client *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: the issuer was not reached yet
	since    time.Time             // when its metadata was read
}

// issuerLife is how long the metadata and keys of an issuer are believed. A key
// that is not known is asked for before.
const issuerLife = 15 * time.Minute

// NewIssuer returns an issuer, which is asked for its metadata when the first
// token comes. It fails if an address is none.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
	for what, address := range map[string]string{"issuer": o.URL, "audience": o.Audience} {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLocalName(u.Hostname())) {
			return nil, fmt.Errorf("the %s %q is no https address", what, address)
		}
	}
	for value, account := range o.Accounts {
		if !isAccount(account) {
			return nil, fmt.Errorf("the account %q of %q is not of small letters, digits and '_', at most 32, beginning with a letter and not ending in file", account, value)
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// Whoever sends tokens of unknown keys makes the keys be asked for.
	calm := &calmed{limit: rate.NewLimiter(rate.Every(10*time.Second), 5), next: http.DefaultTransport}
	return &Issuer{o: o, client: &http.Client{Timeout: 10 * time.Second, Transport: calm}}, nil
}

// calmed asks an issuer no more often than its limit allows. A token of a key
// that was not among those read seconds ago is then taken for a forged one.
type calmed struct {
	limit *rate.Limiter
	next  http.RoundTripper
}

func (c *calmed) RoundTrip(r *http.Request) (*http.Response, error) {
	if !c.limit.Allow() {
		return nil, errors.New(askedOften)
	}
	return c.next.RoundTrip(r)
}

const askedOften = "the issuer was asked a moment ago"

var (
	// errIssuerAway is an issuer that cannot be asked now.
	errIssuerAway = errors.New("the issuer of tokens cannot be asked")
	// errToken is a token that is not accepted, and will not be.
	errToken = errors.New("the token is not accepted")
	// errScope is a token that is good, but for nothing here.
	errScope = errors.New("the token lacks the scope " + ScopeRead)
)

// claims are what is read of a token besides what go-oidc checks.
type claims struct {
	Scope  string   `json:"scope"`
	Scopes []string `json:"scp"`
}

// caller returns whom a token stands for. It fails with errToken, errScope or
// errIssuerAway.
func (i *Issuer) caller(ctx context.Context, token string) (Caller, error) {
	verifier, err := i.ready(ctx)
	if err != nil {
		i.o.Log.Warn("tokens cannot be checked", "issuer", i.o.URL, "error", err)
		return Caller{}, errIssuerAway
	}
	verified, err := verifier.Verify(ctx, token)
	switch {
	case err != nil && strings.Contains(err.Error(), "fetching keys") && !strings.Contains(err.Error(), askedOften): // go-oidc does not wrap it
		i.o.Log.Warn("the keys of tokens cannot be read", "issuer", i.o.URL, "error", err)
		return Caller{}, errIssuerAway
	case err != nil:
		i.o.Log.Debug("a token is not accepted", "error", err)
		return Caller{}, errToken
	case verified.Subject == "":
		return Caller{}, errToken
	}
	var c claims
	if verified.Claims(&c) != nil {
		return Caller{}, errToken
	}
	scopes := append(strings.Fields(c.Scope), c.Scopes...)
	write := slices.Contains(scopes, ScopeWrite)
	if !write && !slices.Contains(scopes, ScopeRead) {
		return Caller{}, errScope
	}
	account, err := i.account(verified)
	if err != nil {
		return Caller{}, err
	}
	return Caller{
		Name: "oauth:" + verified.Subject, Account: account, ReadOnly: !write,
		expires: verified.Expiry, issued: true,
	}.limited(), nil
}

// account returns the account that a token is for.
func (i *Issuer) account(token *oidc.IDToken) (string, error) {
	if i.o.Claim == "" {
		return "", nil
	}
	var all map[string]any
	if token.Claims(&all) != nil {
		return "", errToken
	}
	value, _ := all[i.o.Claim].(string)
	account := value
	if len(i.o.Accounts) > 0 {
		account = i.o.Accounts[value]
	}
	if !isAccount(account) {
		i.o.Log.Warn("a token is for no account", "claim", i.o.Claim)
		return "", errToken
	}
	return account, nil
}

// ready returns what checks tokens, once the issuer has told its keys.
func (i *Issuer) ready(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier != nil && time.Since(i.since) < issuerLife {
		return i.verifier, nil
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.o.URL)
	if err != nil && i.verifier != nil {
		return i.verifier, nil // it is away for a while
	}
	if err != nil {
		return nil, err
	}
	// The keys are fetched with another context than this request's.
	fetching := oidc.ClientContext(context.WithoutCancel(ctx), i.client)
	i.verifier = provider.VerifierContext(fetching, &oidc.Config{
		ClientID:             i.o.Audience, // go-oidc's word for the audience
		SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA},
	})
	i.since = time.Now()
	return i.verifier, nil
}

// metadataPath is where this server says whose tokens it accepts (RFC 9728).
const metadataPath = "/.well-known/oauth-protected-resource"

// metadata is what RFC 9728 has a resource server say of itself.
type metadata struct {
	Resource string   `json:"resource"`
	Name     string   `json:"resource_name"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
	Methods  []string `json:"bearer_methods_supported"`
}

func (i *Issuer) metadata() metadata {
	return metadata{
		Resource: i.o.Audience, Name: "Fullstory exports", Servers: []string{i.o.URL},
		Scopes: []string{ScopeRead, ScopeWrite}, Methods: []string{"header"},
	}
}

// metadataURL returns where the metadata of this server is.
func (i *Issuer) metadataURL() string {
	u, err := url.Parse(i.o.Audience)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + metadataPath + strings.TrimSuffix(u.Path, "/")
}

// challenge is the WWW-Authenticate of an answer that wants another token. what
// is the error in the words of RFC 6750, empty if there was no token.
func (i *Issuer) challenge(what, scope string) string {
	text := fmt.Sprintf(`Bearer realm="fullstory-export-mcp", resource_metadata=%q, scope=%q`, i.metadataURL(), scope)
	if what != "" {
		text += fmt.Sprintf(`, error=%q`, what)
	}
	return text
}
