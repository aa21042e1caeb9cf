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

// rejectionOf returns the error answer of a store to r.
func rejectionOf(r *http.Request, status int, code, message string) *http.Response {
	body := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>`+
		`<Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
	if r.Method == http.MethodHead {
		body = ""
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}
}

// expectErrors checks the error of each method of a mirror that does not work: it
// contains says, and is temporary or not.
func expectErrors(t *testing.T, m *Mirror, says string, temporary bool) {
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
		if !strings.Contains(e.Error(), says) || e.Temporary != temporary {
			t.Errorf("%s: %q (temporary: %v), want %q (%v)", use, e.Error(), e.Temporary, says, temporary)
		}
		if !temporary && e.Remedy == "" {
			t.Errorf("%s: %q does not say what to do", use, e.Error())
		}
		if strings.Contains(e.Error(), "s3cret") || strings.Contains(e.Error(), "?") {
			t.Errorf("%s: %q contains a secret or a URL query", use, e.Error())
		}
	}
}

// TestRejections configures each thing wrongly that a real store notices.
func TestRejections(t *testing.T) {
	o := options(t)
	id := o.Getenv("AWS_ACCESS_KEY_ID")
	for name, test := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"key": {func(o *Options) {
			o.Getenv = environment("AWS_ACCESS_KEY_ID", "nobody", "AWS_SECRET_ACCESS_KEY", "s3cret")
		}, "credentials are wrong"},
		"secret": {func(o *Options) {
			o.Getenv = environment("AWS_ACCESS_KEY_ID", id, "AWS_SECRET_ACCESS_KEY", "s3cret")
		}, "credentials are wrong"},
		"bucket": {func(o *Options) { o.URL = "s3://nowhere/a" }, "no bucket nowhere"},
		"region": {func(o *Options) { o.Region = "eu-central-1" }, "not in the configured region"},
	} {
		for _, region := range []string{"", o.Region} {
			t.Run(name+" "+region, func(t *testing.T) {
				changed := o
				changed.Region = region
				test.change(&changed)
				m, _ := openMirror(t, changed)
				if name == "region" && m.Check(t.Context()) == nil {
					t.Skip("this store accepts every region")
				}
				expectErrors(t, m, test.says, false)
			})
		}
	}
}

// TestAnswers answers every request with an error, of every kind.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		status    int
		code      string
		says      string
		temporary bool
	}{
		{403, "AccessDenied", "do not allow it", false},
		{401, "Unauthorized", "do not allow it", false},
		{403, "InvalidAccessKeyId", "credentials are wrong", false},
		{403, "SignatureDoesNotMatch", "credentials are wrong", false},
		{400, "ExpiredToken", "have expired", false},
		{403, "RequestTimeTooSkewed", "Set this machine's clock", false},
		{404, "NoSuchBucket", "no bucket", false},
		{301, "PermanentRedirect", "not in the configured region", false},
		{400, "AuthorizationHeaderMalformed", "not in the configured region", false},
		{503, "SlowDown", "cannot answer now", true},
		{429, "TooManyRequests", "cannot answer now", true},
		{500, "InternalError", "cannot answer now", true},
		{502, "", "cannot answer now", true},
		{400, "EntityTooStrange", `400 "EntityTooStrange"`, false},
	} {
		t.Run(test.code, func(t *testing.T) {
			t.Parallel()
			m, _ := openMirror(t, fakeOptions(answering(func(r *http.Request) (*http.Response, error) {
				if test.code == "NoSuchBucket" && r.Method == http.MethodHead {
					return rejectionOf(r, 403, "", ""), nil
				}
				return rejectionOf(r, test.status, test.code, "no s3cret here"), nil
			})))
			expectErrors(t, m, test.says, test.temporary)
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

func fakeOptions(transport http.RoundTripper) Options {
	return Options{
		URL: "s3://bucket/prefix", Endpoint: "http://127.0.0.1:1", Region: "us-east-1", Transport: transport,
		Getenv: environment("AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "s3cret"),
	}
}

// TestUnreachable has no store, or one that does not answer.
func TestUnreachable(t *testing.T) {
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
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "<html>Welcome<br></html>")
	}))
	defer page.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for name, test := range map[string]struct {
		endpoint, says string
		temporary      bool
	}{
		"closed":        {"http://" + closed.Addr().String(), "cannot be reached (connect: connection refused)", true},
		"silent":        {"http://" + listener.Addr().String(), "cannot be reached (no answer)", true},
		"not HTTPS":     {"https://" + page.Listener.Addr().String(), "does not speak HTTPS", false},
		"not trusted":   {secure.URL, "is not trusted", false},
		"no such place": {"http://127.0.0.1:99999", "cannot be reached", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := fakeOptions(nil)
			o.Endpoint = test.endpoint
			m, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			m.limits.idleTimeout = 300 * time.Millisecond
			if name != "silent" {
				m.limits.idleTimeout = time.Minute
			}
			began := time.Now()
			expectErrors(t, m, test.says, test.temporary)
			if passed := time.Since(began); passed > 30*time.Second {
				t.Errorf("that took %v", passed)
			}
		})
	}
	o := fakeOptions(nil)
	o.Endpoint = page.URL
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("a web page: %v", err)
	}
}

