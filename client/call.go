package client

import (
	"bytes"
	"cmp"
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
	listAnswer  = 1 << 20          // most bytes of a 2xx answer with a list, or with an operation
	smallAnswer = 64 << 10         // most bytes of another 2xx answer
	readTime    = 10 * time.Second // timeout of one try of a read, so that a hung one is retried soon
	writeTime   = 30 * time.Second // timeout of one try of a write
)

// call describes one call of the API, which may take several tries.
type call struct {
	op     string // what the call does, for errors, logs and metrics
	method string
	path   []string // segments of the path, which are escaped one by one
	query  url.Values
	body   any         // sent as JSON; nil: no body
	needs  string      // a key that a 2xx answer must have; empty: none
	answer int         // most bytes of a 2xx answer, unpacked; 0: smallAnswer
	as     *credential // nil: the key in use when the call starts

	// retry reports whether the call may be retried after a failure.
	retry func(*Error) bool
}

// read returns a GET call, which is retried after transient failures.
func read(op string, path ...string) call {
	return call{op: op, method: http.MethodGet, path: path, retry: (*Error).transient}
}

// write returns a POST call. It is retried only if the API certainly did not
// execute it: after a 429, or if the request never left.
func write(op string, body any, path ...string) call {
	return call{op: op, method: http.MethodPost, path: path, body: body, retry: (*Error).notExecuted}
}

// reply is a 2xx answer that decode accepted.
type reply struct {
	object
	header http.Header
	status int
}

// do makes the call k and returns its answer. It fails with an *Error.
func (c *Client) do(ctx context.Context, k call) (reply, error) {
	for _, part := range k.path {
		if part == "" {
			return reply{}, &Error{Op: k.op, Err: errors.New("the id is empty")}
		}
	}
	if k.as == nil {
		var err error
		if k.as, err = c.credential(ctx, k.op); err != nil {
			return reply{}, err
		}
	}
	if end, ok := ctx.Deadline(); ok && k.method == http.MethodGet {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-min(c.reserve, time.Until(end)/2)))
		defer cancel()
	}
	a, err := c.doWithRetries(ctx, k)
	if err == nil {
		return a, nil
	}
	var failed *Error
	if !errors.As(err, &failed) { // the context ended during a wait
		failed = &Error{Op: k.op, Err: err}
	}
	failed.KeySource = c.keys.name
	if failed.At, _ = c.Clock(); failed.At.IsZero() {
		failed.At = time.Now()
	}
	return reply{}, failed
}

// doWithRetries makes the call k and retries it within the client's tries and
// budget. Every try waits for its turn at the limiter first.
func (c *Client) doWithRetries(ctx context.Context, k call) (reply, error) {
	delays := &delays{ExponentialBackOff: backoff.ExponentialBackOff{
		InitialInterval: 500 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 4 * time.Second,
	}, ctx: ctx}
	try, end := 0, time.Now().Add(c.budget)
	return backoff.Retry(ctx, func() (reply, error) {
		try++
		if failed := c.waitTurn(ctx, k, try, end); failed != nil {
			// The failure of the last try explains more than the wait, unless the caller gave up.
			if try > 1 && !errors.Is(ctx.Err(), context.Canceled) {
				failed = delays.last
			}
			return reply{}, backoff.Permanent(failed)
		}
		a, failed := c.try(ctx, k, try)
		if failed == nil {
			return a, nil
		}
		delays.last = failed
		if ctx.Err() != nil || !k.retry(failed) {
			return reply{}, backoff.Permanent(failed)
		}
		return reply{}, failed
	}, backoff.WithBackOff(delays), backoff.WithMaxTries(c.tries), backoff.WithMaxElapsedTime(c.budget))
}

// delays computes the delay before the next try: the API's Retry-After, or an
// exponential back-off if that is longer. It stops the retries if the context
// would end during the delay.
type delays struct {
	backoff.ExponentialBackOff
	ctx  context.Context
	last *Error // the failure of the last try
}

func (w *delays) NextBackOff() time.Duration {
	next := max(w.ExponentialBackOff.NextBackOff(), w.last.RetryAfter)
	if end, ok := w.ctx.Deadline(); ok && time.Until(end) <= next {
		return backoff.Stop
	}
	return next
}

