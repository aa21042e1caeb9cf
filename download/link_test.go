package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestExpiredLinkIsRenewed(t *testing.T) {
	content := blob(5_000)
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sig") != "2" {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>")
			return
		}
		serveObject(w, r, `"a"`, content)
	})
	f := s.source()
	links := 0
	f.Link = func(context.Context) (string, error) {
		links++
		return fmt.Sprintf("%s/bucket/object?sig=%d", s.URL, links), nil
	}
	if got, _, err := get(t.Context(), f); err != nil || !bytes.Equal(got, content) || links != 2 {
		t.Errorf("%d links, %v", links, err)
	}
}

func TestLinkIsAlwaysRejected(t *testing.T) {
	s := newStore(t, status(http.StatusForbidden))
	_, _, err := get(t.Context(), s.source())
	var link *LinkError
	if !errors.As(err, &link) || link.Status != 403 || len(s.requests()) != 5 || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v after %d requests", err, len(s.requests()))
	}
}

func TestConnectionAlwaysBreaks(t *testing.T) {
	s := newStore(t, func(_ int, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	_, _, err := get(t.Context(), s.source())
	var transfer *TransferError
	if !errors.As(err, &transfer) || len(s.requests()) != 5 || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v after %d requests", err, len(s.requests()))
	}
}

// TestNoLink checks that an error of Source.Link ends the download.
func TestNoLink(t *testing.T) {
	f := newStore(t, nil).source()
	gone := errors.New("the export has expired")
	f.Link = func(context.Context) (string, error) { return "", gone }
	if _, _, err := get(t.Context(), f); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

// TestForbiddenLinks has links, and redirects of links, that lead to private networks or
// are not https.
func TestForbiddenLinks(t *testing.T) {
	inner := newStore(t, whole(`"a"`, blob(5_000)))
	away := newStore(t, redirect("http://169.254.169.254/latest/meta-data?sig=s3cr3t"))
	loop := newStore(t, redirect("/again"))
	for _, test := range []struct {
		link  string
		local bool // Source.AllowLoopback
	}{
		{inner.URL, false},
		{strings.Replace(inner.URL, "http:", "https:", 1), false},
		{away.URL, true},
		{loop.URL, true},
		{"http://example.com/x", true},
		{"ftp://example.com/x", true},
		{"file:///etc/passwd", true},
		{"https://user:pw@example.com/x", true},
		{"https://10.0.0.1/x", false},
		{"https://10.0.0.1/x", true},
		{"https://[::ffff:127.0.0.1]/x", false},
		{"https://100.64.0.1/x", false},
		{"https://0.0.0.0/x", false},
		{"https://[fd00::1]/x", false},
		{"https://169.254.169.254/x", false},
		{"::", true},
	} {
		f := inner.source()
		f.Link, f.AllowLoopback = func(context.Context) (string, error) { return test.link + "?sig=s3cr3t", nil }, test.local
		_, _, err := get(t.Context(), f)
		var link *LinkError
		if !errors.As(err, &link) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v", test.link, err)
		}
	}
	if len(inner.requests()) > 0 {
		t.Errorf("the store on this machine was asked: %q", inner.requests())
	}
}

func TestRedirectToNoURL(t *testing.T) {
	for _, location := range []string{
		"http://[bad?sig=s3cr3t", "http://h%zz/?sig=s3cr3t", "https://u:s3cr3t@example.com/",
	} {
		s := newStore(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusFound)
		})
		_, _, err := get(t.Context(), s.source())
		var link *LinkError
		if !errors.As(err, &link) || strings.Contains(err.Error(), "s3cr3t") || len(s.requests()) != 1 {
			t.Errorf("got %v after %d requests", err, len(s.requests()))
		}
	}
}

// FuzzLinks checks that a link which is accepted is read in one way: as https to a plain
// host, also after it is written and parsed again. No error has a part of the link.
func FuzzLinks(f *testing.F) {
	for _, link := range []string{
		"https://storage.googleapis.com/b/o?sig=1", "https://1.2.3.4:8443/", "https://[2a00::1]/", "https://0x7f.1/", "//h/x",
		"https://u@h/", "https://h%2ecom/", "HTTPS://H.:443/%2e%2e?a b#c", "https://h\\@g/", "https:h", "https://h:/",
		"https://é/",
	} {
		f.Add(link)
	}
	f.Fuzz(func(t *testing.T, link string) {
		u, err := parseLink(link)
		if err == nil {
			err = Source{}.checkLink(u)
		}
		if err != nil {
			if _, ok := errors.AsType[*LinkError](err); !ok {
				t.Fatalf("%q: %v is not an error of a link", link, err)
			}
			return
		}
		again, err := parseLink(u.String())
		if err != nil || again.Host != u.Host || again.RequestURI() != u.RequestURI() {
			t.Fatalf("%q is read as %q, and then as %q, %v", link, u, again, err)
		}
		if err := (Source{}).checkLink(again); err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" {
			t.Fatalf("%q is accepted as %q, %v", link, u, err)
		}
		host := u.Hostname()
		if _, literal := netip.ParseAddr(host); literal != nil && strings.Trim(strings.ToLower(host),
			"abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
			t.Fatalf("%q has the host %q", link, host)
		}
	})
}