// TestStalled has a store that stops reading the body of a part, or reads all of
// it and does not answer.
func TestStalled(t *testing.T) {
	for name, bytesTaken := range map[string]int64{"midway": 1000, "at the end": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			m, w := openMirror(t, options(t))
			m.limits.idleTimeout, m.limits.tries = 500*time.Millisecond, 1
			w.intercept = func(r *http.Request) (*http.Response, error) {
				if kind(r) != "part" {
					return nil, nil
				}
				io.CopyN(io.Discard, r.Body, bytesTaken)
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			b, sum := content(1, 2*minPart)
			err := m.Put(t.Context(), "file", bytes.NewReader(b), int64(len(b)), sum)
			if !temporary(err) || !strings.Contains(err.Error(), "no answer") {
				t.Errorf("Put: %v", err)
			}
			expectMissing(t, m, "file")
		})
	}
}

// TestContext ends the context before Put and during each of its requests.
func TestContext(t *testing.T) {
	for _, at := range []string{"before", "stat", "list", "begin", "part", "complete", "put"} {
		t.Run(at, func(t *testing.T) {
			m, w := openMirror(t, options(t))
			ctx, cancel := context.WithCancel(t.Context())
			if at == "before" {
				cancel()
			}
			w.intercept = func(r *http.Request) (*http.Response, error) {
				if kind(r) == at {
					cancel()
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return nil, nil
			}
			size := 2 * minPart
			if at == "put" {
				size = 10
			}
			b, sum := content(1, size)
			if err := m.Put(ctx, "file", bytes.NewReader(b), int64(size), sum); err != context.Canceled {
				t.Errorf("Put: %v, want the error of the context itself", err)
			}
			w.intercept = nil
			expectMissing(t, m, "file")
		})
	}
}

// TestNoCredentials has no credentials, only those of the file, or half of them.
func TestNoCredentials(t *testing.T) {
	asked := answering(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "127.0.0.1:1" {
			return nil, fmt.Errorf("asked with %q", r.Header.Get("Authorization"))
		}
		return nil, errors.New("no network")
	})
	o := fakeOptions(asked)
	o.Getenv = environment("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	m, _ := openMirror(t, o)
	expectErrors(t, m, "no credentials", false)

	file := filepath.Join(t.TempDir(), "credentials")
	profiles := "[default]\naws_access_key_id=a\naws_secret_access_key=b\n" +
		"[other]\naws_access_key_id=FROMFILE\naws_secret_access_key=s3cret\n"
	if err := os.WriteFile(file, []byte(profiles), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Getenv = environment("AWS_SHARED_CREDENTIALS_FILE", file, "AWS_PROFILE", "other")
	m, _ = openMirror(t, o)
	err := m.Check(t.Context())
	if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), "Credential=FROMFILE/") {
		t.Errorf("with a profile: %v", cause)
	}
	o.Getenv = environment("AWS_ACCESS_KEY_ID", "id")
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "only one is set") {
		t.Errorf("one of two credentials: %v", err)
	}
}

// TestOpen rejects malformed addresses and endpoints, and repeats no secret of them.
func TestOpen(t *testing.T) {
	for _, address := range []string{
		"", "bucket", "s3:bucket", "s3://", "s3:///a", "http://bucket/a", "s3://Bucket", "s3://id:s3cret@bucket/a",
		"s3://bucket/a?region=x", "s3://bucket/../a", "s3://bucket/a//b", "gs://bucket",
	} {
		o := fakeOptions(nil)
		o.URL = address
		_, err := Open(o)
		if err == nil || !strings.Contains(err.Error(), "s3://bucket/prefix") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, endpoint := range []string{
		"127.0.0.1:9000", "ftp://a", "http://", "http://a/b", "http://a?b", "https://id:s3cret@a", "://",
	} {
		o := fakeOptions(nil)
		o.Endpoint = endpoint
		if _, err := Open(o); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
	for address, want := range map[string]string{
		"s3://bucket": "s3://bucket/a/b", "s3://bucket/": "s3://bucket/a/b",
		"s3://bucket/x/y/": "s3://bucket/x/y/a/b", "s3://bucket/x=1 é": "s3://bucket/x=1 é/a/b",
	} {
		o := fakeOptions(nil)
		o.URL, o.Endpoint = address, ""
		m, err := Open(o)
		if err != nil || m.Address("a/b") != want {
			t.Errorf("%q: %v, want %s", address, err, want)
		}
	}
	o := fakeOptions(nil)
	o.Endpoint = "https://storage.googleapis.com"
	if m, err := Open(o); err != nil || !m.md5.Load() {
		t.Errorf("Google's store must get MD5 checksums (%v)", err)
	}
}
