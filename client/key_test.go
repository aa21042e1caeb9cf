package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var quiet = log.New(io.Discard, "", 0)

// countNew counts new connections of a server.
func countNew(n *atomic.Int32) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
}

// rotation is an API with two organisations, and a source of keys that can be
// changed.
type rotation struct {
	mu   sync.Mutex
	key  Key
	err  error
	seen []string // the path and key of each request
}

func (r *rotation) source() (Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.key, r.err
}

func (r *rotation) set(key Key, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key, r.err, r.seen = key, err, nil
}

func (r *rotation) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

func (r *rotation) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	key := strings.TrimPrefix(q.Header.Get("Authorization"), "Basic ")
	r.mu.Lock()
	r.seen = append(r.seen, q.URL.Path+" "+key)
	r.mu.Unlock()
	org, _, _ := strings.Cut(key, "-")
	switch {
	case org == "gone":
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"message":"no key %s"}`, key)
	case q.URL.Path == "/me":
		fmt.Fprintf(w, `{"orgId":%q,"role":"ADMIN"}`, org)
	default:
		fmt.Fprint(w, `{"operationId":"op"}`)
	}
}

func rotate(t *testing.T) (*rotation, *Client, *bytes.Buffer) {
	t.Helper()
	r := &rotation{key: "A-1"}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	var text bytes.Buffer
	c := newClient(t, Options{Key: "ignored", Source: r.source, KeySource: "FULLSTORY_API_KEY_FILE=/key",
		BaseURL: s.URL, Log: slog.New(slog.NewTextHandler(&text, nil))})
	return r, c, &text
}

func create(ctx context.Context, c *Client) error {
	_, err := c.CreateSegmentExport(ctx, ExportRequest{SegmentID: "everyone", Type: TypeEvent})
	return err
}

// TestKeyIsReplaced rotates the key of a client that is in use.
func TestKeyIsReplaced(t *testing.T) {
	r, c, log := rotate(t)
	expect := func(what string, requests ...string) {
		t.Helper()
		if err := create(t.Context(), c); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if fmt.Sprint(r.requests()) != fmt.Sprint(requests) {
			t.Errorf("%s: the API got %q, want %q", what, r.requests(), requests)
		}
	}
	expect("at first", "/segments/v1/exports A-1")
	first := c.KeyHash()
	r.set("A-2", nil)
	expect("replaced", "/segments/v1/exports A-2")
	if c.KeyHash() == first {
		t.Error("the hash of the key is still the old one")
	}
	r.set("", errors.New("the file is empty"))
	expect("emptied", "/segments/v1/exports A-2")
	expect("still empty", "/segments/v1/exports A-2", "/segments/v1/exports A-2")
	r.set("two words", nil)
	expect("invalid", "/segments/v1/exports A-2")
	r.set("A-2", nil)
	expect("repaired", "/segments/v1/exports A-2")
	if n := strings.Count(log.String(), "the previous key stays in use"); n != 2 ||
		!strings.Contains(log.String(), "FULLSTORY_API_KEY_FILE=/key") || strings.Contains(log.String(), "A-2") {
		t.Errorf("%d warnings, want one for each fault: %s", n, log.String())
	}
	r.set("gone-1", nil)
	var failed *Error
	if err := create(t.Context(), c); !errors.As(err, &failed) || failed.Kind() != KeyRejected ||
		failed.KeySource != "FULLSTORY_API_KEY_FILE=/key" || failed.Message != "no key [key]" {
		t.Errorf("with a key that was deleted: %#v", failed)
	}
}

// TestKeyOfAnotherOrganization replaces the key of a client that is bound to an
// organisation: a new key is sent to /me only, until its organisation is known.
func TestKeyOfAnotherOrganization(t *testing.T) {
	r, c, _ := rotate(t)
	c.Bind("A", c.KeyHash())
	if err := create(t.Context(), c); err != nil || len(r.requests()) != 1 {
		t.Errorf("with the key of Bind: %v after %q", err, r.requests())
	}
	r.set("A-2", nil)
	for range 2 {
		if err := create(t.Context(), c.ForBulk()); err != nil {
			t.Error(err)
		}
	}
	if got, want := fmt.Sprint(r.requests()), "[/me A-2 /segments/v1/exports A-2 /segments/v1/exports A-2]"; got != want {
		t.Errorf("with another key of the organisation the API got %s, want %s", got, want)
	}
	r.set("B-1", nil)
	for _, call := range []func() error{
		func() error { return create(t.Context(), c) },
		func() error { return create(t.Context(), c.ForBulk()) },
		func() error { _, err := c.Me(t.Context()); return err },
	} {
		err := call()
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind() != KeyRejected || failed.Code != CodeOtherOrganization ||
			failed.Uncertain || !strings.Contains(failed.Message, "organisation B, but this server works for A") {
			t.Errorf("with a key of another organisation: %#v", failed)
		}
	}
	if got := fmt.Sprint(r.requests()); got != "[/me B-1]" {
		t.Errorf("with a key of another organisation the API got %s", got)
	}
	r.set("gone-1", nil)
	var failed *Error
	if err := create(t.Context(), c); !errors.As(err, &failed) || failed.Status != http.StatusUnauthorized ||
		fmt.Sprint(r.requests()) != "[/me gone-1]" {
		t.Errorf("with a key that was deleted: %#v after %q", failed, r.requests())
	}
	r.set("A-3", nil)
	if err := create(t.Context(), c); err != nil {
		t.Errorf("after a return to a key of the organisation: %v", err)
	}
}

// TestKeyOfAnotherRegion replaces a key by one for another data centre.
func TestKeyOfAnotherRegion(t *testing.T) {
	next := Options{}.checkNext("na1.x/Y")
	if err := next("eu1.x/Y"); err == nil || !strings.Contains(err.Error(), "https://api.eu1.fullstory.com") {
		t.Errorf("a key of another region: %v", err)
	}
	if err := next("na1.z/Y"); err != nil {
		t.Errorf("a key of the same region: %v", err)
	}
}
