package transport

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// answerKeys has the issuer answer the request for its keys with this.
func (i *issuer) answerKeys(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = h
}

// text returns a handler that answers with a text.
func text(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, body)
	}
}

// published returns the JSON of a key, as it is in a set.
func published(t *testing.T, key any) string {
	t.Helper()
	raw, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// weakKey returns an RSA key of 1,024 bits.
func weakKey(t *testing.T) jose.JSONWebKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: "weak", Algorithm: "RS256", Use: "sig"}
}

// TestKeySets has the issuer publish keys that differ from what they should be. want is
// the answer to a token of its key, weakly that to a token of a weak one.
func TestKeySets(t *testing.T) {
	weak := weakKey(t)
	private := func(i *issuer) string { return published(t, i.current()) }
	public := func(i *issuer) string { return published(t, i.public()) }
	stranger := newIssuer(t)
	const secret = `{"kty":"oct","k":"cHVibGljIGtleXB1YmxpYyBrZXlwdWJsaWMga2V5cHVibGljIGtleQ","kid":"first","alg":"HS256"}`
	for name, test := range map[string]struct {
		keys func(*issuer) string // in the list
		want int
		weak int
	}{
		"weak and good":  {func(i *issuer) string { return published(t, weak.Public()) + "," + public(i) }, 200, 401},
		"weak alone":     {func(*issuer) string { return published(t, weak.Public()) }, 503, 503},
		"symmetric":      {func(i *issuer) string { return secret + "," + public(i) }, 200, 401},
		"symmetric only": {func(*issuer) string { return secret }, 503, 503},
		"private":        {private, 503, 503},
		"two of one id": {func(i *issuer) string {
			return published(t, stranger.public()) + "," + public(i)
		}, 200, 401},
		"for encryption": {func(i *issuer) string { return strings.Replace(public(i), `"sig"`, `"enc"`, 1) }, 503, 503},
		"of other kinds": {func(i *issuer) string {
			return `{"kty":"X"},{},3,null,{"kty":"EC","crv":"P-1"},` + public(i)
		}, 200, 401},
		"none": {func(*issuer) string { return "" }, 503, 503},
		"101":  {func(i *issuer) string { return strings.Repeat(public(i)+",", 100) + public(i) }, 503, 503},
	} {
		i := newIssuer(t)
		i.answerKeys(text(jsonType, `{"keys":[`+test.keys(i)+`]}`))
		w := i.world(nil)
		if got, _ := w.post(bearer(i.token(nil)), initialize); got != test.want {
			t.Errorf("%s: a token of the issuer's key is answered %d, want %d", name, got, test.want)
		}
		if got, _ := w.post(bearer(i.signed(weak, nil)), initialize); got != test.weak {
			t.Errorf("%s: a token of a weak key is answered %d, want %d", name, got, test.weak)
		}
		if got, _ := w.post(bearer(symmetric(i)), initialize); got != 401 {
			t.Errorf("%s: a symmetric token is answered %d", name, got)
		}
	}
}

// TestAnswersOfTheIssuer has the issuer answer the request for its keys with something
// else. Tokens cannot be checked then. Keys that were read before still serve.
func TestAnswersOfTheIssuer(t *testing.T) {
	var sent atomic.Int64
	for name, answer := range map[string]http.HandlerFunc{
		"HTML": text("text/html", "<!doctype html><title>Sign in</title>"), "nothing": text(jsonType, ""),
		"null": text(jsonType, "null"), "a list": text(jsonType, "[]"), "no list": text(jsonType, `{"keys":3}`),
		"more than JSON": text(jsonType, `{"keys":[]}{"keys":[]}`),
		"an error":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/.well-known/openid-configuration", http.StatusFound)
		},
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"an end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"keys":[`)
		},
		"no end": func(w http.ResponseWriter, _ *http.Request) {
			spaces := []byte(strings.Repeat(" ", 1<<16))
			for {
				n, err := w.Write(spaces)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		},
		"long headers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			fmt.Fprint(w, `{"keys":[]}`)
		},
	} {
		i := newIssuer(t)
		before := i.world(nil)
		before.hello(bearer(i.token(nil)))
		i.answerKeys(answer)
		if got, _ := i.world(nil).post(bearer(i.token(nil)), initialize); got != http.StatusServiceUnavailable {
			t.Errorf("%s: answered %d", name, got)
		}
		stranger := newIssuer(t)
		stranger.rotate("unknown")
		before.post(bearer(stranger.token(map[string]any{"iss": i.URL})), initialize) // has the keys read again
		if got, _ := before.post(bearer(i.token(nil)), initialize); got != http.StatusOK {
			t.Errorf("%s: a token of a key that was read before is answered %d", name, got)
		}
	}
	if most := int64(64 << 20); sent.Load() > most {
		t.Errorf("%d bytes of an endless answer were read, more than %d", sent.Load(), most)
	}
}

// TestKeysAreSlow has the issuer not answer for its keys, after they were read once.
// Tokens of known keys are accepted at once.
func TestKeysAreSlow(t *testing.T) {
	i := newIssuer(t)
	w := i.world(nil)
	w.hello(bearer(i.token(nil)))
	asked, release := make(chan struct{}, 100), make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(release) })) // before the issuer is closed
	i.answerKeys(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})
	stranger := newIssuer(t)
	stranger.rotate("unknown")
	forged := bearer(stranger.token(map[string]any{"iss": i.URL}))
	for range 20 {
		go try(t.Context(), "POST", w.url+"/mcp", forged, strings.NewReader(initialize))
	}
	await(t, "the request for keys", asked)
	for range 5 {
		w.hello(bearer(i.token(nil)))
	}
	if len(asked) != 0 {
		t.Errorf("the issuer was asked %d times more while it did not answer", len(asked))
	}
}
