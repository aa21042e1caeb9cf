package transport

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"fullstory-export-mcp/auth"
)

// header is the header of a token, without alg and kid.
type header = map[jose.HeaderKey]any

// current returns the key of the issuer.
func (i *issuer) current() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.key
}

// public returns the public part of that key.
func (i *issuer) public() jose.JSONWebKey {
	key := i.current()
	return key.Public()
}

// requests returns how often the issuer was asked for anything.
func (i *issuer) requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.seen + i.asked
}

// TestPurposes accepts access tokens, however issuers mark them, and no other tokens
// that the issuer signs.
func TestPurposes(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	type claims = map[string]any
	for name, test := range map[string]struct {
		header header
		change claims
		status int
	}{
		"RFC 9068":               {header{"typ": "at+jwt"}, nil, 200},
		"RFC 9068, long":         {header{"typ": "application/at+jwt"}, nil, 200},
		"RFC 9068, capitals":     {header{"typ": "AT+JWT"}, claims{"nonce": "n"}, 200},
		"Entra, Auth0":           {header{"typ": "JWT"}, nil, 200},
		"lower case":             {header{"typ": "jwt"}, nil, 200},
		"Okta":                   {nil, nil, 200},
		"Keycloak":               {header{"typ": "JWT"}, claims{"typ": "Bearer", "nonce": "n"}, 200},
		"Cognito":                {header{}, claims{"token_use": "access"}, 200},
		"odd claims":             {nil, claims{"nonce": 4, "at_hash": true, "c_hash": nil}, 200},
		"logout":                 {header{"typ": "logout+jwt"}, nil, 401},
		"event":                  {header{"typ": "secevent+jwt"}, nil, 401},
		"event, long":            {header{"typ": "application/secevent+jwt"}, nil, 401},
		"DPoP":                   {header{"typ": "dpop+jwt"}, nil, 401},
		"request":                {header{"typ": "oauth-authz-req+jwt"}, nil, 401},
		"introspection":          {header{"typ": "token-introspection+jwt"}, nil, 401},
		"key binding":            {header{"typ": "kb+jwt"}, nil, 401},
		"client authentication":  {header{"typ": "client-authentication+jwt"}, nil, 401},
		"JOSE":                   {header{"typ": "JOSE"}, nil, 401},
		"empty":                  {header{"typ": ""}, nil, 401},
		"number":                 {header{"typ": 3}, nil, 401},
		"list":                   {header{"typ": []string{"at+jwt"}}, nil, 401},
		"ID token of a code":     {header{"typ": "JWT"}, claims{"nonce": "n"}, 401},
		"ID token with a hash":   {nil, claims{"at_hash": "h"}, 401},
		"ID token, hash of code": {nil, claims{"c_hash": "h"}, 401},
		"ID token of Keycloak":   {header{"typ": "JWT"}, claims{"typ": "ID"}, 401},
		"refresh token":          {header{"typ": "JWT"}, claims{"typ": "Refresh"}, 401},
		"offline token":          {header{"typ": "JWT"}, claims{"typ": "Offline"}, 401},
		"ID token of Cognito":    {nil, claims{"token_use": "id"}, 401},
		"logout by its claims":   {header{"typ": "JWT"}, claims{"events": claims{"e": claims{}}}, 401},
	} {
		token := i.withHeader(i.current(), test.header, i.claims(test.change))
		if status, _ := w.post(bearer(token), initialize); status != test.status {
			t.Errorf("%s: answered %d, want %d", name, status, test.status)
		}
	}
	if !strings.Contains(w.metricsText(), `fullstory_export_tokens_rejected_total{kind="type"} `) {
		t.Error("the kind type is not counted")
	}
}

