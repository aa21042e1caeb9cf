package transport

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/auth"
)

// TestClaimsAsIssuersSendThem accepts tokens whose claims have the types and forms that
// issuers give them.
func TestClaimsAsIssuersSendThem(t *testing.T) {
	i := newIssuer(t)
	w := i.world(func(o *auth.IssuerOptions) { o.ScopeClaim = "roles" })
	read, write := auth.ScopeRead, auth.ScopeWrite
	type claims = map[string]any
	for name, test := range map[string]struct {
		change   claims
		readOnly bool
	}{
		"scope as a text":           {claims{"scope": "openid " + read}, true},
		"scope as a list":           {claims{"scope": []string{"openid", write}}, false},
		"scope as a list of lines":  {claims{"scope": []string{"openid " + read, "email"}}, true},
		"scp as a text":             {claims{"scope": nil, "scp": "openid " + write}, false},
		"scp as a list":             {claims{"scope": nil, "scp": []string{read}}, true},
		"roles as a text":           {claims{"scope": nil, "roles": write}, false},
		"roles as a list":           {claims{"scope": "openid", "roles": []string{"admin", write}}, false},
		"scope of another type":     {claims{"scope": 3, "scp": []any{read, 4, nil}}, true},
		"scp of another type":       {claims{"scp": claims{"a": 1}}, false},
		"scopes in two claims":      {claims{"scope": read, "scp": []string{write}}, false},
		"audience with a slash":     {claims{"aud": audience + "/"}, false},
		"audiences with a slash":    {claims{"aud": []string{"other", audience + "/"}}, false},
		"audiences of other types":  {claims{"aud": []any{7, audience}}, false},
		"issuer with a slash":       {claims{"iss": i.URL + "/"}, false},
		"account in a list":         {claims{"org": []any{"other", 3, "Acme EMEA"}}, false},
		"account twice":             {claims{"org": []string{"Acme EMEA", "Acme EMEA"}}, false},
		"times as texts":            {claims{"exp": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "nbf": "1"}, false},
		"times with fractions":      {claims{"exp": float64(time.Now().Add(time.Hour).Unix()) + 0.5}, false},
		"claims that nobody needs":  {claims{"email": 3, "groups": "x", "email_verified": "true", "azp": []int{1}}, false},
		"OpenID claims":             {claims{"iat": "now", "nonce": 4, "at_hash": true, "auth_time": "x", "acr": 0}, false},
		"claims stored elsewhere":   {claims{"_claim_names": "x", "_claim_sources": []int{1}}, false},
		"groups that were left out": {claims{"_claim_names": claims{"groups": "src1"}}, false},
		"empty claims":              {claims{"nbf": nil, "iat": nil, "jti": nil, "client_id": nil}, false},
	} {
		c, err := w.server.gate.Caller(t.Context(), "Bearer "+i.token(test.change))
		if err != nil || c.Account != "emea" || c.ReadOnly != test.readOnly || c.Name != "oauth:user-1" {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if status, _ := w.post(bearer(i.token(test.change)), initialize); status != http.StatusOK {
			t.Errorf("%s: answered %d", name, status)
		}
	}
}

// TestIssuerWithSlash has a final slash in what is configured, and none in the tokens;
// and the reverse in the metadata of the issuer.
func TestIssuerWithSlash(t *testing.T) {
	i := newIssuer(t)
	slashed := func(o *auth.IssuerOptions) { o.URL, o.Audience = i.URL+"/", audience+"/" }
	i.world(slashed).hello(bearer(i.token(nil)))
	i.rename(i.URL + "/")
	i.world(nil).hello(bearer(i.token(map[string]any{"iss": i.URL + "/"})))
	i.world(slashed).hello(bearer(i.token(nil)))
	i.rename(i.URL + "/x") // another issuer's metadata
	if status, _ := i.world(nil).post(bearer(i.token(nil)), initialize); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d", status)
	}
}

// TestRolesAreNoScopes sends roles to a server that was not told to read them.
func TestRolesAreNoScopes(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	token := i.token(map[string]any{"scope": "openid", "roles": []string{auth.ScopeWrite}})
	if status, _ := w.post(bearer(token), initialize); status != http.StatusForbidden {
		t.Errorf("answered %d", status)
	}
}

