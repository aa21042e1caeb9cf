package auth

import (
	"strings"
	"time"
)

// IsOpen reports whether anybody may call, because the server has neither callers nor an issuer.
func (g Gate) IsOpen() bool { return g.open() }

// Current returns c, who showed a token earlier, as it is now, with every limit set: the caller of
// the file who has that token, or a caller of the issuer until its token expires. It fails with
// ErrToken, or with a *CallersError while the file cannot be used.
func (g Gate) Current(c Caller) (Caller, error) {
	switch {
	case g.open():
		if c.Name != "" || c.Account != "" {
			return Caller{}, ErrToken
		}
		return Caller{}.limited(), nil
	case c.Issued:
		if g.Issuer == nil || !strings.HasPrefix(c.Name, issuedPrefix) || !time.Now().Before(c.Expires) {
			return Caller{}, ErrToken
		}
		return c.limited(), nil
	case g.Callers == nil || c.Token == "":
		return Caller{}, ErrToken
	}
	if since := g.Callers.ClosedSince(); !since.IsZero() {
		return Caller{}, &CallersError{since}
	}
	now, ok := g.Callers.byHash(c.Token)
	if !ok || now.Name != c.Name || now.Account != c.Account || now.Metrics {
		return Caller{}, ErrToken
	}
	return now, nil
}