// TestHeadersOfTokens sends tokens whose headers bring a key of their own, or ask for
// extensions. The issuer has signed those that are rejected, too.
func TestHeadersOfTokens(t *testing.T) {
	i, stranger := newIssuer(t), newIssuer(t)
	w := i.world(nil)
	own, foreign := i.current(), stranger.current()
	public := stranger.public()
	for name, test := range map[string]struct {
		token  string
		status int
	}{
		"crit":              {i.withHeader(own, header{"crit": []string{"exp"}, "exp": 1}, i.claims(nil)), 401},
		"crit of b64":       {i.withHeader(own, header{"crit": []string{"b64"}, "b64": true}, i.claims(nil)), 401},
		"b64":               {i.withHeader(own, header{"b64": true}, i.claims(nil)), 401},
		"jwk":               {i.withHeader(foreign, header{"jwk": &public}, i.claims(nil)), 401},
		"jku":               {i.withHeader(foreign, header{"jku": stranger.URL + "/keys"}, i.claims(nil)), 401},
		"x5u":               {i.withHeader(foreign, header{"x5u": stranger.URL + "/keys"}, i.claims(nil)), 401},
		"jku of the issuer": {i.withHeader(own, header{"jku": stranger.URL + "/keys"}, i.claims(nil)), 200},
		"kid as a path":     {i.withHeader(keyNamed(foreign, "../../etc/passwd"), nil, i.claims(nil)), 401},
		"kid that is long":  {i.withHeader(keyNamed(foreign, strings.Repeat("k", 8000)), nil, i.claims(nil)), 401},
		"nested":            {i.withHeader(own, header{"cty": "JWT"}, json.RawMessage(i.token(nil))), 401},
		"a list":            {i.withHeader(own, nil, []int{1}), 401},
	} {
		if status, _ := w.post(bearer(test.token), initialize); status != test.status {
			t.Errorf("%s: answered %d, want %d", name, status, test.status)
		}
	}
	if got := stranger.requests(); got != 0 {
		t.Errorf("%d requests were sent to where tokens point", got)
	}
}

func keyNamed(key jose.JSONWebKey, id string) jose.JSONWebKey {
	key.KeyID = id
	return key
}

// TestNothingReachesTheIssuer sends what cannot be a token of the issuer. The issuer
// must not be asked for its keys.
func TestNothingReachesTheIssuer(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	good := i.token(nil)
	encoded := func(header string) string { return base64.RawURLEncoding.EncodeToString([]byte(header)) }
	rest := good[strings.Index(good, "."):]
	for name, token := range map[string]string{
		"a word": "nonsense", "dots": "..", "three words": "a.b.c", "spaces": "a b c",
		"of the file": "fsx_" + strings.Repeat("a", 43), "not signed": none(good), "symmetric": symmetric(i),
		"encrypted":         encoded(`{"alg":"RSA-OAEP","enc":"A256GCM"}`) + ".a.b.c.d",
		"another type":      i.withHeader(i.current(), header{"typ": "logout+jwt"}, i.claims(nil)),
		"an extension":      i.withHeader(i.current(), header{"crit": []string{"x"}, "x": 1}, i.claims(nil)),
		"20 kB":             i.token(map[string]any{"more": strings.Repeat("x", 20_000)}),
		"alg as a list":     encoded(`{"alg":["ES256"],"kid":"first"}`) + rest,
		"two algs":          encoded(`{"alg":"ES256","alg":"none","kid":"first"}`) + rest,
		"an empty header":   encoded(`{}`) + rest,
		"a header of null":  encoded(`null`) + rest,
		"a header not JSON": encoded(`alg: ES256`) + rest,
		"none in capitals":  encoded(`{"alg":"NONE"}`) + rest,
		"JSON":              `{"payload":"e30","signatures":[]}`,
		"characters":        strings.ReplaceAll(good, ".", ".\u00e9"),
	} {
		if status, _ := w.post(bearer(token), initialize); status != http.StatusUnauthorized {
			t.Errorf("%s: answered %d", name, status)
		}
	}
	if got := i.requests(); got != 0 {
		t.Errorf("the issuer was sent %d requests", got)
	}
	w.hello(bearer(good))
}

