package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

const (
	answerLimit = 8 << 20          // bytes of a good answer
	readTime    = 10 * time.Second // for one try of a read; a hung one is then repeated
	writeTime   = 30 * time.Second // for one try of anything else
)

// call is one request of the API, which may take several tries.
type call struct {
	op     string // what it is for, in errors
	method string
	path   []string // parts, escaped one by one
	query  url.Values
	body   any // sent as JSON; nil: none

	// again tells which failures may be repeated.
	again func(*Error) bool
}

func read(op string, path ...string) call {
	return call{op: op, method: http.MethodGet, path: path, again: (*Error).transient}
}

// write is a call that is repeated only after the API refused it or cannot have
// seen it.
func write(op string, body any, path ...string) call {
	return call{op: op, method: http.MethodPost, path: path, body: body, again: (*Error).refused}
}

// do makes the call and returns the answer with its headers.
func (c *Client) do(ctx context.Context, k call) (object, http.Header, error) {
	for _, part := range k.path {
		if part == "" {
			return nil, nil, &Error{Op: k.op, Err: errors.New("the id is empty")}
		}
	}
	waits := &waits{ExponentialBackOff: backoff.ExponentialBackOff{
		InitialInterval: 500 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 8 * time.Second,
	}, ctx: ctx}
	type answer struct {
		object
		http.Header
	}
	try := 0
	a, err := backoff.Retry(ctx, func() (answer, error) {
		try++
		o, h, failed := c.try(ctx, k, try)
		if failed == nil {
			return answer{o, h}, nil
		}
		waits.last = failed
		if ctx.Err() != nil || !k.again(failed) {
			return answer{}, backoff.Permanent(failed)
		}
		return answer{}, failed
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(c.tries), backoff.WithMaxElapsedTime(c.budget))
	if err == nil {
		return a.object, a.Header, nil
	}
	var failed *Error
	if !errors.As(err, &failed) { // the context ended during a wait
		failed = &Error{Op: k.op, Err: err}
	}
	return nil, nil, failed
}

// waits is how long to wait before the next try: as long as the API asks, or
// else exponentially longer, and not at all when the context would end first.
type waits struct {
	backoff.ExponentialBackOff
	ctx  context.Context
	last *Error
}

func (w *waits) NextBackOff() time.Duration {
	next := max(w.ExponentialBackOff.NextBackOff(), w.last.RetryAfter)
	if end, ok := w.ctx.Deadline(); ok && time.Until(end) <= next {
		return backoff.Stop
	}
	return next
}

// try makes one request.
func (c *Client) try(ctx context.Context, k call, number int) (object, http.Header, *Error) {
	if err := c.limiter.Wait(ctx, c.bulk); err != nil {
		var paused *Paused
		if errors.As(err, &paused) {
			return nil, nil, &Error{Op: k.op, Status: http.StatusTooManyRequests, RetryAfter: paused.For, Message: "still waiting as Fullstory asked"}
		}
		return nil, nil, &Error{Op: k.op, Err: turnError(ctx)}
	}
	limit := readTime
	if k.method != http.MethodGet {
		limit = writeTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := c.request(ctx, k)
	if err != nil {
		return nil, nil, &Error{Op: k.op, Err: err}
	}
	told := c.told(ctx, k, number)
	response, err := c.http.Do(request)
	if err != nil {
		failed := c.unanswered(k.op, err)
		told(0, failed.Err)
		return nil, nil, failed
	}
	defer response.Body.Close()
	c.clock.set(response.Header, time.Now())
	told(response.StatusCode, nil)
	if response.StatusCode == http.StatusTooManyRequests {
		c.limiter.Slow(ctx, retryAfter(response.Header))
	}
	if response.StatusCode/100 != 2 {
		return nil, nil, c.answered(k.op, response)
	}
	return c.decode(k.op, response)
}

var tracer = otel.Tracer("fullstory-export-mcp/client")

// told tells of a request in the log, the metrics and the trace, once its
// outcome is given: a status, or 0 and why there is none. The trace's identity
// is not sent to Fullstory.
func (c *Client) told(ctx context.Context, k call, try int) (outcome func(status int, err error)) {
	began := time.Now()
	_, span := tracer.Start(ctx, k.op, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", k.method), attribute.String("server.address", c.base.Hostname()),
		attribute.Int("http.request.resend_count", try-1)))
	return func(status int, err error) {
		took := time.Since(began)
		c.observe(k.op, status, took)
		if err != nil {
			c.log.DebugContext(ctx, "fullstory", "op", k.op, "try", try, "took", took, "error", err)
			span.SetAttributes(attribute.String("error.type", "no answer"))
		} else {
			c.log.DebugContext(ctx, "fullstory", "op", k.op, "try", try, "took", took, "status", status)
			span.SetAttributes(attribute.Int("http.response.status_code", status))
		}
		if status < 200 || status >= 400 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// turnError says that a request did not get its turn: the context has ended, or
// would before that.
func turnError(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = context.DeadlineExceeded
	}
	return fmt.Errorf("waiting for its turn among the requests: %w", cause)
}

func (c *Client) decode(op string, r *http.Response) (object, http.Header, *Error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, answerLimit+1))
	if err != nil {
		return nil, nil, c.unanswered(op, err)
	}
	bad := &Error{Op: op, Status: http.StatusBadGateway, Body: c.scrub(string(raw[:min(len(raw), errorBody)])), sent: true}
	if len(raw) > answerLimit {
		bad.Message = fmt.Sprintf("the answer is larger than %d MiB", answerLimit>>20)
		return nil, nil, bad
	}
	o, err := parse([]byte(c.scrub(string(raw))))
	if err != nil {
		bad.Message = "the answer is not a JSON object; is the API address right?"
		return nil, nil, bad
	}
	return o, r.Header, nil
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	u := *c.base
	var escaped strings.Builder
	escaped.WriteString(u.EscapedPath())
	for _, part := range k.path {
		escaped.WriteString("/" + escape(part))
	}
	u.RawPath = escaped.String()
	u.Path = u.Path + "/" + strings.Join(k.path, "/")
	u.RawQuery = k.query.Encode()
	var body io.Reader
	if k.body != nil {
		raw, err := json.Marshal(k.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, k.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	c.authorize(r)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", c.agent)
	r.Header.Set("Integration-Source", "fullstory-export-mcp")
	if k.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// escape makes an id one part of a path: ids hold =, @ and :, and a pasted one
// may hold anything.
func escape(part string) string {
	if part == "." || part == ".." {
		return strings.ReplaceAll(part, ".", "%2E")
	}
	return strings.ReplaceAll(url.QueryEscape(part), "+", "%20")
}
