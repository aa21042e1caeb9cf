package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

// answers starts an API that gives the same answer to every request, and returns a
// client for it that does not retry.
func answers(t *testing.T, header http.Header, status int, body string) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return newClient(t, Options{BaseURL: s.URL, Tries: 1, KeySource: "FULLSTORY_API_KEY"})
}

const blocked = "<!doctype html>\n<html><title>Blocked</title><body>Your company blocks this.</body></html>"

// TestCreateAnswers checks the table of answers to a create: which are accepted,
// which are rejections, and after which of them an export may exist.
func TestCreateAnswers(t *testing.T) {
	json := http.Header{"Content-Type": {"application/json"}}
	for _, test := range []struct {
		name   string
		header http.Header
		status int
		body   string
		id     string // empty: an error
		kind   Kind
		says   string // in the message
	}{
		{"accepted", json, 200, `{"operationId":"U0VB=="}`, "U0VB==", "", ""},
		{"created", json, 201, `{"operationId":"U0VB=="}`, "U0VB==", "", ""},
		{"accepted for later", json, 202, `{"operation_id":"U0VB=="}`, "U0VB==", "", ""},
		{"id beside an error", json, 200, `{"operationId":"op","error":"deprecated"}`, "op", "", ""},
		{"number as id", json, 200, `{"operationId":9007199254740993}`, "9007199254740993", "", ""},
		{"odd id", json, 200, `{"operationId":"a b é\n/?#%2F"}`, "~YSBiIMOpCi8_IyUyRg", "", ""},
		{"id with NUL", json, 200, `{"operationId":"a\u0000b"}`, "~YQBi", "", ""},
		{"id that is a link", json, 200, `{"operationId":"http://evil.example/x"}`, "~aHR0cDovL2V2aWwuZXhhbXBsZS94", "", ""},
		{"id with the mark", json, 200, `{"operationId":"~abc"}`, "~fmFiYw", "", ""},
		{"longest id", json, 200, `{"operationId":"` + strings.Repeat("x", 500) + `"}`, strings.Repeat("x", 500), "", ""},
		{"id too long", json, 200, `{"operationId":"` + strings.Repeat("x", 501) + `"}`, "", Ambiguous,
			"its id of 501 bytes cannot be used"},
		{"odd id too long", json, 200, `{"operationId":"` + strings.Repeat("é", 200) + `"}`, "", Ambiguous,
			"its id of 400 bytes cannot be used"},
		{"id of invalid UTF-8", json, 200, "{\"operationId\":\"a\xffb\"}", "", Ambiguous, "cannot be used"},
		{"id of half a character", json, 200, `{"operationId":"a\ud800b"}`, "", Ambiguous, "cannot be used"},
		{"id that is an object", json, 200, `{"operationId":{"x":1}}`, "", Ambiguous, "no operationId"},
		{"200 with an error", json, 200, `{"error":"quota"}`, "", Rejected, "quota"},
		{"200 with errors", json, 200, `{"errors":[{"message":"quota"}]}`, "", Rejected, "quota"},
		{"202 with an error", json, 202, `{"error":{"code":"q","message":"quota"}}`, "", Rejected, "quota"},
		{"error without a message", json, 200, `{"error":true}`, "", Rejected, ""},
		{"empty error", json, 200, `{"error":"","operationId":null}`, "", Ambiguous, "no operationId"},
		{"empty object", json, 200, `{}`, "", Ambiguous, "no operationId"},
		{"message alone", json, 200, `{"message":"queued"}`, "", Ambiguous, "queued"},
		{"201 without an id", json, 201, `{}`, "", Ambiguous, "no operationId"},
		{"202 without an id", json, 202, ``, "", Ambiguous, "no operationId"},
		{"204", nil, 204, ``, "", Ambiguous, "no operationId"},
		{"HTML", nil, 200, blocked, "", Ambiguous, "an HTML page"},
		{"text", nil, 200, `OK`, "", Ambiguous, "not a JSON object"},
		{"list", json, 200, `[{"operationId":"op"}]`, "", Ambiguous, "not a JSON object"},
		{"400", json, 400, `{"message":"bad"}`, "", Rejected, "bad"},
		{"401", json, 401, `{"message":"no"}`, "", KeyRejected, "no"},
		{"401 without a body", nil, 401, ``, "", KeyRejected, ""},
		{"403", json, 403, `{"message":"no add-on"}`, "", KeyRejected, "no add-on"},
		{"403 in plain text", http.Header{"Via": {"1.1 google"}}, 403, `forbidden`, "", KeyRejected, "forbidden"},
		{"403 of a proxy", nil, 403, blocked, "", NotTheAPI, "an HTML page"},
		{"403 of Squid", http.Header{"Via": {"1.1 squid"}, "Content-Type": {"text/plain"}}, 403, `denied by policy`, "",
			NotTheAPI, `the answer of a proxy ("denied by policy")`},
		{"403 through a proxy", http.Header{"Via": {"1.1 squid"}}, 403, `{"message":"no add-on"}`, "", KeyRejected,
			"no add-on"},
		{"407", nil, 407, ``, "", NotTheAPI, "sign in to a proxy"},
		{"401 of a proxy", nil, 401, blocked, "", NotTheAPI, "an HTML page"},
		{"redirect", http.Header{"Location": {"https://login.example.com/x?y"}}, 307, ``, "", NotTheAPI,
			"a redirect to login.example.com (https), where"},
		{"429", http.Header{"Retry-After": {"9"}}, 429, blocked, "", Throttled, ""},
		{"500", json, 500, `{}`, "", Ambiguous, ""},
		{"502", nil, 502, blocked, "", Ambiguous, "an HTML page"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := answers(t, test.header, test.status, test.body)
			id, err := c.CreateSegmentExport(t.Context(), ExportRequest{SegmentID: "everyone", Type: TypeEvent})
			if test.id != "" {
				if id != test.id || err != nil {
					t.Errorf("got %q, %v", id, err)
				}
				return
			}
			var failed *Error
			if !errors.As(err, &failed) {
				t.Fatalf("got %q, %v, want a *Error", id, err)
			}
			if failed.Kind() != test.kind || failed.Uncertain != (test.kind == Ambiguous) {
				t.Errorf("got %s, uncertain %v (%v), want %s", failed.Kind(), failed.Uncertain, err, test.kind)
			}
			if failed.Status != test.status || !strings.Contains(failed.Message, test.says) {
				t.Errorf("got %v, want %d with %q", err, test.status, test.says)
			}
		})
	}
}

