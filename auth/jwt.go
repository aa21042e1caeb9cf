package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// mostToken is the longest token that is read, in bytes. Tokens of issuers have one to
// four kB; the headers of a request have at most 32.
const mostToken = 16 << 10

// signedToken is a JWT whose signature is not verified yet.
type signedToken struct {
	jws      *jose.JSONWebSignature
	key      string // id of the key that signed it, as it says; "" if it names none
	alg      string
	declared bool // its header says that it is an access token
}

// isJWT reports whether a token has the three parts of a JWT.
func isJWT(token string) bool { return strings.Count(token, ".") == 2 }

// parseToken reads the form and the header of a token, which anybody may have made. It
// uses no key that the token brings or points to. It fails with a *Rejection.
func parseToken(token string) (t signedToken, err error) {
	switch dots := strings.Count(token, "."); {
	case len(token) > mostToken:
		return t, tooLong()
	case dots == 4:
		return t, rejected(kindMalformed, "it is encrypted")
	case dots != 2:
		return t, rejected(kindMalformed, "it is not a JWT, and not a token of the file of callers")
	}
	encoded, _, _ := strings.Cut(token, ".")
	var header claims
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || json.Unmarshal(raw, &header) != nil {
		return t, rejected(kindMalformed, "its header is not a JSON object in base64")
	}
	if t.declared, err = checkHeader(header); err != nil {
		return t, err
	}
	t.jws, err = jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	})
	if _, other := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); other {
		return t, rejected(kindAlgorithm, "it is not signed, or with an algorithm that is not accepted")
	}
	if err != nil {
		return t, rejected(kindMalformed, "it is not a signed JWT")
	}
	signature := t.jws.Signatures[0].Protected
	t.key, t.alg = signature.KeyID, signature.Algorithm
	return t, nil
}

// tooLong rejects a token of more than mostToken bytes.
func tooLong() error { return rejected(kindMalformed, "it is longer than 16 kB") }

// checkHeader fails if a token is for another purpose than access by its header, or has
// an extension that must be understood. declared is set if the header says that it is
// an access token (RFC 9068). Many issuers say JWT, or nothing; see checkPurpose.
func checkHeader(header claims) (declared bool, err error) {
	if header.has("crit") || header.has("b64") {
		return false, rejected(kindMalformed, "its header has an extension that is not accepted")
	}
	if !header.has("typ") {
		return false, nil
	}
	text, _ := header.text("typ")
	switch strings.TrimPrefix(strings.ToLower(text), "application/") {
	case "at+jwt":
		return true, nil
	case "jwt":
		return false, nil
	}
	return false, rejected(kindType, "by its header it is not an access token")
}

// checkPurpose fails if the claims of a token whose header does not say that it is an
// access token show that it is another one: an ID token (OpenID Connect Core, 2 and
// 3.3.2.11), a logout token or another event (RFC 8417), or, as Keycloak and Cognito
// mark them, an ID or refresh token. The claims that only ID tokens have count if they are
// texts, as they must be there.
func checkPurpose(c claims) error {
	hasText := func(name string) bool {
		_, ok := c.text(name)
		return ok
	}
	typ, _ := c.text("typ")
	use, _ := c.text("token_use")
	isAccess := strings.EqualFold(typ, "Bearer") || use == "access"
	switch {
	case hasText("at_hash"), hasText("c_hash"), hasText("s_hash"), hasText("nonce") && !isAccess:
		return rejected(kindType, "it is an ID token, not an access token")
	case c.has("events"):
		return rejected(kindType, "it reports an event, and is not an access token")
	case c.has("typ") && !slices.Contains([]string{"bearer", "jwt", "at+jwt"}, strings.ToLower(typ)),
		c.has("token_use") && use != "access":
		return rejected(kindType, "by its claims it is not an access token")
	}
	return nil
}
