package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// errorBody is how many bytes of a failed answer are read.
	errorBody = 64 << 10
	// longestWait is the longest Retry-After that is honoured.
	longestWait = 24 * time.Hour
)

// Codes that the client sets itself, if the API did not answer or its answer
// cannot be used.
const (
	CodeCertificate       = "certificate"        // the API's certificate is not trusted; nothing was sent
	CodeOtherOrganization = "other_organization" // the key was replaced by a key of another organisation; see Bind
	CodeQueue             = "request_queue"      // the request did not get its turn at the rate limit; nothing was sent
	CodeNotTheAPI         = "not_the_api"        // Message says what answered, such as "an HTML page"
	CodeIncomplete        = "incomplete_answer"  // a 2xx answer lacks a required value
	CodeTooLarge          = "answer_too_large"   // a 2xx answer is larger than its call allows
	CodeUnusableID        = "unusable_id"        // an id or a cursor of a 2xx answer cannot be used; see encodeID
)

// ownCodes are the codes above, which no answer of the API can have.
var ownCodes = []string{
	CodeCertificate, CodeOtherOrganization, CodeQueue, CodeNotTheAPI, CodeIncomplete, CodeTooLarge, CodeUnusableID,
}

// Error is the error of a failed call. It contains neither the key nor a signed
// link. Message has passed Plain and is at most 500 characters long.
type Error struct {
	Op         string        // the call, such as "create segment export"
	Status     int           // HTTP status of the answer, from the API or a proxy; 0: no answer
	Code       string        // the API's own code, such as resource_not_found, or one of the Codes
	Message    string        // the API's message, or what answered in its place; may be empty
	RetryAfter time.Duration // how long the API asks to wait, at most a day; 0: not given
	At         time.Time     // when the call failed, by the API's clock if that is known; zero: not recorded
	Uncertain  bool          // an export may have been created despite the error
	KeySource  string        // where the key is configured; may be empty
	Err        error         // why there is no answer; nil if the API answered

	sent bool // the API may have seen the request
}

// Kind classifies a failed call by what it means for later requests.
type Kind string

// The kinds of errors.
const (
	KeyRejected   Kind = "key_rejected"   // 401, or 403 from the API itself: every call with this key fails
	Throttled     Kind = "throttled"      // 429: the same request may succeed after RetryAfter
	Rejected      Kind = "rejected"       // the API rejects this request; a retry does not help
	Ambiguous     Kind = "ambiguous"      // an export may have been created; see Uncertain
	Unreachable   Kind = "unreachable"    // no answer, and no export can have been created
	ServiceFailed Kind = "service_failed" // 5xx, or an incomplete answer: the same request may succeed later
	NotTheAPI     Kind = "not_the_api"    // a proxy or another server answered; the key and the request may be fine
)

// Kind returns the kind of e. It depends on exported fields only, so it survives
// MarshalJSON.
func (e *Error) Kind() Kind {
	switch {
	case e.Uncertain:
		return Ambiguous
	case e.Code == CodeOtherOrganization:
		return KeyRejected
	case e.Status == 0:
		return Unreachable
	case e.Status == http.StatusTooManyRequests:
		return Throttled
	case e.Code == CodeNotTheAPI || e.Status/100 == 3 || e.Status == http.StatusProxyAuthRequired:
		return NotTheAPI
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return KeyRejected
	case e.Status >= 500 || e.Code == CodeIncomplete || e.Code == CodeTooLarge ||
		e.Code == CodeUnusableID:
		return ServiceFailed
	}
	return Rejected
}

// KindOf returns the kind of the *Error in err; "" if there is none.
func KindOf(err error) Kind {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Kind()
}

