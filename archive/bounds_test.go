package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestUnevenCuts has a store without a strong ETag break at changing places:
// that is no progress, however often one try brings more than the one before.
func TestUnevenCuts(t *testing.T) {
	content := zip(t, rowsOf(2000))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 40 {
			cancel()
		}
		cut(w, r, `W/"a"`, content, 10_000*(1+n%2))
	})
	_, err := open(t).Fetch(ctx, s.fetch())
	var transfer *TransferError
	if !errors.As(err, &transfer) || len(s.requests()) > 10 {
		t.Errorf("got %v after %d requests", err, len(s.requests()))
	}
}

// filler is an endless stream of one byte.
type filler struct{ read int64 }

func (f *filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	f.read += int64(len(p))
	return len(p), nil
}

func TestEndlessRows(t *testing.T) {
	for format, head := range map[string]string{comma: "a,b\n1,\"", ndjson: `{"a":"`, array: `[{"a":"`} {
		rest := &filler{}
		bounded := io.LimitReader(rest, 4*longestRow) // so that a failure ends as well
		_, err := readRows(io.MultiReader(strings.NewReader(head), bounded), rules{format: format})
		var content *ContentError
		if !errors.As(err, &content) || !strings.Contains(err.Error(), "longer than") || rest.read > 3*longestRow {
			t.Errorf("%s: got %v after %s", format, err, size(rest.read))
		}
	}
}

func TestRedirectToNoURL(t *testing.T) {
	for _, location := range []string{"http://[bad?sig=s3cr3t", "http://h%zz/?sig=s3cr3t", "https://u:s3cr3t@example.com/"} {
		s := newStore(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusFound)
		})
		_, err := open(t).Fetch(t.Context(), s.fetch())
		var link *LinkError
		if !errors.As(err, &link) || strings.Contains(err.Error(), "s3cr3t") || len(s.requests()) != 1 {
			t.Errorf("got %v after %d requests", err, len(s.requests()))
		}
	}
}

func TestFileNamesAreChecked(t *testing.T) {
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, zip(t, rowsOf(3))) })
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, ManifestName, ".lock"} {
		a, f := open(t), s.fetch()
		f.Name = name
		if _, err := a.Fetch(t.Context(), f); err == nil {
			t.Errorf("%q was accepted", name)
		}
		if _, err := os.Stat(a.Dir()); err == nil {
			t.Errorf("%q: something was written", name)
		}
	}
	if asked := s.requests(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}

func TestPublicAddresses(t *testing.T) {
	for ip, want := range map[string]bool{
		"142.250.1.207": true, "2a00:1450:4001::1": true, "64:ff9b::8efa:1cf": true, "::ffff:142.250.1.207": true,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::7f00:1": false, "64:ff9b:1::a00:1": false, "2002:7f00:1::": false,
		"0.1.2.3": false, "192.0.0.8": false, "198.18.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "224.0.0.1": false,
		"::": false, "::1": false, "fe80::1": false, "fd00:ec2::254": false, "100.100.100.200": false, "::ffff:10.0.0.1": false,
	} {
		if got := public(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: public is %t", ip, got)
		}
	}
}

// endsLater is a context that ends when its Err has been asked a few times.
type endsLater struct {
	context.Context
	left atomic.Int32
}

func (e *endsLater) Err() error {
	if e.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestTakingUpCanBeCancelled ends a download while it reads what an earlier one
// left, which takes minutes when that is large.
func TestTakingUpCanBeCancelled(t *testing.T) {
	content := zip(t, rowsOf(20_000))
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, content) })
	a, f := open(t), s.fetch()
	half := len(content) / 2
	dir := filepath.Join(a.Dir(), f.Folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	note := fmt.Appendf(nil, `{"operation":"op=","etag":"\"a\"","total":%d}`, len(content))
	for name, b := range map[string][]byte{f.Name + ".part": content[:half], f.Name + ".part.json": note} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx := &endsLater{Context: t.Context()}
	ctx.left.Store(4) // one look before the part is opened, the others between its blocks
	if _, err := a.Fetch(ctx, f); !errors.Is(err, context.Canceled) || len(s.requests()) > 0 {
		t.Errorf("got %v after %d requests", err, len(s.requests()))
	}
	if kept, err := os.ReadFile(filepath.Join(dir, f.Name+".part")); err != nil || !bytes.Equal(kept, content[:half]) {
		t.Fatalf("the part has %d bytes, want %d: %v", len(kept), half, err)
	}
	if got, err := a.Fetch(t.Context(), f); err != nil || got.Rows != 20_000 || s.requests()[0] != fmt.Sprintf(`GET bytes=%d- "a"`, half) {
		t.Errorf("got %d rows, %v, asked %q", got.Rows, err, s.requests())
	}
}

// TestPublishedPartIsDone closes a part after another has begun under its name.
func TestPublishedPartIsDone(t *testing.T) {
	root, err := open(t).folder("x", true)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	first, err := openPart(t.Context(), root, "f", "op=", rules{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Write(zip(t, "{}")); err != nil {
		t.Fatal(err)
	}
	if err := first.publish(); err != nil {
		t.Fatal(err)
	}
	second, err := openPart(t.Context(), root, "f", "op=", rules{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	first.close()
	if _, err := root.Stat("f.part"); err != nil {
		t.Errorf("the part of the second is gone: %v", err)
	}
}

// TestStartAfterClose starts downloads while and after their registry closes:
// nothing may go on behind Close.
func TestStartAfterClose(t *testing.T) {
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, zip(t, rowsOf(3))) })
	d := NewDownloads(open(t))
	begun := make(chan *Download)
	go func() { begun <- d.Start("a", s.fetch()) }()
	d.Close()
	(<-begun).Wait(t.Context())
	asked := len(s.requests())
	if got := d.Start("b", s.fetch()).Status(); got.State != Failed || !got.Interrupted() || len(s.requests()) > asked {
		t.Errorf("after Close: got %+v", got)
	}
}
