//go:build unix

package command

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// sendTo sends one request to a program and returns the answer and its body.
func sendTo(t *testing.T, method, url, body string, headers map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	answer, err := newHTTPClient(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(raw)
}

// TestClientsOfTheProgram drives the program as clients of older versions, behind a
// proxy with a prefix, and with few types do.
func TestClientsOfTheProgram(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir())
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	hello := "\ufeff" + strings.Replace(string(rpcRequest(1, "initialize", greeting)), testedVersion, "2025-03-26", 1)

	answer, _ := sendTo(t, "POST", s.url+"/mcp/", hello, nil)
	session := map[string]string{"Mcp-Session-Id": answer.Header.Get("Mcp-Session-Id")}
	batch := `[` + list + `,{"jsonrpc":"2.0","method":"notifications/initialized"}]`
	_, body := sendTo(t, "POST", s.url+"/mcp/", batch, session)
	if !strings.HasPrefix(body, `[{`) || !strings.Contains(body, "check_connection") {
		t.Errorf("a batch is answered %.300s", body)
	}
	session["Accept"] = "text/event-stream"
	answer, body = sendTo(t, "POST", s.url+"/mcp", list, session)
	if answer.Header.Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(body, "event: message\ndata: {") {
		t.Errorf("a client of streams is answered %s %.300s", answer.Header.Get("Content-Type"), body)
	}

	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.StripPrefix("/tools/fullstory", httputil.NewSingleHostReverseProxy(target)))
	t.Cleanup(front.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	proxied := &served{t: t, url: front.URL + "/tools/fullstory"}
	c, err := proxied.openSSE(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := healthy(ctx, c); err != nil {
		t.Error(err)
	}
}

// tokensOf starts an OAuth issuer and returns its address and a function that issues
// tokens for an audience with more claims.
func tokensOf(t *testing.T, audience string) (address string, issue func(more map[string]any) string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"issuer": server.URL + "/", "jwks_uri": server.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, Algorithm: "EdDSA"}}})
	})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, func(more map[string]any) string {
		claims := map[string]any{
			"iss": server.URL + "/", "aud": audience + "/", "sub": "anna", "exp": time.Now().Add(time.Hour).Unix(),
		}
		for name, value := range more {
			claims[name] = value
		}
		token, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

// TestIssuersOfTheProgram sends the program tokens with roles and odd claims, and one
// that it must reject with a reason.
func TestIssuersOfTheProgram(t *testing.T) {
	t.Parallel()
	const audience = "https://mcp.example.com/mcp"
	issuer, issue := tokensOf(t, audience)
	s := serveProgram(t, build(t), t.TempDir(), "--log-level", "info", "--oauth-issuer", issuer,
		"--oauth-audience", audience, "--oauth-scope-claim", "roles")
	hello := string(rpcRequest(1, "initialize", greeting))
	good := issue(map[string]any{"roles": []string{"exports:write"}, "email": 3, "groups": "x", "nonce": 4})
	with := map[string]string{"Authorization": "Bearer " + good}
	if answer, body := sendTo(t, "POST", s.url+"/mcp", hello, with); answer.StatusCode != http.StatusOK {
		t.Errorf("a token with roles is answered %d %s", answer.StatusCode, body)
	}
	expired := issue(map[string]any{"scp": "exports:read", "exp": 1})
	wrong := map[string]string{"Authorization": "Bearer " + expired}
	if answer, body := sendTo(t, "POST", s.url+"/mcp", hello, wrong); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("an expired token is answered %d %s", answer.StatusCode, body)
	}
	eventually(t, "the reason in the log", func() bool { return strings.Contains(s.stderr.String(), "kind=expired") })
	for part := range strings.SplitSeq(expired, ".") {
		if strings.Contains(s.stderr.String(), part) {
			t.Errorf("the log has a part of the token:\n%s", s.stderr.String())
		}
	}
	if _, body := sendTo(t, "GET", s.url+"/metrics", "", with); !strings.Contains(body,
		`fullstory_export_tokens_rejected_total{kind="expired"} 1`) {
		t.Error("the metrics do not count the expired token")
	}
	page := map[string]string{"Origin": "https://inspector.example.com"}
	answer, _ := sendTo(t, "OPTIONS", s.url+"/.well-known/oauth-protected-resource/mcp", "", page)
	if answer.StatusCode != http.StatusNoContent || answer.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a web page is answered %d %v", answer.StatusCode, answer.Header)
	}
}
