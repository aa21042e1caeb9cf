package client

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// newTransport returns the default transport of a client. If a proxy does not
// connect to the API, requests fail with a *connectError.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 16
	t.MaxResponseHeaderBytes = 64 << 10
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, r *http.Response) error {
		if r.StatusCode == http.StatusOK {
			return nil
		}
		return &connectError{proxy: proxy.Host, status: r.StatusCode}
	}
	return t
}

// connectError reports that a proxy did not connect to the API, so nothing was sent
// to the API.
type connectError struct {
	proxy  string
	status int
}

func (e *connectError) Error() string {
	return fmt.Sprintf("the proxy %s answered CONNECT with %d %s", e.proxy, e.status, http.StatusText(e.status))
}

// notTheAPI returns a phrase for what answered, such as "an HTML page", if that was
// probably not the API, whose answers are JSON objects. It returns "" if the answer
// may be from the API. isObject is whether body is a JSON object.
func notTheAPI(r *http.Response, body []byte, isObject bool) string {
	if r.StatusCode == http.StatusProxyAuthRequired {
		return "a demand to sign in to a proxy"
	}
	if isObject {
		return ""
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch body = bytes.TrimSpace(body); {
	case bytes.HasPrefix(body, []byte("<?xml")):
		return "an XML document"
	case kind == "text/html" || kind == "application/xhtml+xml" || bytes.HasPrefix(body, []byte("<")):
		return "an HTML page"
	case r.StatusCode != http.StatusUnauthorized && fromProxy(r.Header):
		return "the answer of a proxy"
	case r.StatusCode/100 != 2:
		return ""
	case len(body) == 0:
		return "an empty body"
	}
	return "a body that is not a JSON object"
}

// fromProxy reports whether an answer passed through a proxy. The front end of the
// API's own cloud also names itself in Via, and does not count.
func fromProxy(h http.Header) bool {
	for _, via := range h.Values("Via") {
		if !strings.Contains(strings.ToLower(via), "google") {
			return true
		}
	}
	for name := range h {
		if strings.HasPrefix(name, "Proxy-") || name == "X-Squid-Error" {
			return true
		}
	}
	return false
}