// TestRejectedTokens sends a token of each kind that is rejected: the log has the
// reason, the metrics count it, and neither has a part of the token.
func TestRejectedTokens(t *testing.T) {
	i := newIssuer(t)
	stranger := newIssuer(t)
	good := i.token(nil)
	type claims = map[string]any
	late, past := time.Now().Add(time.Hour).Unix(), time.Now().Add(-time.Hour).Unix()
	for name, test := range map[string]struct{ header, kind, says string }{
		"another scheme":      {"Basic " + good, "header", "does not have the form"},
		"not a JWT":           {"Bearer nonsense", "malformed", "not a JWT"},
		"a JWT in JSON":       {`Bearer {"payload":"e30","signatures":[]}`, "malformed", "not a JWT"},
		"not signed":          {"Bearer " + none(good), "algorithm", "not signed"},
		"symmetric":           {"Bearer " + symmetric(i), "algorithm", "not accepted"},
		"another key":         {"Bearer " + stranger.token(claims{"iss": i.URL}), "signature", "no key of the issuer"},
		"another issuer":      {"Bearer " + i.token(claims{"iss": "https://other"}), "issuer", "iss is not " + i.URL},
		"no issuer":           {"Bearer " + i.token(claims{"iss": nil}), "issuer", "iss is not"},
		"issuer of a type":    {"Bearer " + i.token(claims{"iss": []string{i.URL}}), "issuer", "iss is not"},
		"two slashes":         {"Bearer " + i.token(claims{"iss": i.URL + "//"}), "issuer", "iss is not"},
		"another audience":    {"Bearer " + i.token(claims{"aud": "https://other"}), "audience", audience},
		"longer audience":     {"Bearer " + i.token(claims{"aud": audience + "/x"}), "audience", audience},
		"audience of a type":  {"Bearer " + i.token(claims{"aud": 3}), "audience", audience},
		"expired":             {"Bearer " + i.token(claims{"exp": past}), "expired", "expired"},
		"expired, as a text":  {"Bearer " + i.token(claims{"exp": fmt.Sprint(past)}), "expired", "expired"},
		"without an end":      {"Bearer " + i.token(claims{"exp": nil}), "claim", "exp"},
		"end of a type":       {"Bearer " + i.token(claims{"exp": "never"}), "claim", "exp"},
		"not yet":             {"Bearer " + i.token(claims{"nbf": late}), "not_yet_valid", "not valid yet"},
		"beginning of a type": {"Bearer " + i.token(claims{"nbf": "soon"}), "claim", "nbf"},
		"of nobody":           {"Bearer " + i.token(claims{"sub": nil}), "claim", "sub"},
		"of a number":         {"Bearer " + i.token(claims{"sub": 3}), "claim", "sub"},
		"of no account":       {"Bearer " + i.token(claims{"org": "Umbrella"}), "account", "org names no account"},
		"account of a type":   {"Bearer " + i.token(claims{"org": 3}), "account", "org names no account"},
		"of two accounts": {"Bearer " + i.token(claims{"org": []string{"Acme EMEA", "Acme APAC"}}), "account",
			"more than one"},
		"of no scope":          {"Bearer " + i.token(claims{"scope": "openid"}), "scope", "exports:read"},
		"scopes of a type":     {"Bearer " + i.token(claims{"scope": 3, "scp": 4}), "scope", "exports:read"},
		"scope that is longer": {"Bearer " + i.token(claims{"scope": "exports:reader"}), "scope", "exports:read"},
	} {
		w := i.world(nil)
		status, _ := w.post(map[string]string{"Authorization": test.header}, initialize)
		if want := map[bool]int{true: 403, false: 401}[test.kind == "scope"]; status != want {
			t.Errorf("%s: answered %d, want %d", name, status, want)
		}
		checkRejection(t, w, name, test.header, test.kind, test.says)
	}
	w, _, _ := callersWorld(t, "anna")
	w.post(bearer("fsx_unknown"), initialize)
	checkRejection(t, w, "a token that is not in the file", "Bearer fsx_unknown", "unknown", "file of callers")
	if status, _ := w.post(nil, initialize); status != http.StatusUnauthorized || w.rejectedTokens() != 1 {
		t.Errorf("a request without a token is answered %d and counted among %d", status, w.rejectedTokens())
	}
}

// checkRejection fails unless the log and the metrics have one rejection of a kind.
func checkRejection(t *testing.T, w *world, name, header, kind, says string) {
	t.Helper()
	log := w.log.String()
	line := regexp.MustCompile(`(?m)^.*level=INFO msg="token rejected".*$`).FindString(log)
	if !strings.Contains(line, "kind="+kind+" ") || !strings.Contains(line, says) {
		t.Errorf("%s: logged %q, want %s, %q", name, line, kind, says)
	}
	_, token, _ := strings.Cut(header, " ")
	for _, part := range strings.Split(token, ".") {
		if len(part) > 5 && strings.Contains(log, part) {
			t.Errorf("%s: the log has a part of the token:\n%s", name, log)
		}
	}
	text := w.metricsText()
	if want := `fullstory_export_tokens_rejected_total{kind="` + kind + `"} 1`; !strings.Contains(text, want) {
		t.Errorf("%s: the metrics lack %s", name, want)
	}
	if got := w.rejectedTokens(); got != 1 {
		t.Errorf("%s: %d tokens are counted", name, got)
	}
	if got := strings.Count(text, "fullstory_export_tokens_rejected_total{"); got != len(auth.RejectionKinds()) {
		t.Errorf("the metrics have %d kinds, want %d", got, len(auth.RejectionKinds()))
	}
}

// metricsText returns what /metrics would, for any caller.
func (w *world) metricsText() string {
	families, err := w.server.metrics.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				fmt.Fprintf(&text, "%s{%s=%q} %v\n", f.GetName(), l.GetName(), l.GetValue(), m.GetCounter().GetValue())
			}
		}
	}
	return text.String()
}

// rejectedTokens returns how many rejected tokens are counted.
func (w *world) rejectedTokens() (n int) {
	for line := range strings.Lines(w.metricsText()) {
		var one int
		name, value, _ := strings.Cut(line, "} ")
		if strings.HasPrefix(name, "fullstory_export_tokens_rejected_total{") {
			fmt.Sscan(value, &one)
			n += one
		}
	}
	return n
}

// TestRejectedTokensDoNotFillTheLog sends many tokens of one kind.
func TestRejectedTokensDoNotFillTheLog(t *testing.T) {
	w, _, _ := callersWorld(t, "anna")
	began := time.Now()
	for range 300 {
		w.post(bearer("fsx_unknown"), initialize)
	}
	most := 11 + int(time.Since(began)/time.Second)
	if got := strings.Count(w.log.String(), `msg="token rejected"`); got > most || got < 10 {
		t.Errorf("the log has %d lines, want at most %d", got, most)
	}
	if got := w.rejectedTokens(); got != 300 {
		t.Errorf("%d tokens are counted", got)
	}
}
