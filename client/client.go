// Package client speaks the Fullstory Server API v1 for exports of segments:
// who a key is, segments, exports, operations and links to files. It knows
// nothing of MCP.
//
// Facts about the API are from developer.fullstory.com unless a comment says
// otherwise.
package client

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Key is an API key. However it is printed or logged, it does not show.
type Key string

func (Key) String() string               { return "[key]" }
func (Key) GoString() string             { return "[key]" }
func (Key) LogValue() slog.Value         { return slog.StringValue("[key]") }
func (Key) MarshalText() ([]byte, error) { return []byte("[key]"), nil }

// Options say which API to speak to and how. Only Key is required.
type Options struct {
	Key       Key
	BaseURL   string            // empty: BaseURLFor(Key); may have a path
	Transport http.RoundTripper // nil: the default one with a limit on waiting
	Limiter   *Limiter          // nil: one of this client's own
	Log       *slog.Logger      // nil: discard; one debug line a request
	UserAgent string            // empty: fullstory-export-mcp
	Observe   Observer          // nil: none

	// Tries and Budget bound the repeats of one call: at most Tries requests,
	// and no new one later than Budget after the first. Zero: 5 and 15 s.
	Tries  uint
	Budget time.Duration
}

// Observer is told of each request: what it was for (one of few words), the
// status of the answer, 0 if there was none, and how long it took.
type Observer func(op string, status int, took time.Duration)

// Client makes the calls. It is safe for concurrent use.
//
// Every method fails with a *Error. Reads are repeated after 429, 5xx and
// network faults, inside the context's deadline and Options.Budget.
type Client struct {
	base      *url.URL
	http      *http.Client
	authorize func(*http.Request) // keeps the key where printing c cannot reach
	scrub     func(string) string // takes the key out of what a server echoes
	limiter   *Limiter
	log       *slog.Logger
	observe   Observer
	agent     string
	tries     uint
	budget    time.Duration
	clock     *clock
	keyHash   string
	bulk      bool // its requests stand behind those of a person
}

// New returns a client. It refuses a key that cannot be a header, and an
// address that would carry the key unencrypted beyond this machine.
func New(o Options) (*Client, error) {
	if err := checkKey(o.Key); err != nil {
		return nil, err
	}
	base, err := parseBase(cmp.Or(o.BaseURL, BaseURLFor(o.Key)))
	if err != nil {
		return nil, err
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 16
		o.Transport = t
	}
	if o.Limiter == nil {
		o.Limiter = NewLimiter()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, int, time.Duration) {}
	}
	key := string(o.Key)
	hash := sha256.Sum256([]byte("fullstory-export-mcp\x00" + key))
	scrub := strings.NewReplacer(key, "[key]", strings.ReplaceAll(key, "/", `\/`), "[key]")
	return &Client{
		base:      base,
		http:      &http.Client{Transport: o.Transport, CheckRedirect: sameHost},
		authorize: func(r *http.Request) { r.Header.Set("Authorization", "Basic "+key) },
		scrub:     scrub.Replace,
		limiter:   o.Limiter,
		log:       o.Log,
		observe:   o.Observe,
		agent:     cmp.Or(o.UserAgent, "fullstory-export-mcp"),
		tries:     cmp.Or(o.Tries, 5),
		budget:    cmp.Or(o.Budget, 15*time.Second),
		clock:     &clock{},
		keyHash:   hex.EncodeToString(hash[:]),
	}, nil
}

// KeyHash stands for the key where something is remembered of it.
func (c *Client) KeyHash() string { return c.keyHash }

// ShareLimits makes the requests of c keep to a pace that others share.
func (c *Client) ShareLimits(e Exchange) { c.limiter.Share(e) }

// ForBulk returns a client like c whose requests stand behind those of a person.
func (c *Client) ForBulk() *Client {
	b := *c
	b.bulk = true
	return &b
}

// BaseURLFor returns the API address of the data centre that a key names in
// front of its first dot. Keys made before August 2022 name none; theirs is
// the general address.
func BaseURLFor(key Key) string {
	if strings.HasPrefix(string(key), "eu1.") {
		return "https://api.eu1.fullstory.com"
	}
	return "https://api.fullstory.com"
}

// BaseURL returns the API's address.
func (c *Client) BaseURL() string { return c.base.String() }

// Loopback tells whether the API is on this machine.
func (c *Client) Loopback() bool { return loopback(c.base.Hostname()) }

func checkKey(key Key) error {
	if key == "" {
		return errors.New("the API key is empty")
	}
	for _, r := range string(key) {
		if r <= ' ' || r > '~' {
			return errors.New("the API key holds white space or a character that no key has; was it copied whole and alone?")
		}
	}
	return nil
}

func parseBase(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errors.New("the API address is not a URL such as https://api.fullstory.com")
	}
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the API address must be scheme, host and path alone")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("the API address must begin with https://, so that the key is not sent in the open; got %s://%s", u.Scheme, u.Host)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// sameHost lets a read follow a redirect within the API's own host alone: the
// key goes nowhere else. Other redirects come back as the answer.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host || len(via) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// unsent tells whether err happened before the request had left, so that the
// API cannot have seen it.
func unsent(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}
