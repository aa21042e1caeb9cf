package sandbox

import (
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// failures are the faults that only answer with a status and an error in the API's
// form.
var failures = map[string]rejection{
	"400":                {http.StatusBadRequest, "invalid_request", "The request is not valid (injected)."},
	"404":                {http.StatusNotFound, "resource_not_found", "There is no such resource (injected)."},
	"429":                {http.StatusTooManyRequests, "too_many_requests", "Too many requests (injected)."},
	"429_date":           {http.StatusTooManyRequests, "too_many_requests", "Too many requests (injected)."},
	"429_no_retry_after": {http.StatusTooManyRequests, "too_many_requests", "Too many requests (injected)."},
	"500":                {http.StatusInternalServerError, "server_error", "Something went wrong (injected)."},
	"503":                {http.StatusServiceUnavailable, "unavailable", "The service is unavailable (injected)."},
}

const (
	signInPage = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>\n"
	errorPage  = "<!DOCTYPE html><html><head><title>502 Server Error</title></head><body>" +
		"<h1>Error: Server Error</h1><p>Please try again in 30 seconds.</p></body></html>\n"
)

// answerInstead answers a request to the API with the effect do in place of its
// usual answer. f holds the options; do may differ from f.Do in its suffix.
func (s *Sandbox) answerInstead(f *Fault, do string, w http.ResponseWriter, r *http.Request) {
	s.setRetryAfter(f, do, w)
	switch do {
	case "200_error":
		reply(w, map[string]string{"error": f.message()})
	case "200_empty_object":
		reply(w, struct{}{})
	case "200_html":
		servePage(w, http.StatusOK, signInPage)
	case "502_html":
		servePage(w, http.StatusBadGateway, errorPage)
	case "204":
		w.WriteHeader(http.StatusNoContent)
	default:
		if breakOrRedirect(do, w, r) {
			return
		}
		failure := failures[do]
		fail(w, failure.status, failure.code, failure.message)
	}
}

// message returns the text of 200_error and error_row.
func (f *Fault) message() string { return cmp.Or(f.Message, "the quota of exports is used up") }

// setRetryAfter sets Retry-After for the effects that have it: in whole seconds, at
// least 1, or as a date by the sandbox's clock.
func (s *Sandbox) setRetryAfter(f *Fault, do string, w http.ResponseWriter) {
	after := time.Duration(f.After)
	switch {
	case do == "429" || do == "503" && after > 0:
		w.Header().Set("Retry-After", wholeSeconds(after.Seconds()))
	case do == "429_date":
		at := s.Now().Add(cmp.Or(after, time.Second))
		w.Header().Set("Retry-After", at.UTC().Format(http.TimeFormat))
	}
}

func servePage(w http.ResponseWriter, status int, page string) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(status)
	io.WriteString(w, page)
}

// breakOrRedirect applies the effects that are the same at the API and at the
// store, and reports whether do is one of them.
func breakOrRedirect(do string, w http.ResponseWriter, r *http.Request) bool {
	here := origin(r)
	moved := here
	switch do {
	case "reset":
		reset(w)
		return true
	case "hang":
		hang(r)
		return true
	case "307_self":
		moved += r.URL.RequestURI()
	case "307_path":
		moved += "/moved" + r.URL.RequestURI()
	case "307_host":
		scheme, host, _ := strings.Cut(here, "://")
		moved = scheme + "://" + otherName(host) + "/moved" + r.URL.RequestURI()
	case "307_no_location":
		moved = ""
	default:
		return false
	}
	if moved != "" {
		w.Header().Set("Location", moved)
	}
	fail(w, http.StatusTemporaryRedirect, "moved", "The resource has moved (injected).")
	return true
}

// otherName returns another name of the machine in host, with the same port:
// localhost, or 127.0.0.1 if host is localhost.
func otherName(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, "80"
	}
	other := "localhost"
	if name == other {
		other = "127.0.0.1"
	}
	return net.JoinHostPort(other, port)
}

// withLink changes the link in the body of an answer to a request for results. A
// body without a link, such as an error, stays as it is.
func withLink(body []byte, do string) []byte {
	var answer struct {
		Location string `json:"location"`
		Expires  string `json:"expires"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Location == "" {
		return body
	}
	scheme, rest, _ := strings.Cut(answer.Location, "://")
	switch do {
	case "link_relative":
		_, path, _ := strings.Cut(rest, "/")
		answer.Location = "/" + path
	case "link_space":
		answer.Location = scheme + "://" + rest + "&name=a file.gz"
	case "link_scheme":
		answer.Location = "ftp://" + rest
	case "link_empty":
		answer.Location = ""
	}
	var out capture
	out.header = http.Header{}
	reply(&out, answer)
	return out.body
}
