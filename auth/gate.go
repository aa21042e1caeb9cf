package auth

import (
	"context"
	"errors"
	"strings"
)

var (
	// ErrNoToken says that a request has no Authorization header.
	ErrNoToken = errors.New("the request has no token")
	// ErrToken says that a token is invalid or expired.
	ErrToken = errors.New("the token is invalid or expired")
	// ErrScope says that a valid token has none of the scopes of this server.
	ErrScope = errors.New("the token lacks the scope " + ScopeRead)
	// ErrIssuerAway says that tokens cannot be checked now, because their issuer
	// does not answer.
	ErrIssuerAway = errors.New("the issuer of tokens does not answer")
	// ErrRevoked ends the streams of a token that is no longer valid.
	ErrRevoked = errors.New("the token is no longer valid")
)

// Gate finds out who a request comes from. The zero value accepts every request,
// as one of a Caller without a name. It is safe for concurrent use.
type Gate struct {
	Callers *Callers // who has a token in the file; nil: nobody
	Issuer  *Issuer  // whose tokens are accepted; nil: nobody's
}

// open reports whether anybody may call.
func (g Gate) open() bool { return g.Callers == nil && g.Issuer == nil }

// Single reports whether all requests come from one caller, who then needs to share with
// nobody: anybody may call, or the file has one caller and there is no issuer.
func (g Gate) Single() bool {
	return g.Issuer == nil && (g.Callers == nil || g.Callers.Len() <= 1)
}

// Caller returns who sent a request with that Authorization header, with every
// limit set. It fails with ErrNoToken, ErrIssuerAway, a *CallersError or a *Rejection.
func (g Gate) Caller(ctx context.Context, authorization string) (Caller, error) {
	if g.open() {
		return Caller{}.limited(), nil
	}
	if authorization == "" {
		return Caller{}, ErrNoToken
	}
	token, ok := bearer(authorization)
	if !ok {
		return Caller{}, rejected(kindHeader, "the Authorization header does not have the form Bearer TOKEN")
	}
	if len(token) > mostToken {
		return Caller{}, tooLong()
	}
	if g.Callers != nil {
		c, ok := g.Callers.byToken(token)
		since := g.Callers.ClosedSince()
		// While the file cannot be used, nobody knows which other tokens are in it.
		if !since.IsZero() && (ok || g.Issuer == nil || !isJWT(token)) {
			return Caller{}, &CallersError{since}
		}
		if ok {
			return c, nil
		}
	}
	if g.Issuer == nil {
		return Caller{}, rejected(kindUnknown, "it is not a token of the file of callers")
	}
	return g.Issuer.caller(ctx, token)
}

// bearer returns the token of an Authorization header.
func bearer(header string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "bearer") && token != ""
}

// Challenge returns the WWW-Authenticate header of an answer to a request to path that
// failed with err, an error of Caller or ErrScope for a token that lacks scope. Scopes
// are separated by spaces.
func (g Gate) Challenge(path string, err error, scope string) string {
	text := `Bearer realm="fullstory-export-mcp"`
	if g.Issuer != nil {
		text = g.Issuer.challenge(path, scope)
	}
	switch { // in the words of RFC 6750
	case errors.Is(err, ErrScope):
		text += `, error="insufficient_scope"`
	case errors.Is(err, ErrToken):
		text += `, error="invalid_token"`
	}
	return text
}
