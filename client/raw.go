package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// RawRequest is a request for finding out what the API does with it.
type RawRequest struct {
	Op     string // what it asks, for errors, logs and metrics; one of a small fixed set
	Method string
	Path   []string // segments of the path
	Query  url.Values
	Body   any    // sent as JSON; nil: no body
	Scheme string // of Authorization; empty: Basic
	NoKey  bool   // a key that does not exist is sent instead of the real one
	AtOnce bool   // it is sent without waiting for its turn
}

// RawAnswer is an answer as the API sent it, of any status. Its body is cut after 1 MiB, and
// contains no key.
type RawAnswer struct {
	Status int
	Header http.Header
	Body   []byte
}

// missingKey is a key that no organisation has.
const missingKey = "na1.this-key-does-not-exist/NONE"

// Raw sends one request as it is, and returns the answer whatever its status is.
// It does not retry. It fails with an *Error if there is no answer.
func (c *Client) Raw(ctx context.Context, q RawRequest) (RawAnswer, error) {
	k := call{op: q.Op, method: q.Method, path: q.Path, query: q.Query, body: q.Body}
	var err error
	if k.as, err = c.credential(ctx, k.op); err != nil {
		return RawAnswer{}, err
	}
	if !q.AtOnce {
		if err := c.limiter.wait(ctx, c.bulk); err != nil {
			return RawAnswer{}, &Error{Op: k.op, Code: CodeQueue, Err: turnError(ctx)}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	r, err := c.request(ctx, k)
	if err != nil {
		return RawAnswer{}, &Error{Op: k.op, Err: err}
	}
	switch _, key, _ := strings.Cut(r.Header.Get("Authorization"), " "); {
	case q.NoKey:
		r.Header.Set("Authorization", "Basic "+missingKey)
	case q.Scheme != "":
		r.Header.Set("Authorization", q.Scheme+" "+key)
	}
	done := c.startRequest(ctx, k, 1)
	response, err := c.http.Do(r)
	if err != nil {
		failed := unanswered(k, err)
		done(0, failed.Err)
		return RawAnswer{}, failed
	}
	defer response.Body.Close()
	c.clock.set(response.Header, time.Now())
	done(response.StatusCode, nil)
	if response.StatusCode == http.StatusTooManyRequests {
		c.limiter.throttled(ctx, ParseRetryAfter(response.Header))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, listAnswer))
	if err != nil {
		return RawAnswer{}, unanswered(k, err)
	}
	return RawAnswer{response.StatusCode, response.Header, []byte(k.as.scrub(string(body)))}, nil
}