// Words returns the API's message or, if there is none, the known reason why the
// call failed. The text is not empty and does not end with a full stop.
func (e *Error) Words() string {
	switch {
	case e.Message != "":
		return strings.TrimRight(e.Message, ". ")
	case errors.Is(e.Err, context.DeadlineExceeded):
		return "no answer in time"
	case e.Err != nil:
		return words(e.Err.Error())
	case e.Status != 0:
		return strings.ToLower(http.StatusText(e.Status))
	}
	return "no reason given"
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

// failedAnswer returns the error for an answer that is not 2xx. It reads the body.
// The error bodies of the v1 calls are not documented, so it understands every
// form that occurs in Fullstory's own code.
func failedAnswer(k call, r *http.Response) *Error {
	raw, _ := io.ReadAll(io.LimitReader(r.Body, errorBody))
	text := k.as.scrub(string(raw))
	e := &Error{Op: k.op, Status: r.StatusCode, RetryAfter: ParseRetryAfter(r.Header), sent: true}
	if location, err := r.Location(); err == nil && r.StatusCode/100 == 3 {
		to := k.as.scrub(location.Host) + " (" + location.Scheme + ")"
		e.Code, e.Message = CodeNotTheAPI, words("a redirect to "+to+", where the API key is not sent")
		return e
	}
	body, err := parse([]byte(text))
	if what := notTheAPI(r, []byte(text), err == nil); what != "" {
		e.Code, e.Message = CodeNotTheAPI, what
		if said := plainText(text); said != "" {
			e.Message = fmt.Sprintf("%s (%q)", what, words(said[:min(len(said), textLimit/2)]))
		}
		return e
	}
	if err != nil {
		e.Message = words(plainText(text))
		return e
	}
	e.Code, e.Message = body.problem()
	return e
}

// mostErrors is how many errors of an answer are read.
const mostErrors = 10

// problem returns the code and the message with which an answer reports an error.
func (o object) problem() (code, message string) {
	errors, _ := o.objects("errors", 0, mostErrors)
	for _, from := range append([]object{o, o.object("error")}, errors...) {
		code = cmp.Or(code, from.code("code"))
		message = cmp.Or(message, from.words("message"))
	}
	return code, cmp.Or(message, o.words("error"), o.words("detail"))
}

// rejection reports whether a 2xx answer reports an error in its body.
func (o object) rejection() bool {
	for _, key := range []string{"error", "errors"} {
		raw := strings.Join(strings.Fields(string(o[key])), "")
		if raw != "" && raw != "null" && raw != `""` && raw != "false" && raw != "{}" && raw != "[]" {
			return true
		}
	}
	return false
}

// plainText returns a body that is not JSON if it can be shown as a sentence: it is
// short and not markup. Otherwise it returns "".
func plainText(body string) string {
	body = strings.TrimSpace(body)
	if len(body) > 500 || strings.HasPrefix(body, "<") {
		return ""
	}
	return body
}

// unanswered returns the error for a request that got no answer from the API. It
// drops the URL from err and removes the key from its text.
func unanswered(k call, err error) *Error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	e := &Error{Op: k.op, Err: &scrubbed{text: words(k.as.scrub(err.Error())), err: err}, sent: !unsent(err)}
	var certificate *tls.CertificateVerificationError
	var proxy *connectError
	switch {
	case errors.As(err, &certificate):
		e.Code = CodeCertificate
	case errors.As(err, &proxy):
		e.Code, e.Status = CodeNotTheAPI, proxy.status
	}
	return e
}

// scrubbed is an error with a replaced text, because the original may contain the
// key.
type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string { return s.text }
func (s *scrubbed) Unwrap() error { return s.err }

// unsent reports whether err occurred before the request left this machine, so that
// the API cannot have seen it.
func unsent(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var proxy *connectError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &dns) || errors.As(err, &proxy) || errors.As(err, &certificate) ||
		errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// transient reports whether the same read may succeed shortly afterwards.
func (e *Error) transient() bool {
	if e.Status != 0 {
		return e.Status == http.StatusTooManyRequests || e.Status >= 500
	}
	return e.Code == "" && !errors.Is(e.Err, context.Canceled)
}

// notExecuted reports whether the API certainly did not execute the request, and
// may do so shortly afterwards.
func (e *Error) notExecuted() bool {
	return e.Status == http.StatusTooManyRequests || !e.sent && e.transient()
}

// maybeCreated reports whether an export may exist although its create failed: the
// request was sent, and the answer does not rule it out.
func (e *Error) maybeCreated() bool {
	return e.sent && (e.Status == 0 || e.Status >= 500 || e.Status/100 == 2 && e.Kind() != Rejected)
}

// ParseRetryAfter returns the value of a Retry-After header, at most a day; 0 if
// it is missing or invalid. The header is a number of seconds, which may have a
// fraction, or an HTTP date, which is compared with the answer's own Date.
func ParseRetryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e9 {
		return min(time.Duration(seconds*float64(time.Second)), longestWait)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(0, at.Sub(now)), longestWait)
}

// RetryAfter returns the RetryAfter of the *Error in err; 0 if there is none.
func RetryAfter(err error) time.Duration {
	var failed *Error
	if !errors.As(err, &failed) {
		return 0
	}
	return failed.RetryAfter
}

// Temporary reports whether the status means that the API rejects the request for
// now, and may accept it later.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusLocked, http.StatusTooEarly:
		return true
	}
	return false
}
