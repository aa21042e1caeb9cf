package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// testClock is a clock that stands until it is moved.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// source is an issuer without a network: what a read of its keys returns.
type source struct {
	t     *testing.T
	clock testClock
	reads atomic.Int64

	mu   sync.Mutex
	set  keySet
	err  error
	gate chan struct{} // a read returns once it is closed; nil: at once
}

func newSource(t *testing.T) (*source, *keyCache) {
	s := &source{t: t, clock: testClock{now: time.Now()}}
	k := newKeyCache(s.read, slog.New(slog.DiscardHandler))
	k.now = s.clock.Now
	return s, k
}

func (s *source) read(ctx context.Context) (keySet, error) {
	s.reads.Add(1)
	s.mu.Lock()
	set, err, gate := s.set, s.err, s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return set, err
}

func (s *source) publish(set keySet, err error, gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.err, s.gate = set, err, gate
}

// signer returns a key, and a token that it has signed.
func (s *source) signer(id string) (publicKey, signedToken) {
	s.t.Helper()
	key, text := newSigned(s.t, id, map[string]any{"sub": "anna"})
	token, err := parseToken(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return key, token
}

// newSigned returns a new key, and a token that it has signed.
func newSigned(t testing.TB, id string, claims map[string]any) (publicKey, string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: id, Algorithm: "ES256"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return publicKey{id, "ES256", private.Public()}, text
}

// verified fails unless k answers a token with err.
func (s *source) verified(k *keyCache, token signedToken, want error) {
	s.t.Helper()
	if _, err := k.verify(s.t.Context(), token); !errors.Is(err, want) {
		s.t.Errorf("verified with %v, want %v", err, want)
	}
}

// ended returns once no read runs.
func ended(k *keyCache) {
	k.mu.Lock()
	running := k.running
	k.mu.Unlock()
	if running != nil {
		<-running
	}
}

// TestOneFlight has many tokens arrive before the first read has ended.
func TestOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, k := newSource(t)
		key, token := s.signer("a")
		gate := make(chan struct{})
		s.publish(keySet{key}, nil, gate)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { s.verified(k, token, nil) })
		}
		synctest.Wait() // all of them wait
		close(gate)
		all.Wait()
		if got := s.reads.Load(); got != 1 {
			t.Errorf("%d reads", got)
		}
	})
}

// TestSlowIssuer never answers: tokens are rejected after waitLimit, and the read ends
// after readLimit.
func TestSlowIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, k := newSource(t)
		_, token := s.signer("a")
		s.publish(nil, nil, make(chan struct{}))
		began := time.Now()
		s.verified(k, token, ErrIssuerAway)
		if took := time.Since(began); took != waitLimit {
			t.Errorf("a token waited for %v", took)
		}
		time.Sleep(readLimit)
		synctest.Wait()
		if k.counts().Failed != 1 {
			t.Errorf("counted: %+v", k.counts())
		}
	})
}

// TestOldKeysServe has the issuer hang and then fail when its keys are old.
func TestOldKeysServe(t *testing.T) {
	s, k := newSource(t)
	key, token := s.signer("a")
	s.publish(keySet{key}, nil, nil)
	s.verified(k, token, nil)
	gate := make(chan struct{})
	s.publish(nil, errors.New("away"), gate)
	s.clock.advance(keysLife + time.Second)
	for range 10 {
		s.verified(k, token, nil) // the read that runs cannot end before the gate opens
	}
	close(gate)
	ended(k)
	if got := s.reads.Load(); got != 2 {
		t.Errorf("%d reads, want the first and one more", got)
	}
	s.clock.advance(keysEnd - keysLife - 2*time.Second)
	s.verified(k, token, nil)
	ended(k)
	s.clock.advance(2 * time.Second)
	s.verified(k, token, ErrIssuerAway) // the keys have served for a day
	ended(k)
	other, next := s.signer("b")
	s.publish(keySet{other}, nil, nil)
	s.clock.advance(longestPause)
	s.verified(k, next, nil)
	s.verified(k, token, errNotSigned)
}