// waitTurn waits until the limiter allows a request. A retry (try is above 1) does
// not wait beyond end; the first try waits as long as its context allows.
func (c *Client) waitTurn(ctx context.Context, k call, try int, end time.Time) *Error {
	if try > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	err := c.limiter.wait(ctx, c.bulk)
	if err == nil {
		return nil
	}
	var paused *pausedError
	if errors.As(err, &paused) {
		return &Error{
			Op: k.op, Status: http.StatusTooManyRequests, RetryAfter: paused.wait,
			Message: "Fullstory asked to wait, and that wait is not over",
		}
	}
	return &Error{Op: k.op, Code: CodeQueue, Err: turnError(ctx)}
}

// try sends one request and returns its answer. number is the number of the try,
// from 1.
func (c *Client) try(ctx context.Context, k call, number int) (reply, *Error) {
	limit := readTime
	if k.method != http.MethodGet {
		limit = writeTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := c.request(ctx, k)
	if err != nil {
		return reply{}, &Error{Op: k.op, Err: err}
	}
	// A process that was suspended may run on before the timer of its context does, and a
	// create that is sent late may be sent by two processes.
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		return reply{}, &Error{Op: k.op, Err: context.DeadlineExceeded}
	}
	done := c.startRequest(ctx, k, number)
	response, err := c.http.Do(request)
	if err != nil {
		failed := unanswered(k, err)
		done(0, failed.Err)
		return reply{}, failed
	}
	defer response.Body.Close()
	c.clock.set(response.Header, time.Now())
	done(response.StatusCode, nil)
	if response.StatusCode == http.StatusTooManyRequests {
		c.limiter.throttled(ctx, ParseRetryAfter(response.Header))
	}
	if response.StatusCode/100 != 2 {
		return reply{}, failedAnswer(k, response)
	}
	return decode(k, response)
}

var tracer = otel.Tracer("fullstory-export-mcp/client")

// startRequest begins the observation of a request. The caller must call done once
// with its outcome: the status of the answer, or 0 and the reason why there is no
// answer. done writes the log line, the metrics and the span. The request does not
// carry the identity of the trace to Fullstory.
func (c *Client) startRequest(ctx context.Context, k call, try int) (done func(status int, err error)) {
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

// turnError returns the error about a request that did not get its turn, because
// ctx has ended or would end first.
func turnError(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = context.DeadlineExceeded
	}
	return fmt.Errorf("waiting for the rate limit: %w", cause)
}

// decode reads a 2xx answer. It fails if the answer is not a JSON object, lacks the
// key that the call needs, or reports an error in its body. The answer to a write
// may be empty.
func decode(k call, r *http.Response) (reply, *Error) {
	limit := cmp.Or(k.answer, smallAnswer)
	raw, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	if err != nil {
		return reply{}, unanswered(k, err)
	}
	bad := &Error{Op: k.op, Status: r.StatusCode, sent: true}
	if len(raw) > limit {
		bad.Code, bad.Message = CodeTooLarge, fmt.Sprintf("the answer is larger than %d KiB", limit>>10)
		return reply{}, bad
	}
	text := k.as.scrub(string(raw))
	if k.method != http.MethodGet && strings.TrimSpace(text) == "" {
		text = "{}"
	}
	o, err := parse([]byte(text))
	if what := notTheAPI(r, []byte(text), err == nil); what != "" {
		bad.Code, bad.Message = CodeNotTheAPI, what
		return reply{}, bad
	}
	switch {
	case err != nil:
		bad.Code, bad.Message = CodeNotTheAPI, err.Error()
	case k.needs != "" && o.raw(k.needs) != "" || k.needs == "" && !o.rejection():
		return reply{o, r.Header, r.StatusCode}, nil
	case o.rejection():
		bad.Code, bad.Message = o.problem()
	default:
		_, message := o.problem()
		bad.Code, bad.Message = CodeIncomplete, cmp.Or(message, "the answer has no "+k.needs)
	}
	return reply{}, bad
}

// request builds the HTTP request of k. The path of the base URL is kept, and ids
// in k.path stay single segments whatever they contain.
func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	u := *c.base
	var escaped strings.Builder
	escaped.WriteString(u.EscapedPath())
	for _, part := range k.path {
		part = rawID(part)
		escaped.WriteString("/" + escape(part))
		u.Path += "/" + part
	}
	u.RawPath = escaped.String()
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
	k.as.authorize(r)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", c.agent)
	r.Header.Set("Integration-Source", "fullstory-export-mcp")
	if k.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// escape returns an id as one segment of a path. Ids contain =, @ and :, and one
// that a user pasted may contain anything. Dots are escaped where they would
// change the path.
func escape(part string) string {
	if part == "." || part == ".." {
		return strings.ReplaceAll(part, ".", "%2E")
	}
	return strings.ReplaceAll(url.QueryEscape(part), "+", "%20")
}
