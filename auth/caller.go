// Package auth decides who may call the server: the callers of a file and the
// tokens of an OAuth issuer, their accounts and limits, and the certificate that
// the server shows them. Of this module it imports only local.
package auth

import (
	"cmp"
	"context"
	"time"
)

// Caller is who a request comes from. The zero value is anybody who reaches a
// server that has neither callers nor an issuer.
type Caller struct {
	Name     string  `json:"name"`
	Account  string  `json:"account,omitempty"`             // whose key is used; "" is the account without a name
	ReadOnly bool    `json:"read_only,omitempty"`           // sees only tools that change nothing
	Links    bool    `json:"links,omitempty"`               // may get signed links to files; see MayLink
	Metrics  bool    `json:"metrics,omitempty"`             // reads the metrics of all accounts, and nothing else
	Requests float64 `json:"requests_per_second,omitempty"` // 0: defaultRequests
	Calls    int     `json:"calls_at_once,omitempty"`       // 0: defaultCalls
	Sessions int     `json:"sessions,omitempty"`            // 0: a quarter of the server's; alone: all

	Issued  bool      `json:"-"` // the token is of the issuer
	Expires time.Time `json:"-"` // when the issuer's token does; zero for a token of the file
	Token   string    `json:"-"` // hash of the token of the file, for Callers.Valid; "" for others
}

// isAnybody reports whether the server has neither callers nor an issuer. It is then on
// this machine, for the user whose key it has.
func (c Caller) isAnybody() bool { return c.Name == "" }

// MayLink reports whether c may get signed links, which give a file to anyone who has them.
func (c Caller) MayLink() bool { return c.Links || c.isAnybody() }

// SeesAllMetrics reports whether c reads the metrics of all accounts and of the server.
// Others read those of their account.
func (c Caller) SeesAllMetrics() bool { return c.Metrics || c.isAnybody() }

// The limits of a caller whose entry names none.
const (
	defaultRequests = 1000
	defaultCalls    = 256
)

// limited returns c with every limit set.
func (c Caller) limited() Caller {
	c.Requests = cmp.Or(c.Requests, defaultRequests)
	c.Calls = cmp.Or(c.Calls, defaultCalls)
	return c
}

// callerKey is the key of a Caller in a context.
type callerKey struct{}

// WithCaller returns a context of a request that comes from c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who the request of ctx comes from; the zero value without
// WithCaller.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