// TestFailuresWait has every read fail: the next one waits longer each time.
func TestFailuresWait(t *testing.T) {
	s, k := newSource(t)
	_, token := s.signer("a")
	s.publish(nil, errors.New("away"), nil)
	for second := range 3600 {
		for range 3 {
			s.verified(k, token, ErrIssuerAway)
			ended(k)
		}
		s.clock.advance(time.Second)
		if got := s.reads.Load(); second == 60 && (got < 5 || got > 7) {
			t.Errorf("%d reads in the first minute", got)
		}
	}
	got := s.reads.Load()
	if got < 15 || got > 22 || k.counts().Failed != int(got) {
		t.Errorf("%d reads in an hour; counted: %+v", got, k.counts())
	}
}

// TestUnknownKeySeeks sends tokens of keys that the issuer does not have, for an hour.
// The keys are read again, at most once in seekPause, and never for tokens that are known.
func TestUnknownKeySeeks(t *testing.T) {
	s, k := newSource(t)
	key, token := s.signer("a")
	_, forged := s.signer("b")
	_, sameID := s.signer("a")
	s.publish(keySet{key}, nil, nil)
	s.verified(k, token, nil)
	for range 60 {
		for range 20 {
			s.verified(k, forged, errNotSigned)
			s.verified(k, sameID, errNotSigned)
			s.verified(k, token, nil)
		}
		s.clock.advance(seekPause / 2)
	}
	if got := s.reads.Load(); got != 1+30 {
		t.Errorf("%d reads, want one, and one each 10 seconds", got)
	}
	next, rotated := s.signer("c")
	s.publish(keySet{key, next}, nil, nil)
	s.verified(k, rotated, nil)
}

// TestWaitersAreBounded has more tokens of unknown keys arrive than may wait.
func TestWaitersAreBounded(t *testing.T) {
	s, k := newSource(t)
	gate := make(chan struct{})
	s.publish(nil, errors.New("away"), gate)
	_, token := s.signer("a")
	k.mu.Lock()
	k.waiting = mostWaiting
	k.mu.Unlock()
	s.verified(k, token, ErrIssuerAway) // without a wait: the gate is closed
	close(gate)
}

// TestReadPanics has an answer of the issuer cause a panic.
func TestReadPanics(t *testing.T) {
	s, _ := newSource(t)
	k := newKeyCache(func(context.Context) (keySet, error) { panic("canary") }, slog.New(slog.DiscardHandler))
	_, token := s.signer("a")
	s.verified(k, token, ErrIssuerAway)
	if k.counts().Failed != 1 {
		t.Errorf("counted: %+v", k.counts())
	}
}

// TestKeysAddresses tries addresses of keys that metadata could name.
func TestKeysAddresses(t *testing.T) {
	const remote, local = "https://login.example.com", "http://127.0.0.1:8080"
	for address, ok := range map[[2]string]bool{
		{remote, "https://login.example.com/keys"}: true, {remote, "https://www.googleapis.example/oauth2/v3/certs"}: true,
		{remote, "http://login.example.com/keys"}: false, {remote, "http://127.0.0.1/keys"}: false,
		{remote, "https://127.0.0.1/keys"}: false, {remote, "https://localhost/keys"}: false,
		{remote, "https://[::1]/keys"}: false,
		{remote, "file:///etc/passwd"}: false, {remote, "/keys"}: false, {remote, ""}: false, {remote, "https://"}: false,
		{remote, "https://user:secret@login.example.com/keys"}: false, {remote, "gopher://login.example.com/"}: false,
		{remote, "https://login.example.com:bad/"}: false,
		{local, "http://127.0.0.1:8081/keys"}:      true, {local, "https://login.example.com/keys"}: true,
		{local, "http://login.example.com/keys"}: false, {local, "http://169.254.169.254/keys"}: false,
	} {
		site := newIssuerSite(address[0], slog.New(slog.DiscardHandler))
		if err := site.checkAddress("jwks_uri", address[1]); (err == nil) != ok {
			t.Errorf("%s has keys at %s: %v", address[0], address[1], err)
		}
	}
}
