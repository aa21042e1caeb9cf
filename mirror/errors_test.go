package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// said is an answer of a store that refuses.
func said(r *http.Request, status int, code, message string) *http.Response {
	body := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
	if r.Method == http.MethodHead {
		body = ""
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}
}

// refuses checks what every use of a mirror that does not work says.
func refuses(t *testing.T, m *Mirror, says string, repeat bool) {
	t.Helper()
	m.limits.tries = 2
	b, sum := content(1, 100)
	for use, err := range map[string]error{
		"Put":   m.Put(t.Context(), "file", bytes.NewReader(b), 100, sum),
		"Check": m.Check(t.Context()),
		"List":  func() error { _, err := m.List(t.Context(), "a"); return err }(),
		"Get":   func() error { _, err := m.Get(t.Context(), "file", 10); return err }(),
	} {
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want an *Error", use, err)
			continue
		}
		if !strings.Contains(e.Message, says) || e.Temporary != repeat {
			t.Errorf("%s: %q (a repeat helps: %v), want %q (%v)", use, e.Message, e.Temporary, says, repeat)
		}
		if !repeat && !strings.Contains(e.Message, "A person") {
			t.Errorf("%s: %q does not say who does what", use, e.Message)
		}
		if strings.Contains(e.Message, "s3cret") || strings.Contains(e.Message, "?") {
			t.Errorf("%s: %q tells too much", use, e.Message)
		}
	}
}

// TestRefusals is told by the store what is wrong.
func TestRefusals(t *testing.T) {
	o := options(t)
	id := o.Getenv("AWS_ACCESS_KEY_ID")
	for name, test := range map[string]struct {
		spoil func(*Options)
		says  string
	}{
		"key": {func(o *Options) {
			o.Getenv = environment("AWS_ACCESS_KEY_ID", "nobody", "AWS_SECRET_ACCESS_KEY", "s3cret")
		}, "credentials are not right"},
		"secret": {func(o *Options) { o.Getenv = environment("AWS_ACCESS_KEY_ID", id, "AWS_SECRET_ACCESS_KEY", "s3cret") }, "credentials are not right"},
		"bucket": {func(o *Options) { o.URL = "s3://nowhere/a" }, "no bucket nowhere"},
		"region": {func(o *Options) { o.Region = "eu-central-1" }, "not in the region"},
	} {
		for _, region := range []string{"", o.Region} {
			t.Run(name+" "+region, func(t *testing.T) {
				spoilt := o
				spoilt.Region = region
				test.spoil(&spoilt)
				m, _ := opened(t, spoilt)
				if name == "region" && m.Check(t.Context()) == nil {
					t.Skip("this store takes every region")
				}
				refuses(t, m, test.says, false)
			})
		}
	}
}

// TestAnswers has a store that answers with every kind of failure.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		status int
		code   string
		says   string
		repeat bool
	}{
		{403, "AccessDenied", "do not allow it", false},
		{401, "Unauthorized", "do not allow it", false},
		{403, "InvalidAccessKeyId", "credentials are not right", false},
		{403, "SignatureDoesNotMatch", "credentials are not right", false},
		{400, "ExpiredToken", "have expired", false},
		{403, "RequestTimeTooSkewed", "sets this machine's clock", false},
		{404, "NoSuchBucket", "no bucket", false},
		{301, "PermanentRedirect", "not in the region", false},
		{400, "AuthorizationHeaderMalformed", "not in the region", false},
		{503, "SlowDown", "not able to answer now", true},
		{429, "TooManyRequests", "not able to answer now", true},
		{500, "InternalError", "not able to answer now", true},
		{502, "", "not able to answer now", true},
		{400, "EntityTooStrange", `400 "EntityTooStrange"`, false},
	} {
		t.Run(test.code, func(t *testing.T) {
			t.Parallel()
			m, _ := opened(t, nowhere(answering(func(r *http.Request) (*http.Response, error) {
				if test.code == "NoSuchBucket" && r.Method == http.MethodHead {
					return said(r, 403, "", ""), nil
				}
				return said(r, test.status, test.code, "no s3cret here"), nil
			})))
			refuses(t, m, test.says, test.repeat)
		})
	}
}

type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
	}
	return a(r)
}

