package auth

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// TicketLife is how long a ticket can be used. A download that began earlier continues.
const TicketLife = 15 * time.Minute

var (
	// ErrTicket says that a ticket is forged, or that its caller got another token or
	// another account since. Those who have the ticket cannot tell these apart.
	ErrTicket = errors.New("the ticket is not valid")
	// ErrTicketExpired says that a ticket is genuine, and older than TicketLife.
	ErrTicketExpired = errors.New("the ticket has expired")
	// ErrTicketRight says that the caller of a ticket may not fetch files any more.
	ErrTicketRight = errors.New("the caller may not fetch files")
)

// Ticket lets anyone who has it fetch one file, in the name of the caller who received it.
type Ticket struct {
	Subject string    // which file, in a form that only the part of the program that opens it reads
	Name    string    // of the file
	Caller  Caller    // with every limit set, in a ticket that was read
	Expires time.Time // whole seconds
}

// MayFetch reports whether c may fetch files over HTTP. One who only reads needs the
// right to links.
func (c Caller) MayFetch() bool { return !c.ReadOnly || c.MayLink() }

// Tickets writes and reads tickets. All replicas must have the same key. It is safe for
// concurrent use.
type Tickets struct {
	key  []byte
	gate Gate
	now  func() time.Time
}

// NewTickets returns the tickets of the callers of g. Its key is derived from key, so that
// no ticket can be anything else that is signed with that.
func NewTickets(key []byte, g Gate) *Tickets {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("tickets of files"))
	return &Tickets{h.Sum(nil), g, time.Now}
}

// claim is the readable part of a ticket. Short names keep it short, since models copy it.
type claim struct {
	Expires int64  `json:"e"` // seconds since 1970
	Subject string `json:"s"`
	Account string `json:"a,omitempty"`
	Caller  string `json:"c,omitempty"`
}

// Issue returns a new ticket in letters, digits, '-', '_' and '.', and when it expires: in
// TicketLife, or with the token of the caller.
func (t *Tickets) Issue(c Caller, subject, name string) (ticket string, expires time.Time) {
	expires = t.now().Add(TicketLife).Truncate(time.Second)
	if !c.Expires.IsZero() && c.Expires.Before(expires) {
		expires = c.Expires.Truncate(time.Second)
	}
	raw, err := json.Marshal(claim{expires.Unix(), subject, c.Account, c.Name})
	if err != nil { // it cannot be: the claim has texts and a number
		return "", expires
	}
	return encodeTicket(raw) + "." + encodeTicket(t.mac(raw, name, c.Token)), expires
}

func encodeTicket(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// mac signs a claim together with the name of the file and the hash of the caller's token,
// which is "" without a file of callers. The token is not in the ticket: a caller with a
// new one has another signature.
func (t *Tickets) mac(claim []byte, name, token string) []byte {
	h := hmac.New(sha256.New, t.key)
	for _, part := range []string{string(claim), name, token} {
		h.Write(binary.AppendUvarint(nil, uint64(len(part)))) // so that no two lists of parts are alike
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// mostTicket is the most bytes of a ticket: its claim has names of bounded length.
const mostTicket = 2048

// Read returns the ticket of a file with that name. It fails with ErrTicket,
// ErrTicketExpired, ErrTicketRight, or a *CallersError.
func (t *Tickets) Read(text, name string) (Ticket, error) {
	claimed, signature, ok := strings.Cut(text, ".")
	if !ok || len(text) > mostTicket || strings.ContainsAny(text, "\r\n") { // base64 skips line ends
		return Ticket{}, ErrTicket
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(claimed)
	mac, err2 := base64.RawURLEncoding.Strict().DecodeString(signature)
	var c claim
	if cmp.Or(err, err2) != nil || json.Unmarshal(raw, &c) != nil {
		return Ticket{}, ErrTicket
	}
	caller, known := t.gate.named(c.Caller, c.Account)
	if subtle.ConstantTimeCompare(mac, t.mac(raw, name, caller.Token)) != 1 || !known {
		return Ticket{}, ErrTicket
	}
	read := Ticket{Subject: c.Subject, Name: name, Caller: caller, Expires: time.Unix(c.Expires, 0)}
	switch {
	case t.gate.Callers != nil && caller.Token != "" && !t.gate.Callers.ClosedSince().IsZero():
		return Ticket{}, &CallersError{t.gate.Callers.ClosedSince()}
	case !t.now().Before(read.Expires):
		return Ticket{}, ErrTicketExpired
	case !caller.MayFetch():
		return Ticket{}, ErrTicketRight
	}
	return read, nil
}

// named returns the caller with that name and account as it is now, with every limit set.
// ok is false if the server has no such caller any more. A caller of the issuer counts as
// one that writes: what it may do is only known while it shows its token.
func (g Gate) named(name, account string) (c Caller, ok bool) {
	switch {
	case g.open():
		return Caller{}.limited(), name == "" && account == ""
	case strings.HasPrefix(name, issuedPrefix):
		return Caller{Name: name, Account: account, Issued: true}.limited(), g.Issuer != nil
	case g.Callers == nil:
		return Caller{}, false
	}
	c, ok = g.Callers.byName(name)
	return c, ok && c.Account == account && !c.Metrics
}

// byName returns the caller with that name, with every limit set.
func (c *Callers) byName(name string) (found Caller, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, e := range c.entries {
		if e.Name == name {
			found = e.Caller.limited()
			found.Token = e.Hash
			return found, true
		}
	}
	return Caller{}, false
}