// TestOddIDsAreAskedFor asks for operations whose ids contain characters that are
// not allowed in a path.
func TestOddIDsAreAskedFor(t *testing.T) {
	c := serve(t, map[string]http.HandlerFunc{"GET /operations/v1/{id}": func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"id":%q,"state":"PENDING","step":%q}`, "op", url.PathEscape(r.PathValue("id")))
	}})
	for _, id := range []string{"a b", "é", "a\nb", "..", "a/../b", "%2e", strings.Repeat("x y", 700)} {
		op, err := c.Operation(t.Context(), id)
		want := words(url.PathEscape(id))
		if err != nil || op.Step != want {
			t.Errorf("%.20q was asked for as %.40q, %v", id, op.Step, err)
		}
	}
}

// TestReadAnswers checks the table of unusable answers to reads.
func TestReadAnswers(t *testing.T) {
	results := func(c *Client) error { _, err := c.ExportResults(t.Context(), "x"); return err }
	list := func(c *Client) error { _, err := c.Operations(t.Context(), OperationQuery{}); return err }
	me := func(c *Client) error { _, err := c.Me(t.Context()); return err }
	for _, test := range []struct {
		name   string
		call   func(*Client) error
		status int
		body   string
		kind   Kind
		says   string
	}{
		{"results 404", results, 404, `{"message":"no such export"}`, Rejected,
			"get export results: 404 Not Found: no such export"},
		{"results 400", results, 400, `{"message":"not ready"}`, Rejected, "get export results: 400 Bad Request: not ready"},
		{"results 307", results, 307, ``, NotTheAPI, "get export results: 307"},
		{"results HTML", results, 200, blocked, NotTheAPI, "get export results: 200 OK: an HTML page"},
		{"results XML", results, 404, `<?xml version="1.0"?><Error/>`, NotTheAPI, "404 Not Found: an XML document"},
		{"results without a link", results, 200, `{}`, ServiceFailed, "200 OK: the answer has no location"},
		{"results with an error", results, 200, `{"error":"expired"}`, Rejected, "200 OK: expired"},
		{"results 503", results, 503, `{"message":"later"}`, ServiceFailed, "503 Service Unavailable: later"},
		{"list with an error", list, 200, `{"error":"later"}`, Rejected, "200 OK: later"},
		{"list empty", list, 200, ``, NotTheAPI, "200 OK: an empty body"},
		{"list 502 HTML", list, 502, blocked, NotTheAPI, "502 Bad Gateway: an HTML page"},
		{"me without an organisation", me, 200, `{"role":"ADMIN"}`, ServiceFailed, "the answer has no orgId"},
		{"me of an odd organisation", me, 200, `{"orgId":"a b","role":"ADMIN"}`, ServiceFailed,
			"the id of the organisation is not usable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.call(answers(t, nil, test.status, test.body))
			var failed *Error
			if !errors.As(err, &failed) || failed.Kind() != test.kind || failed.Status != test.status ||
				!strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, %#v, want %s with %q", err, failed, test.kind, test.says)
			}
		})
	}
	for raw, want := range map[string]string{
		" https://files.example.com/a b?x= y\u00e9": "https://files.example.com/a%20b?x=%20y%C3%A9",
		"/relative/file":                   "/relative/file",
		"%zz":                              "%zz",
		"https://[::1]/x?a=[1](2)![3]\"<>": "https://[::1]/x?a=[1%5D(2)!%5B3]%22%3C%3E",
		"https://x/a\u200bb":               "https://x/a%E2%80%8Bb",
		"https://x/a\nb":                   "",
		"https://x/" + strings.Repeat("a", fileLimit): "",
		" ": "",
	} {
		body, _ := json.Marshal(map[string]string{"location": raw})
		l, err := answers(t, nil, 200, string(body)).ExportResults(t.Context(), "x")
		if l.URL != want || (err == nil) != (want != "") {
			t.Errorf("the link %.100q came back as %.100q, %v", raw, l.URL, err)
		}
	}
	for _, test := range []struct {
		status int
		body   string
	}{{200, `{}`}, {202, ``}, {204, ``}} {
		if err := answers(t, nil, test.status, test.body).CancelOperation(t.Context(), "op"); err != nil {
			t.Errorf("a cancel answered %d %q: %v", test.status, test.body, err)
		}
	}
}

// TestUnknownCA has an API with an untrusted certificate: nothing is sent, and
// nothing is retried.
func TestUnknownCA(t *testing.T) {
	var asked, connected atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	s.Config.ErrorLog = quiet
	s.Config.ConnState = countNew(&connected)
	s.StartTLS()
	defer s.Close()
	c := newClient(t, Options{BaseURL: s.URL})
	_, read := c.Operation(t.Context(), "op")
	_, create := c.CreateSegmentExport(t.Context(), ExportRequest{SegmentID: "everyone", Type: TypeEvent})
	for op, err := range map[string]error{"get operation": read, "create segment export": create} {
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind() != Unreachable || failed.Code != CodeCertificate ||
			failed.Uncertain || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("%s: got %#v", op, failed)
		}
	}
	if asked.Load() != 0 || connected.Load() != 2 {
		t.Errorf("the server got %d requests in %d connections, want 0 in 2", asked.Load(), connected.Load())
	}
}

// TestProxyThatDoesNotConnect has a proxy that answers CONNECT with an HTML page.
func TestProxyThatDoesNotConnect(t *testing.T) {
	for status, tries := range map[int]int32{403: 1, 407: 1, 502: 2} {
		var asked atomic.Int32
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1); r.Method != http.MethodConnect || r.Header.Get("Authorization") != "" {
				t.Errorf("the proxy got %s with the key %q", r.Method, r.Header.Get("Authorization"))
			}
			w.WriteHeader(status)
			io.WriteString(w, blocked)
		}))
		defer proxy.Close()
		transport := newTransport()
		address, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		transport.Proxy = http.ProxyURL(address)
		c := newClient(t, Options{BaseURL: "https://api.fullstory.invalid", Transport: transport, Tries: 2,
			Budget: 5 * time.Second})
		_, err = c.CreateSegmentExport(t.Context(), ExportRequest{SegmentID: "everyone", Type: TypeEvent})
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind() != NotTheAPI || failed.Status != status || failed.Uncertain {
			t.Errorf("CONNECT answered %d: got %#v", status, failed)
		}
		want := fmt.Sprintf("the proxy %s answered CONNECT with %d", address.Host, status)
		if !strings.Contains(err.Error(), want) || asked.Load() != tries {
			t.Errorf("CONNECT answered %d: asked %d times, and %v lacks %q", status, asked.Load(), err, want)
		}
	}
}

// TestErrorTextsAreClean has an API that answers with deliberately hostile strings.
func TestErrorTextsAreClean(t *testing.T) {
	hostile := `a\u0000\u001b[31m` + "\u202e\u2066" + `b\r\n` + "\xff" + strings.Repeat("é", 2000)
	c := answers(t, nil, 400, `{"code":"`+strings.Repeat("c", 9000)+`","message":"`+hostile+`"}`)
	_, err := c.Operation(t.Context(), "op")
	var failed *Error
	if !errors.As(err, &failed) || !strings.HasPrefix(failed.Message, "a[31mb ") {
		t.Fatalf("got %#v", failed)
	}
	if text := failed.Message; !utf8.ValidString(text) || utf8.RuneCountInString(text) != textLimit ||
		strings.ContainsAny(text, "\x00\x1b\r\n\u202e\u2066") || failed.Code != "" {
		t.Errorf("%d characters: %q, code %.200q", utf8.RuneCountInString(text), text, failed.Code)
	}
}

// TestUnknownValues has states, types and roles that the program does not know: they are
// logged once, quoted, and nothing else has them.
func TestUnknownValues(t *testing.T) {
	var log bytes.Buffer
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/me" {
			io.WriteString(w, `{"orgId":"ORG","role":" architect "}`)
			return
		}
		io.WriteString(w, `{"id":"op","state":"GONE\u202e\n","type":"UNKNOWN","role":"x"}`)
	}))
	defer s.Close()
	c := newClient(t, Options{BaseURL: s.URL, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		op, err := c.Operation(t.Context(), "op")
		if err != nil || op.State != Unknown || op.Type != Unknown || op.State.Ended() {
			t.Errorf("got %+v, %v", op, err)
		}
	}
	if me, err := c.Me(t.Context()); err != nil || !me.Role.CanExport() {
		t.Errorf("got %+v, %v", me, err)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `GONE\\u202e\\n`) {
		t.Errorf("the log is %s", text)
	}
}

// TestShareable checks which links may be shown.
func TestShareable(t *testing.T) {
	remote := newClient(t, Options{BaseURL: "https://api.example.com"})
	local := newClient(t, Options{BaseURL: "http://127.0.0.1:1"})
	for link, want := range map[string][2]bool{
		"https://files.example.com/x?sig=1": {true, true}, "http://127.0.0.1:2/x": {false, true},
		"http://files.example.com/x": {false, false}, "https://u:p@files.example.com/x": {false, false},
		"javascript:x": {}, "ftp://files.example.com/x": {}, "/x": {}, "https:///x": {}, "%zz": {}, "": {},
	} {
		if got := [2]bool{remote.Shareable(Link{URL: link}), local.Shareable(Link{URL: link})}; got != want {
			t.Errorf("%q: got %v, want %v", link, got, want)
		}
	}
}

// TestCodesOfTheAPI has answers with codes: none of them is taken for one of this
// package.
func TestCodesOfTheAPI(t *testing.T) {
	for code, want := range map[string]string{
		"resource_not_found": "resource_not_found", "5": "5", "a b": "", "![x](y)": "",
		CodeOtherOrganization: "", CodeNotTheAPI: "", CodeCertificate: "", CodeUnusableID: "", CodeTooLarge: "",
	} {
		_, err := answers(t, nil, 400, fmt.Sprintf(`{"code":%q,"message":"no"}`, code)).Operation(t.Context(), "op")
		var failed *Error
		if !errors.As(err, &failed) || failed.Code != want || failed.Kind() != Rejected {
			t.Errorf("%q: got %#v", code, failed)
		}
	}
}
