package transport

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/auth"
)

// issuer is a small authorization server: its metadata and keys over HTTP, and
// tokens signed by them.
type issuer struct {
	t *testing.T
	*httptest.Server

	mu    sync.Mutex
	key   jose.JSONWebKey
	down  bool
	asked int              // for keys
	seen  int              // requests for metadata
	named string           // how the metadata name the issuer; "" is its URL
	keys  http.HandlerFunc // what is answered instead of the key; nil: the key
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t}
	i.rotate("first")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		i.seen++
		i.mu.Unlock()
		if i.isDown() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.name(), "jwks_uri": i.URL + "/keys",
			"authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.asked++
		instead := i.keys
		i.mu.Unlock()
		if instead != nil {
			instead(w, r)
			return
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) isDown() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.down
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// name returns how the metadata name the issuer.
func (i *issuer) name() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return cmp.Or(i.named, i.URL)
}

// rename changes how the metadata name the issuer.
func (i *issuer) rename(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.named = name
}

// rotate replaces the key, and returns the one before.
func (i *issuer) rotate(id string) (old jose.JSONWebKey) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	old, i.key = i.key, jose.JSONWebKey{Key: private, KeyID: id, Algorithm: "ES256", Use: "sig"}
	return old
}

const audience = "https://mcp.example.com/mcp"

// token returns a token with the usual claims, changed by change.
func (i *issuer) token(change map[string]any) string {
	i.mu.Lock()
	key := i.key
	i.mu.Unlock()
	return i.signed(key, change)
}

func (i *issuer) signed(key jose.JSONWebKey, change map[string]any) string {
	i.t.Helper()
	return i.withHeader(key, map[jose.HeaderKey]any{"typ": "at+jwt"}, i.claims(change))
}

// claims returns the usual claims, changed by change.
func (i *issuer) claims(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "aud": []string{"other", audience}, "sub": "user-1",
		"scope": "openid " + auth.ScopeRead + " " + auth.ScopeWrite,
		"exp":   time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "org": "Acme EMEA",
	}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// withHeader returns a token with these fields in its header, besides alg and kid, and
// these claims.
func (i *issuer) withHeader(key jose.JSONWebKey, header map[jose.HeaderKey]any, claims any) string {
	i.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key},
		&jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		i.t.Fatal(err)
	}
	payload, ok := claims.(json.RawMessage)
	if !ok {
		if payload, err = json.Marshal(claims); err != nil {
			i.t.Fatal(err)
		}
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// world starts a server for the tokens of i.
func (i *issuer) world(change func(*auth.IssuerOptions)) *world {
	i.t.Helper()
	o := auth.IssuerOptions{URL: i.URL, Audience: audience, Claim: "org",
		Accounts: map[string]string{"Acme EMEA": "emea", "Acme APAC": "apac"}}
	if change != nil {
		change(&o)
	}
	accepted, err := auth.NewIssuer(o)
	if err != nil {
		i.t.Fatal(err)
	}
	return newWorld(i.t, func(o *Options) {
		o.Issuer, o.Writes = accepted, []string{"wait"}
		o.ReadOnly = server.NewMCPServer("read-only", "1")
	})
}

// none returns a token that says it needs no signature.
func none(token string) string {
	parts := strings.Split(token, ".")
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	return header + "." + parts[1] + "."
}

// symmetric returns a token that is signed with what anybody can know.
func symmetric(i *issuer) string {
	public := jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("public key", 4))}
	signer, err := jose.NewSigner(public, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{"iss": i.URL, "aud": audience, "sub": "user-1",
		"scope": auth.ScopeWrite, "exp": time.Now().Add(time.Hour).Unix(), "org": "Acme EMEA"}).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// TestIssuedTokens tries tokens that are wrong in one way each.