// TestSubjects sends tokens for subjects of many forms. Each has a name of its own, in
// characters that are safe in a log.
func TestSubjects(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	names := map[string]string{}
	for subject, want := range map[string]string{
		"auth0|5f7c8ec7c33c6c004bbafe82": "oauth:auth0|5f7c8ec7c33c6c004bbafe82",
		"anna@example.com":               "oauth:anna@example.com", "Anna Example": "oauth:Anna Example",
		strings.Repeat("x", 255): "oauth:" + strings.Repeat("x", 255),
		strings.Repeat("x", 256): "", strings.Repeat("x", 9000): "", strings.Repeat("é", 100): "",
		"j\u00fcrgen": `oauth:j\u00fcrgen`, `j\u00fcrgen`: `oauth:j\\u00fcrgen`,
		"j\u00fcrgen\ufe0f": `oauth:j\u00fcrgen\ufe0f`,
		"a\nlevel=ERROR":    `oauth:a\nlevel=ERROR`, "a\x00": `oauth:a\x00`, "\u202egpj": `oauth:\u202egpj`,
		`"quoted"`: `oauth:\"quoted\"`, "\u3164": `oauth:\u3164`, "\ufffd": "",
	} {
		c, err := w.server.gate.Caller(t.Context(), "Bearer "+i.token(map[string]any{"sub": subject}))
		if c.Name != want || (err == nil) != (want != "") {
			t.Errorf("%.60q is %.60q, %v; want %.60q", subject, c.Name, err, want)
		}
		if other, ok := names[c.Name]; ok && c.Name != "" {
			t.Errorf("%q and %q are both %q", subject, other, c.Name)
		}
		names[c.Name] = subject
	}
}

// TestTimes sends tokens whose times are as large, small or odd as JSON allows.
func TestTimes(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	raw := func(name, value string) string {
		claims := i.claims(nil)
		delete(claims, name)
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text[:len(text)-1], `,"`+name+`":`+value+`}`...)
		return i.withHeader(i.current(), header{"typ": "at+jwt"}, json.RawMessage(text))
	}
	late := time.Now().Add(time.Hour).Unix()
	for value, status := range map[string]int{
		"1e18": 200, "9223372036854775807": 200, "92233720368547758070": 200, "1e308": 200, `"99999999999"`: 200,
		"1e999": 401, "-1": 401, "-1e300": 401, "0": 401, "0.5": 401, "true": 401, "[]": 401, "{}": 401, `""`: 401,
		`"never"`: 401,
	} {
		if got, _ := w.post(bearer(raw("exp", value)), initialize); got != status {
			t.Errorf("exp %s: answered %d, want %d", value, got, status)
		}
	}
	for value, status := range map[string]int{
		"0": 200, "null": 200, "1e18": 401, "92233720368547758070": 401, "1e999": 401, "-1": 401, "[]": 401,
		`"1"`: 200,
	} {
		if got, _ := w.post(bearer(raw("nbf", value)), initialize); got != status {
			t.Errorf("nbf %s: answered %d, want %d", value, got, status)
		}
	}
	for _, value := range []string{"1e999", "-1e300", "92233720368547758070", "null", "[]"} {
		if got, _ := w.post(bearer(raw("iat", value)), initialize); got != http.StatusOK {
			t.Errorf("iat %s, which nobody needs: answered %d", value, got)
		}
	}
	// A stream with a token that ends in the year 9999 stays open.
	stream := w.converse(bearer(raw("exp", "1e308")))
	stream.post(toolCall(late, "whoami", "{}"))
	if e := stream.next(); !strings.Contains(e.data, "user-1") {
		t.Errorf("the stream sends %v", e)
	}
}

// TestLinksScope gives the right to links to tokens with its scope.
func TestLinksScope(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	for scopes, want := range map[string]bool{
		auth.ScopeRead: false, auth.ScopeWrite: false, auth.ScopeRead + " " + auth.ScopeLinks: true,
		auth.ScopeWrite + " " + auth.ScopeLinks: true, auth.ScopeRead + " exports:linksx": false,
	} {
		c, err := w.server.gate.Caller(t.Context(), "Bearer "+i.token(map[string]any{"scope": scopes}))
		if err != nil || c.MayLink() != want || c.SeesAllMetrics() {
			t.Errorf("%s: %+v, %v", scopes, c, err)
		}
	}
	if status, _ := w.post(bearer(i.token(map[string]any{"scope": auth.ScopeLinks})), initialize); status != 403 {
		t.Errorf("the scope alone is answered %d", status)
	}
}
