//go:build unix

package command

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// codeIssuer is an authorization server with the code flow and PKCE. It signs everybody in at once.
type codeIssuer struct {
	t *testing.T
	*httptest.Server
	key jose.JSONWebKey

	mu     sync.Mutex
	codes  map[string]url.Values // what each code was requested with; a code is used once
	scope  string                // that it grants
	life   time.Duration         // of its tokens
	denies bool
}

const codeAudience = "https://mcp.example.com/mcp"

func newCodeIssuer(t *testing.T) *codeIssuer {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &codeIssuer{
		t: t, key: jose.JSONWebKey{Key: private, KeyID: "one", Algorithm: "ES256", Use: "sig"},
		codes: map[string]url.Values{},
		scope: "exports:read exports:write", life: time.Hour,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys",
			"authorization_endpoint": i.URL + "/authorize?tenant=1", "token_endpoint": i.URL + "/token",
			"authorization_response_iss_parameter_supported": true})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
	})
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// authorize checks a request for a code, and sends the browser back with one.
func (i *codeIssuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("tenant") != "1" || q.Get("response_type") != "code" || q.Get("client_id") != "web-page" ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 32 ||
		q.Get("resource") != codeAudience || !strings.HasSuffix(q.Get("redirect_uri"), "/sign-in/callback") {
		i.t.Errorf("the issuer is asked %v", q)
	}
	code := rand.Text()
	i.mu.Lock()
	i.codes[code] = q
	i.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
	if i.denies {
		back = url.Values{"error": {"access_denied"}, "state": {q.Get("state")}, "iss": {i.URL}}
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// token exchanges a code for a token, if the verifier is the right one.
func (i *codeIssuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	asked, ok := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	i.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("client_id") != "web-page" ||
		r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant"})
		return
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{"iss": i.URL, "aud": codeAudience, "sub": "olga",
		"scope": i.scope, "exp": time.Now().Add(i.life).Unix()}).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"access_token": text, "token_type": "Bearer", "expires_in": 3600})
}

// enter signs in at the issuer as a browser does, and returns the answer to the callback.
func (i *codeIssuer) enter(b *browser, next string) (callback string, g got) {
	i.t.Helper()
	g = b.get("/sign-in/issuer" + next)
	if g.status != http.StatusSeeOther {
		i.t.Fatalf("sign-in at the issuer answers %d: %s", g.status, g.body)
	}
	r, err := b.http.Get(g.header.Get("Location"))
	if err != nil {
		i.t.Fatal(err)
	}
	r.Body.Close()
	u, err := url.Parse(r.Header.Get("Location"))
	if err != nil || u.Path != "/prefix/sign-in/callback" {
		i.t.Fatalf("the issuer leads to %q, %v", r.Header.Get("Location"), err)
	}
	callback = "/sign-in/callback?" + u.RawQuery
	return callback, b.get(callback, "Sec-Fetch-Site", "cross-site")
}

// TestWebIssuer signs in by the authorization code flow, and tries to misuse it.
func TestWebIssuer(t *testing.T) {
	t.Parallel()
	i := newCodeIssuer(t)
	s := serveCommandLine(t, exec.Command(build(t), "serve", "--addr", "127.0.0.1:0", "--sandbox", "--dir", t.TempDir(),
		"--oauth-issuer", i.URL, "--oauth-audience", codeAudience, "--web-client-id", "web-page",
		"--public-url", "http://127.0.0.1:1/prefix"))
	olga := newBrowser(t, s.url)
	has(t, "the form", olga.page("/sign-in"), "Sign in with your organisation", "access token")
	callback, g := i.enter(olga, "?next=audit")
	if g.status != http.StatusOK || !strings.Contains(string(g.body), `content="0; url=../audit"`) {
		t.Fatalf("the callback answers %d: %s", g.status, g.body)
	}
	has(t, "the list", olga.page("/"), "oauth:olga")
	if g := olga.get(callback, "Sec-Fetch-Site", "cross-site"); g.status != http.StatusForbidden {
		t.Errorf("a callback that is used again answers %d", g.status)
	}
	for name, change := range map[string]func(url.Values){
		"another state":  func(q url.Values) { q.Set("state", "x") },
		"no state":       func(q url.Values) { q.Del("state") },
		"no code":        func(q url.Values) { q.Del("code") },
		"another code":   func(q url.Values) { q.Set("code", "x") },
		"another issuer": func(q url.Values) { q.Set("iss", "https://evil.example") },
		"no issuer":      func(q url.Values) { q.Del("iss") },
	} {
		b := newBrowser(t, s.url)
		to := b.get("/sign-in/issuer").header.Get("Location")
		r, err := b.http.Get(to)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		u, err := url.Parse(r.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		change(q)
		if g := b.get("/sign-in/callback?" + q.Encode()); g.status != http.StatusForbidden ||
			b.get("/").status == http.StatusOK {
			t.Errorf("%s: the callback answers %d", name, g.status)
		}
	}
	victim := newBrowser(t, s.url) // is led to a callback that somebody else began
	stolen := newBrowser(t, s.url).get("/sign-in/issuer").header.Get("Location")
	r, err := victim.http.Get(stolen)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	u, _ := url.Parse(r.Header.Get("Location"))
	if g := victim.get("/sign-in/callback?" + u.RawQuery); g.status != http.StatusForbidden {
		t.Errorf("the callback of another browser answers %d", g.status)
	}
	i.others(s)
}

// others signs in people without rights, with rights that end soon, and whom the issuer denies.
func (i *codeIssuer) others(s *served) {
	i.t.Helper()
	i.scope = "profile"
	if _, g := i.enter(newBrowser(i.t, s.url), ""); g.status != http.StatusForbidden {
		i.t.Errorf("without the scope the callback answers %d", g.status)
	}
	i.scope, i.life = "exports:read", 3*time.Second
	reader := newBrowser(i.t, s.url)
	if _, g := i.enter(reader, ""); g.status != http.StatusOK {
		i.t.Fatalf("a reader is answered %d: %s", g.status, g.body)
	}
	if page := reader.page("/"); strings.Contains(page, `href="./files"`) {
		i.t.Error("a reader is offered files")
	}
	eventually(i.t, "the session ends with the token",
		func() bool { return reader.get("/").status == http.StatusSeeOther })
	i.denies = true
	if _, g := i.enter(newBrowser(i.t, s.url), ""); g.status != http.StatusForbidden {
		i.t.Errorf("a denial answers %d", g.status)
	}
}
