package web

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/auth"
)

// sessionLife is how long a person stays signed in: a working day.
const sessionLife = 12 * time.Hour

// Shared stores which sessions have ended, for all replicas. A ledger in PostgreSQL is one.
type Shared interface {
	Session(ctx context.Context, id string) (note string, err error)
	ChangeSession(ctx context.Context, id string, change func(note string) string) error
}

// session is a browser that has signed in, or a visitor who has not.
type session struct {
	ID      string      `json:"i"`
	Visitor bool        `json:"v,omitempty"`
	Until   int64       `json:"u"` // seconds since 1970
	Caller  auth.Caller `json:"-"`

	// What Caller has, as it was at sign-in.
	Name     string `json:"n,omitempty"`
	Account  string `json:"a,omitempty"`
	Token    string `json:"t,omitempty"` // hash of a token of the file
	Issued   bool   `json:"o,omitempty"`
	ReadOnly bool   `json:"r,omitempty"`
	Links    bool   `json:"l,omitempty"`
	Expires  int64  `json:"e,omitempty"` // of an issued token
}

// sessions write and read the cookies of sessions. A cookie has the whole session, encrypted and
// authenticated (AES-256-GCM), so that every replica with the same key can read it, memory does
// not grow with the number of sign-ins, and a browser stays signed in when replicas are replaced.
// What a cookie allows is decided anew at each request, by the file of callers as it is then. Ends
// are kept by Shared; without it, here, and then the key is new in each process, so that no session
// that was ended comes back. They are safe for concurrent use; use newSessions.
type sessions struct {
	aead   cipher.AEAD
	forms  []byte // key of form tokens
	gate   auth.Gate
	shared Shared
	now    func() time.Time

	mu    sync.Mutex
	ended map[string]int64 // by id, until when its cookie would be valid
	swept time.Time
}

func newSessions(key []byte, g auth.Gate, shared Shared) *sessions {
	if shared == nil {
		own := make([]byte, 32)
		rand.Read(own)
		key = own
	}
	block, err := aes.NewCipher(derived(key, "sessions of the web page"))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &sessions{
		aead: aead, forms: derived(key, "forms of the web page"), gate: g, shared: shared, now: time.Now,
		ended: map[string]int64{},
	}
}

// derived returns a key for one purpose.
func derived(key []byte, purpose string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

// The purposes of sealed texts: one is never accepted as another.
const (
	sealedSession = "session"
	sealedCode    = "code"
)

// seal encrypts v for a purpose, in letters, digits, '-' and '_'.
func (s *sessions) seal(purpose string, v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // v has texts and numbers
	}
	nonce := make([]byte, s.aead.NonceSize())
	rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, raw, []byte(purpose)))
}

// mostSealed is the longest text that unseal reads, in bytes. A browser keeps 4 kB of a cookie.
const mostSealed = 4096

var errSealed = errors.New("the cookie is not valid")

// unseal reads what seal wrote for the same purpose.
func (s *sessions) unseal(purpose, text string, v any) error {
	if len(text) > mostSealed {
		return errSealed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < s.aead.NonceSize() {
		return errSealed
	}
	n := s.aead.NonceSize()
	plain, err := s.aead.Open(nil, raw[:n], raw[n:], []byte(purpose))
	if err != nil || json.Unmarshal(plain, v) != nil {
		return errSealed
	}
	return nil
}

// start returns a new session of a caller, or of a visitor.
func (s *sessions) start(c auth.Caller, visitor bool) session {
	until := s.now().Add(sessionLife)
	if c.Issued && c.Expires.Before(until) {
		until = c.Expires
	}
	n := session{
		ID: rand.Text(), Visitor: visitor, Until: until.Unix(), Caller: c, Name: c.Name, Account: c.Account,
		Token: c.Token, Issued: c.Issued, ReadOnly: c.ReadOnly, Links: c.Links,
	}
	if c.Issued {
		n.Expires = c.Expires.Unix()
	}
	return n
}

// open returns the session of a cookie, with its caller as that is now. It fails with errSealed,
// auth.ErrToken, a *auth.CallersError, or an error of Shared.
func (s *sessions) open(ctx context.Context, text string) (n session, err error) {
	if err := s.unseal(sealedSession, text, &n); err != nil {
		return session{}, err
	}
	return n, s.renew(ctx, &n)
}

// renew sets the caller of a session as it is now. It fails as open does if the session is over.
func (s *sessions) renew(ctx context.Context, n *session) error {
	if s.now().Unix() >= n.Until {
		return errSealed
	}
	if over, err := s.isOver(ctx, n.ID); err != nil {
		return err
	} else if over {
		return errSealed
	}
	if n.Visitor {
		return nil
	}
	c := auth.Caller{
		Name: n.Name, Account: n.Account, Token: n.Token, Issued: n.Issued, ReadOnly: n.ReadOnly, Links: n.Links,
	}
	if n.Issued {
		c.Expires = time.Unix(n.Expires, 0)
	}
	var err error
	n.Caller, err = s.gate.Current(c)
	return err
}

// sharedID returns the id of a session in Shared.
func sharedID(id string) string {
	sum := sha256.Sum256([]byte("fullstory-export-mcp web session\x00" + id))
	return hex.EncodeToString(sum[:])
}

func (s *sessions) isOver(ctx context.Context, id string) (bool, error) {
	if s.shared != nil {
		note, err := s.shared.Session(ctx, sharedID(id))
		return note != "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, over := s.ended[id]
	return over, nil
}

// end ends a session everywhere.
func (s *sessions) end(ctx context.Context, n session) error {
	if s.shared != nil {
		return s.shared.ChangeSession(ctx, sharedID(n.ID), func(string) string { return `{"ended":true}` })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.swept) > time.Minute {
		s.swept = now
		for id, until := range s.ended {
			if until < now.Unix() {
				delete(s.ended, id)
			}
		}
	}
	s.ended[n.ID] = n.Until
	return nil
}

// formToken returns the token that forms of a session must have.
func (s *sessions) formToken(n session) string {
	return base64.RawURLEncoding.EncodeToString(derived(s.forms, n.ID))
}

// isForm reports whether a token is that of the session.
func (s *sessions) isForm(n session, token string) bool {
	return hmac.Equal([]byte(token), []byte(s.formToken(n)))
}

// cookieName returns the name of a cookie. With TLS, only this host can set it, for all paths; without
// it, other servers on this machine share cookies, so it has the port.
func (s *Site) cookieName(r *http.Request, suffix string) string {
	if s.isSecure(r) {
		return "__Host-fullstory-export" + suffix
	}
	_, port, err := net.SplitHostPort(r.Host)
	if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil {
		port = "80"
	}
	return "fullstory-export-" + port + suffix
}

// setCookie sets a cookie for as long as the browser runs, or removes it if value is "".
func (s *Site) setCookie(w http.ResponseWriter, r *http.Request, suffix, value string, mode http.SameSite) {
	c := &http.Cookie{
		Name: s.cookieName(r, suffix), Value: value, Path: "/", HttpOnly: true, Secure: s.isSecure(r), SameSite: mode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// cookie returns the value of a cookie; "" without one, or with several of its name.
func (s *Site) cookie(r *http.Request, suffix string) string {
	all := r.CookiesNamed(s.cookieName(r, suffix))
	if len(all) != 1 || strings.ContainsAny(all[0].Value, " \t") {
		return ""
	}
	return all[0].Value
}