func nowhere(transport http.RoundTripper) Options {
	return Options{
		URL: "s3://bucket/prefix", Endpoint: "http://127.0.0.1:1", Region: "us-east-1", Transport: transport,
		Getenv: environment("AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "s3cret"),
	}
}

// TestAway has no store, or none that answers.
func TestAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>Welcome<br></html>") }))
	defer page.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for name, test := range map[string]struct {
		endpoint, says string
		repeat         bool
	}{
		"closed":        {"http://" + closed.Addr().String(), "cannot be reached (connect: connection refused)", true},
		"silent":        {"http://" + listener.Addr().String(), "cannot be reached (no answer)", true},
		"not HTTPS":     {"https://" + page.Listener.Addr().String(), "does not speak HTTPS", false},
		"not trusted":   {secure.URL, "is not trusted", false},
		"no such place": {"http://127.0.0.1:99999", "cannot be reached", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := nowhere(nil)
			o.Endpoint = test.endpoint
			m, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			m.limits.silence = 300 * time.Millisecond
			if name != "silent" {
				m.limits.silence = time.Minute
			}
			begun := time.Now()
			refuses(t, m, test.says, test.repeat)
			if passed := time.Since(begun); passed > 30*time.Second {
				t.Errorf("that took %v", passed)
			}
		})
	}
	o := nowhere(nil)
	o.Endpoint = page.URL
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("a web page: %v", err)
	}
}

// TestStalled takes the body of a part and does not answer, or stops taking it.
func TestStalled(t *testing.T) {
	for name, bytesTaken := range map[string]int64{"in the midst": 1000, "at the end": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			m, w := opened(t, options(t))
			m.limits.silence, m.limits.tries = 500*time.Millisecond, 1
			w.do = func(r *http.Request) (*http.Response, error) {
				if kind(r) != "part" {
					return nil, nil
				}
				io.CopyN(io.Discard, r.Body, bytesTaken)
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			b, sum := content(1, 2*least)
			err := m.Put(t.Context(), "file", bytes.NewReader(b), int64(len(b)), sum)
			if !temporary(err) || !strings.Contains(err.Error(), "no answer") {
				t.Errorf("Put: %v", err)
			}
			missing(t, m, "file")
		})
	}
}

// TestContext ends it before and during everything.
func TestContext(t *testing.T) {
	for _, at := range []string{"before", "stat", "list", "begin", "part", "complete", "put"} {
		t.Run(at, func(t *testing.T) {
			m, w := opened(t, options(t))
			ctx, cancel := context.WithCancel(t.Context())
			if at == "before" {
				cancel()
			}
			w.do = func(r *http.Request) (*http.Response, error) {
				if kind(r) == at {
					cancel()
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return nil, nil
			}
			size := 2 * least
			if at == "put" {
				size = 10
			}
			b, sum := content(1, size)
			if err := m.Put(ctx, "file", bytes.NewReader(b), int64(size), sum); err != context.Canceled {
				t.Errorf("Put: %v, want the error of the context itself", err)
			}
			w.do = nil
			missing(t, m, "file")
		})
	}
}

// TestNoKeys has credentials nowhere, or in the file.
func TestNoKeys(t *testing.T) {
	asked := answering(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "127.0.0.1:1" {
			return nil, fmt.Errorf("asked with %q", r.Header.Get("Authorization"))
		}
		return nil, errors.New("no network")
	})
	o := nowhere(asked)
	o.Getenv = environment("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	m, _ := opened(t, o)
	refuses(t, m, "no credentials", false)

	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id=a\naws_secret_access_key=b\n[other]\naws_access_key_id=FROMFILE\naws_secret_access_key=s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Getenv = environment("AWS_SHARED_CREDENTIALS_FILE", file, "AWS_PROFILE", "other")
	m, _ = opened(t, o)
	err := m.Check(t.Context())
	if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), "Credential=FROMFILE/") {
		t.Errorf("with a profile: %v", cause)
	}
	o.Getenv = environment("AWS_ACCESS_KEY_ID", "id")
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "only one is set") {
		t.Errorf("half of the credentials: %v", err)
	}
}

// TestOpen refuses what has not the form.
func TestOpen(t *testing.T) {
	for _, address := range []string{"", "bucket", "s3:bucket", "s3://", "s3:///a", "http://bucket/a", "s3://Bucket", "s3://id:s3cret@bucket/a", "s3://bucket/a?region=x", "s3://bucket/../a", "s3://bucket/a//b", "gs://bucket"} {
		o := nowhere(nil)
		o.URL = address
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "s3://bucket/prefix") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, endpoint := range []string{"127.0.0.1:9000", "ftp://a", "http://", "http://a/b", "http://a?b", "https://id:s3cret@a", "://"} {
		o := nowhere(nil)
		o.Endpoint = endpoint
		if _, err := Open(o); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
	for address, want := range map[string]string{
		"s3://bucket": "s3://bucket/a/b", "s3://bucket/": "s3://bucket/a/b", "s3://bucket/x/y/": "s3://bucket/x/y/a/b", "s3://bucket/x=1 é": "s3://bucket/x=1 é/a/b",
	} {
		o := nowhere(nil)
		o.URL, o.Endpoint = address, ""
		m, err := Open(o)
		if err != nil || m.Address("a/b") != want {
			t.Errorf("%q: %v, want %s", address, err, want)
		}
	}
	o := nowhere(nil)
	o.Endpoint = "https://storage.googleapis.com"
	if m, err := Open(o); err != nil || !m.md5.Load() {
		t.Errorf("Google's store is to get MD5 checksums (%v)", err)
	}
}