func TestIssuedTokens(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	stranger := newIssuer(t)
	good := i.token(nil)
	const invalid = `error="invalid_token"`
	for name, test := range map[string]struct {
		token  string
		status int
		says   string // in WWW-Authenticate
	}{
		"good":                         {good, 200, ""},
		"of one scope":                 {i.token(map[string]any{"scope": auth.ScopeRead}), 200, ""},
		"scopes as a list":             {i.token(map[string]any{"scope": nil, "scp": []string{auth.ScopeWrite}}), 200, ""},
		"one audience":                 {i.token(map[string]any{"aud": audience}), 200, ""},
		"no token":                     {"", 401, `scope="exports:read exports:write"`},
		"not a token":                  {"nonsense", 401, invalid},
		"another audience":             {i.token(map[string]any{"aud": "https://other.example.com/mcp"}), 401, invalid},
		"an audience that looks alike": {i.token(map[string]any{"aud": audience + "/x"}), 401, invalid},
		"no audience":                  {i.token(map[string]any{"aud": nil}), 401, invalid},
		"another issuer":               {i.token(map[string]any{"iss": stranger.URL}), 401, invalid},
		"of another issuer":            {stranger.token(nil), 401, invalid},
		"as if of this issuer":         {stranger.token(map[string]any{"iss": i.URL}), 401, invalid},
		"expired":                      {i.token(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), 401, invalid},
		"without an end":               {i.token(map[string]any{"exp": nil}), 401, invalid},
		"not yet":                      {i.token(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), 401, invalid},
		"of nobody":                    {i.token(map[string]any{"sub": ""}), 401, invalid},
		"alg none":                     {none(good), 401, invalid},
		"symmetric":                    {symmetric(i), 401, invalid},
		"altered":                      {altered(good[:len(good)-10]) + good[len(good)-10:], 401, invalid},
		"of no account":                {i.token(map[string]any{"org": "Umbrella"}), 401, invalid},
		"account as a path":            {i.token(map[string]any{"org": "../emea"}), 401, invalid},
		"of no scope":                  {i.token(map[string]any{"scope": "openid"}), 403, `error="insufficient_scope"`},
	} {
		for _, route := range []struct{ method, path, body string }{{"POST", "/mcp", initialize}, {"GET", "/sse", ""}} {
			headers := map[string]string{}
			if test.token != "" {
				headers = bearer(test.token)
			}
			r := do(t, route.method, w.url+route.path, headers, bodyOf(route.body))
			challenge := r.Header.Get("WWW-Authenticate")
			if r.StatusCode != test.status || !strings.Contains(challenge, test.says) {
				t.Errorf("%s: %s is answered %d, %q", name, route.path, r.StatusCode, challenge)
			}
			if test.status != 200 && !strings.Contains(challenge,
				`resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"`) {
				t.Errorf("%s: the challenge does not name the metadata: %q", name, challenge)
			}
		}
	}
	if strings.Contains(w.log.String(), good) {
		t.Error("the log has a token")
	}
}

// TestKeysRotate has the issuer change its key: tokens of the new one are
// accepted at once, those of the old one no longer.
func TestKeysRotate(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	w.hello(bearer(i.token(nil)))
	old := i.rotate("second")
	w.hello(bearer(i.token(nil)))
	if status, _ := w.post(bearer(i.signed(old, nil)), initialize); status != http.StatusUnauthorized {
		t.Errorf("a token of the old key is answered %d", status)
	}
}

// TestUnknownKeys sends tokens of keys that nobody knows: the issuer is not
// asked for each of them.
func TestUnknownKeys(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	w.hello(bearer(i.token(nil)))
	stranger := newIssuer(t)
	for n := range 50 {
		stranger.rotate(string(rune('a' + n)))
		forged := bearer(stranger.token(map[string]any{"iss": i.URL}))
		if status, _ := w.post(forged, initialize); status != http.StatusUnauthorized {
			t.Fatalf("a token of an unknown key is answered %d", status)
		}
	}
	i.mu.Lock()
	asked := i.asked
	i.mu.Unlock()
	if asked > 6 {
		t.Errorf("the issuer was asked %d times for its keys", asked)
	}
	w.hello(bearer(i.token(nil))) // of a key that is known
}

