package auth

// Rejection is an error: the reason why a token was rejected. It wraps ErrToken or
// ErrScope.
type Rejection struct {
	Kind   string // one of RejectionKinds
	Reason string // a clause for the log; it has no part of the token and no claim of it
	err    error
}

func (r *Rejection) Error() string { return r.Reason }

func (r *Rejection) Unwrap() error { return r.err }

// The kinds of rejections.
const (
	kindHeader    = "header"    // the Authorization header does not have the form Bearer TOKEN
	kindUnknown   = "unknown"   // the token is not in the file of callers, and there is no issuer
	kindMalformed = "malformed" // not a JWT
	kindType      = "type"      // a JWT for another purpose than access, such as an ID token
	kindAlgorithm = "algorithm" // signed in a way that is not accepted, or not at all
	kindSignature = "signature" // not signed by a key of the issuer
	kindIssuer    = "issuer"    // of another issuer
	kindAudience  = "audience"  // for another server
	kindExpired   = "expired"
	kindEarly     = "not_yet_valid"
	kindClaim     = "claim"   // a claim that is needed is missing or has another type
	kindAccount   = "account" // names no account, or more than one
	kindScope     = "scope"   // lacks ScopeRead
)

// RejectionKinds returns all kinds of rejections.
func RejectionKinds() []string {
	return []string{
		kindHeader, kindUnknown, kindMalformed, kindType, kindAlgorithm, kindSignature, kindIssuer,
		kindAudience, kindExpired, kindEarly, kindClaim, kindAccount, kindScope,
	}
}

// rejected returns a Rejection that wraps ErrToken.
func rejected(kind, reason string) error { return &Rejection{kind, reason, ErrToken} }
