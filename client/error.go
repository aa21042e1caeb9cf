package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// errorBody is how much of a failed answer is kept, in bytes.
const errorBody = 64 << 10

// Error is a call that failed. It holds neither the key nor a signed link.
type Error struct {
	Op         string        // what was tried, such as "create segment export"
	Status     int           // HTTP status; 0: no answer
	Code       string        // the API's own code, such as resource_not_found
	Message    string        // the API's own words; may be empty
	RetryAfter time.Duration // how long the API asks to wait; 0: it does not say
	Body       string        // the answer, at most 64 KiB
	Uncertain  bool          // an export may have been created all the same
	Err        error         // what went wrong on the way; nil when there was an answer

	sent bool // the API may have seen the request
}

func (e *Error) Error() string {
	text := e.Op
	if e.Status != 0 {
		text += fmt.Sprintf(": %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// answered makes an error of an answer that is none, reading its body. The v1
// calls do not document their error bodies, so that every form seen in
// Fullstory's own code is read.
func (c *Client) answered(op string, r *http.Response) *Error {
	raw, _ := io.ReadAll(io.LimitReader(r.Body, errorBody))
	e := &Error{Op: op, Status: r.StatusCode, Body: c.scrub(string(raw)), RetryAfter: retryAfter(r.Header), sent: true}
	if location, err := r.Location(); err == nil && r.StatusCode/100 == 3 {
		e.Message = fmt.Sprintf("redirected to %s://%s, where the API key is not sent; is the API address right?", location.Scheme, location.Host)
		return e
	}
	body, err := parse([]byte(e.Body))
	if err != nil {
		e.Message = plainText(e.Body)
		return e
	}
	nested := body.object("error")
	for _, o := range []object{body, nested} {
		e.Code = cmp.Or(e.Code, o.text("code"))
		e.Message = cmp.Or(e.Message, o.text("message"))
	}
	e.Message = cmp.Or(e.Message, body.text("error"), body.text("detail"))
	return e
}

// plainText returns a body that is not JSON if it can be read as a sentence.
func plainText(body string) string {
	body = strings.TrimSpace(body)
	if len(body) > 500 || strings.HasPrefix(body, "<") {
		return ""
	}
	return body
}

// unanswered makes an error of a request that got no answer.
func (c *Client) unanswered(op string, err error) *Error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &Error{Op: op, Err: &scrubbed{text: c.scrub(err.Error()), err: err}, sent: !unsent(err)}
}

// scrubbed is an error whose text may have held the key.
type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string { return s.text }
func (s *scrubbed) Unwrap() error { return s.err }

// transient tells whether the same read may succeed a little later.
func (e *Error) transient() bool {
	var certificate *tls.CertificateVerificationError
	switch {
	case e.Status != 0:
		return e.Status == http.StatusTooManyRequests || e.Status >= 500
	case errors.Is(e.Err, context.Canceled) || errors.As(e.Err, &certificate):
		return false
	}
	return true
}

// refused tells whether the API certainly did not act on the request, and may
// a little later.
func (e *Error) refused() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == 0 && unsent(e.Err)
}

// retryAfter reads the header of that name: seconds, or an HTTP date, which is
// compared with the answer's own Date.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, at.Sub(now))
}