// TestIssuerIsAway starts before the issuer does.
func TestIssuerIsAway(t *testing.T) {
	i := newIssuer(t)
	i.setDown(true)
	w := i.world(nil)
	r := do(t, "POST", w.url+"/mcp", bearer(i.token(nil)), strings.NewReader(initialize))
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("answered %d", r.StatusCode)
	}
	i.setDown(false)
	eventually(t, "that the token is accepted", func() bool {
		status, _ := w.post(bearer(i.token(nil)), initialize)
		return status == http.StatusOK
	})
}

// TestIssuedCallers each reach their account, and what their scopes allow.
func TestIssuedCallers(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	for _, test := range []struct{ sub, org, account string }{
		{"anna", "Acme EMEA", "emea"}, {"bert", "Acme APAC", "apac"},
	} {
		c, err := w.server.gate.Caller(t.Context(), "Bearer "+i.token(map[string]any{"sub": test.sub, "org": test.org}))
		if err != nil || c.Account != test.account || c.Name != "oauth:"+test.sub || c.ReadOnly {
			t.Errorf("%s of %s is %+v, %v", test.sub, test.org, c, err)
		}
	}
	anna, bert := bearer(i.token(map[string]any{"sub": "anna"})), bearer(i.token(map[string]any{"sub": "bert"}))
	session := w.hello(anna)
	if _, events := w.post(session, toolCall(1, "whoami", "{}")); !strings.Contains(events[0].data, "you are oauth:anna") {
		t.Errorf("got %v", events)
	}
	bert["Mcp-Session-Id"] = session["Mcp-Session-Id"]
	if status, _ := w.post(bert, toolCall(1, "whoami", "{}")); status != http.StatusNotFound {
		t.Errorf("bert with anna's session is answered %d", status)
	}
	session["Authorization"] = "Bearer " + i.token(map[string]any{"sub": "anna", "iat": 1}) // a fresh one
	if status, _ := w.post(session, toolCall(1, "whoami", "{}")); status != http.StatusOK {
		t.Errorf("anna's session with a fresh token is answered %d", status)
	}
	session["Authorization"] = "Bearer " + i.token(map[string]any{"sub": "anna", "scope": auth.ScopeRead})
	r := do(t, "POST", w.url+"/mcp", session, strings.NewReader(toolCall(2, "wait", "{}")))
	if challenge := r.Header.Get("WWW-Authenticate"); r.StatusCode != http.StatusForbidden ||
		!strings.Contains(challenge, `error="insufficient_scope"`) ||
		!strings.Contains(challenge, `scope="exports:read exports:write"`) {
		t.Errorf("a tool that takes another scope: %d, %q", r.StatusCode, challenge)
	}
}

// TestTokenExpires ends the streams of a token when it expires.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	w := i.world(nil)
	short := func() map[string]string {
		return bearer(i.token(map[string]any{"exp": time.Now().Add(2 * time.Second).Unix()}))
	}
	listening := do(t, "GET", w.url+"/mcp", w.hello(short()), nil)
	c := w.converse(short())
	newReader(listening.Body).all() // until it ends
	if e := c.next(); e.data != io.EOF.Error() {
		t.Errorf("the stream over SSE sends %v", e)
	}
}

func TestMetadata(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		r := do(t, "GET", w.url+path, nil, nil)
		var m struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
			Methods  []string `json:"bearer_methods_supported"`
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s is answered %d, %v", path, r.StatusCode, err)
		}
		if m.Resource != audience || len(m.Servers) != 1 || m.Servers[0] != i.URL || len(m.Scopes) != 3 ||
			len(m.Methods) != 1 {
			t.Errorf("%s has %+v", path, m)
		}
	}
}
