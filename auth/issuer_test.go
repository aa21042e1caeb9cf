package auth

import "testing"

// TestIssuerOptions tries addresses and accounts that are not acceptable.
func TestIssuerOptions(t *testing.T) {
	const issuer, audience = "http://127.0.0.1:1", "https://mcp.example.com/mcp"
	for _, o := range []IssuerOptions{
		{URL: "http://issuer.example.com", Audience: audience}, {URL: issuer, Audience: "nonsense"}, {Audience: audience},
		{URL: issuer, Audience: audience, Claim: "org", Accounts: map[string]string{"x": "../x"}},
	} {
		if _, err := NewIssuer(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
