package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"
)

// The scopes of a token: to read, to start and end exports as well, and, beside one of
// these, to get signed links to files.
const (
	ScopeRead  = "exports:read"
	ScopeWrite = "exports:write"
	ScopeLinks = "exports:links"
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
	o    IssuerOptions
	keys *keyCache
}

// NewIssuer returns an issuer, whose metadata is read when the first token that could
// be its own arrives. It fails if an address or the name of an account is not acceptable.
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
	site := newIssuerSite(o.URL, o.Log)
	return &Issuer{o: o, keys: newKeyCache(site.keys, o.Log.With("issuer", o.URL))}, nil
}

// Reads returns how often the keys of the issuer were read.
func (i *Issuer) Reads() Reads { return i.keys.counts() }

// earlyTime is how long before its nbf a token is accepted, because clocks differ.
const earlyTime = 5 * time.Minute

// caller returns who a token was issued for. It fails with ErrIssuerAway or a
// *Rejection.
func (i *Issuer) caller(ctx context.Context, token string) (Caller, error) {
	c, err := i.signed(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	expires, err := i.validity(c)
	if err != nil {
		return Caller{}, err
	}
	name, err := c.name()
	if err != nil {
		return Caller{}, err
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
		Name: name, Account: account, ReadOnly: !write, Links: slices.Contains(scopes, ScopeLinks),
		Expires: expires, Issued: true,
	}.limited(), nil
}

// signed returns the claims of a token once one of the keys has verified its
// signature. The issuer is not asked about a token that cannot be its own.
func (i *Issuer) signed(ctx context.Context, token string) (c claims, err error) {
	t, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	payload, err := i.keys.verify(ctx, t)
	switch {
	case errors.Is(err, errNotSigned):
		return nil, rejected(kindSignature, "no key of the issuer "+i.o.URL+" has signed it")
	case err != nil:
		return nil, err
	case json.Unmarshal(payload, &c) != nil:
		return nil, rejected(kindMalformed, "its payload is not a JSON object")
	case t.declared:
		return c, nil
	}
	return c, checkPurpose(c)
}

// errNotSigned says that no key of the issuer has signed a token.
var errNotSigned = errors.New("no key of the issuer has signed the token")

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
