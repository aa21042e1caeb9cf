package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// FuzzToken sends headers with tokens. None may cause a panic, and nobody is a caller but
// those whose tokens these are. What is not a JWT must not have the keys read.
func FuzzToken(f *testing.F) {
	const issuer, audience = "https://login.example.com", "https://mcp.example.com/mcp"
	key, good := newSigned(f, "a", map[string]any{
		"iss": issuer, "aud": audience, "sub": "anna", "scope": ScopeRead, "exp": time.Now().Add(24 * time.Hour).Unix(),
	})
	_, forged := newSigned(f, "a", map[string]any{
		"iss": issuer, "aud": audience, "sub": "mallory", "scope": ScopeWrite, "exp": time.Now().Add(24 * time.Hour).Unix(),
	})
	path := filepath.Join(f.TempDir(), "callers.json")
	token, _, err := NewToken(path, Caller{Name: "bert"})
	if err != nil {
		f.Fatal(err)
	}
	callers, err := OpenCallers(path)
	if err != nil {
		f.Fatal(err)
	}
	i, err := NewIssuer(IssuerOptions{URL: issuer, Audience: audience})
	if err != nil {
		f.Fatal(err)
	}
	var reads atomic.Int64
	i.keys = newKeyCache(func(context.Context) (keySet, error) {
		reads.Add(1)
		return keySet{key}, nil
	}, slog.New(slog.DiscardHandler))
	gate := Gate{Callers: callers, Issuer: i}
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	rest := good[strings.Index(good, "."):]
	for _, seed := range []string{
		good, forged, token, "", " ", ".", "..", "...", "....", "a.b.c", "a.b.c.d.e",
		good + ".", good[1:], good[:len(good)-1],
		encoded(`{"alg":"none"}`) + rest, encoded(`{"alg":"HS256","kid":"a"}`) + rest,
		encoded(`{"alg":"ES256","crit":["b64"],"b64":false}`) + rest,
		encoded(`{"alg":"ES256","jwk":{"kty":"EC"}}`) + rest, encoded(`{"alg":"ES256","typ":"logout+jwt"}`) + rest,
		encoded(`{"alg":"ES256","x5c":["AA=="]}`) + rest, encoded(`[]`) + rest, encoded(`{"typ":{"a":[[[[[[]]]]]]}}`) + rest,
		strings.Repeat("a.", 9000), strings.Repeat("a", mostToken+1),
	} {
		f.Add("Bearer " + seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		before := reads.Load()
		c, err := gate.Caller(t.Context(), header)
		_, isRejection := errors.AsType[*Rejection](err)
		switch {
		case err == nil && c.Name != "oauth:anna" && c.Name != "bert":
			t.Errorf("%q is of %+v", header, c)
		case err == nil && c.Name == "oauth:anna" && !c.ReadOnly:
			t.Errorf("%q may write", header)
		case err != nil && !isRejection && !errors.Is(err, ErrNoToken):
			t.Errorf("%q is answered %v", header, err)
		}
		if bearer, _ := bearer(header); !isJWT(bearer) && reads.Load() != before {
			t.Errorf("%q had the keys read", header)
		}
	})
}
