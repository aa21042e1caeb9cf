// Package client calls the parts of the Fullstory Server API v1 that exports of
// segments need: the owner of a key, segments, exports, operations and links to
// files. It knows nothing of MCP.
//
// Facts about the API are from developer.fullstory.com unless a comment says
// otherwise.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Options configure a Client. Only Key or Source is required.
type Options struct {
	Key       Key
	Source    func() (Key, error) // returns the key, called before each call; nil: always Key
	KeySource string              // where the key is configured, for messages
	BaseURL   string              // may have a path; empty: BaseURLFor the first key
	Transport http.RoundTripper   // nil: a default transport that reports the answers of proxies
	Log       *slog.Logger        // gets one debug line per request; nil: nothing is logged
	UserAgent string              // empty: fullstory-export-mcp
	Observe   Observer            // nil: requests are not observed

	// CallerOf names the caller for whom a request with a context is sent. Callers have
	// equal shares of the rate of requests. nil: all requests are those of one caller.
	CallerOf func(context.Context) string

	// Tries and Budget bound the retries of one call: at most Tries requests,
	// and no retry later than Budget after the first. Zero: 5 and 15 s.
	Tries  uint
	Budget time.Duration

	// Reserve is the part of the time of a read's context, at most half of what is left,
	// that remains to pass its answer on. Zero: none.
	Reserve time.Duration
}

// Observer is called after each request, also from several goroutines at once. op
// is one of a small fixed set of names, status is 0 if there was no answer, and
// took is the time until the answer's header.
type Observer func(op string, status int, took time.Duration)

// Client calls the API. It is safe for concurrent use.
//
// Every method fails with an *Error. Reads are retried after 429, 5xx and network
// faults, within the context's deadline and Options.Budget.
type Client struct {
	base     *url.URL
	http     *http.Client
	keys     *keys
	limiter  *limiter
	log      *slog.Logger
	observe  Observer
	agent    string
	tries    uint
	budget   time.Duration
	reserve  time.Duration
	clock    *clock
	unknowns *unknowns // values of answers that were logged
	// cancelled is the state of cancelled operations, if it is another one than FAILED.
	cancelled *atomic.Pointer[string]
	bulk      bool // interactive requests go ahead of this client's; see ForBulk
}

// New returns a client. It rejects a key that cannot be sent in a header, and a
// base URL over which the key would leave this machine unencrypted.
func New(o Options) (*Client, error) {
	if o.Source == nil {
		o.Source = func() (Key, error) { return o.Key, nil }
	}
	key, err := o.Source()
	if err == nil {
		err = checkKey(key)
	}
	if err != nil && o.KeySource != "" {
		err = fmt.Errorf("%s: %w", o.KeySource, err)
	}
	if err != nil {
		return nil, err
	}
	base, err := parseBase(cmp.Or(o.BaseURL, BaseURLFor(key)))
	if err != nil {
		return nil, err
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, int, time.Duration) {}
	}
	return &Client{
		base: base,
		http: &http.Client{Transport: o.Transport, CheckRedirect: sameHost},
		keys: &keys{
			source: o.Source, name: o.KeySource, check: o.checkNext(key), log: o.Log,
			key: key, inUse: newCredential(key),
		},
		limiter:  &limiter{callerOf: o.CallerOf},
		log:      o.Log,
		observe:  o.Observe,
		agent:    cmp.Or(o.UserAgent, "fullstory-export-mcp"),
		tries:    cmp.Or(o.Tries, 5),
		budget:   cmp.Or(o.Budget, 15*time.Second),
		reserve:  o.Reserve,
		clock:    &clock{},
		unknowns: &unknowns{}, cancelled: &atomic.Pointer[string]{},
	}, nil
}

// checkNext returns the check for keys that replace first. The first key decides
// the API's address, so a key of another data centre is rejected.
func (o Options) checkNext(first Key) func(Key) error {
	address := BaseURLFor(first)
	return func(key Key) error {
		err := checkKey(key)
		if at := BaseURLFor(key); err == nil && o.BaseURL == "" && at != address {
			err = fmt.Errorf("the new API key is for %s, but this server uses %s; restart it to switch", at, address)
		}
		return err
	}
}

// ShareLimits makes c use a rate limit that it shares with other processes.
func (c *Client) ShareLimits(b SharedBucket) { c.limiter.setShared(b) }

// ForBulk returns a client for bulk work. It shares the key, the limiter and the
// clock with c, but gives way to interactive requests, and does not retry: the
// bulk engine counts and delays tries itself and serves other exports meanwhile.
func (c *Client) ForBulk() *Client {
	b := *c
	b.bulk, b.tries = true, 1
	return &b
}

// BulkFor tells c and its forks for how many named callers this process does bulk work. That
// work has at least their part of the rate of requests.
func (c *Client) BulkFor(callers int) { c.limiter.bulkFor.Store(int64(callers)) }

// PausedUntil returns the end of the pause that the API asked for with its last
// 429, which may be past; the zero time if there was none.
func (c *Client) PausedUntil() time.Time { return c.limiter.bucket().Paused }

// BaseURL returns the API's address.
func (c *Client) BaseURL() string { return c.base.String() }

// Loopback reports whether the API is on this machine, as the sandbox is.
func (c *Client) Loopback() bool { return loopback(c.base.Hostname()) }

// parseBase parses a base URL and checks that the key may be sent there.
func parseBase(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errors.New("the API address (FULLSTORY_API_URL) is not a URL such as https://api.fullstory.com")
	}
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the API address (FULLSTORY_API_URL) may only have a scheme, a host and a path")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("the API address (FULLSTORY_API_URL) must begin with https://, because the key would "+
			"otherwise be sent unencrypted; got %s://%s", u.Scheme, u.Host)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// sameHost is a CheckRedirect function. Only reads follow redirects, only within
// the API's own scheme and host, and at most five, so that the key is not sent
// anywhere else. Other redirects are returned as the answer.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host ||
		len(via) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

// loopback reports whether host is localhost or a loopback address.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
