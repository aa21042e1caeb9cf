package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPutNew writes a name once, from many mirrors at once, with either kind of checksum.
func TestPutNew(t *testing.T) {
	for name, md5 := range map[string]bool{"sha256": false, "md5": true} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			var all sync.WaitGroup
			var done atomic.Value
			var wrote atomic.Int32
			for n := range 8 {
				m, _ := openMirror(t, o)
				m.md5.Store(md5)
				all.Go(func() {
					content := bytes.Repeat(fmt.Append(nil, n), 1000)
					switch err := m.PutNew(t.Context(), "folder/file", content); {
					case err == nil:
						wrote.Add(1)
						done.Store(content)
					case !errors.Is(err, ErrExists) && !temporary(err):
						t.Error(err)
					}
				})
			}
			all.Wait()
			if wrote.Load() != 1 {
				t.Fatalf("%d of 8 wrote the file", wrote.Load())
			}
			m, _ := openMirror(t, o)
			expectContent(t, m, "folder/file", done.Load().([]byte))
			if err := m.PutNew(t.Context(), "folder/file", nil); !errors.Is(err, ErrExists) {
				t.Errorf("once more: %v", err)
			}
			if err := m.PutNew(t.Context(), "../file", nil); err == nil {
				t.Error("a name outside of the mirror was written")
			}
		})
	}
}

// TestPutNewOnce has answers that are lost: PutNew sends one request, and says that a retry may help.
func TestPutNewOnce(t *testing.T) {
	m, w := openMirror(t, options(t))
	w.intercept = func(r *http.Request) (*http.Response, error) {
		if kind(r) == "put" {
			return nil, errCut
		}
		return nil, nil
	}
	err := m.PutNew(t.Context(), "file", []byte("content"))
	if n := w.take(); !temporary(err) || n["put"] != 1 {
		t.Errorf("%v after %v", err, n)
	}
}

// TestPutNewWithoutSHA256 has a store that rejects SHA-256 checksums.
func TestPutNewWithoutSHA256(t *testing.T) {
	m, w := openMirror(t, options(t))
	w.intercept = func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("X-Amz-Checksum-Sha256") == "" {
			return nil, nil
		}
		return rejectionOf(r, 400, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256'"), nil
	}
	if err := m.PutNew(t.Context(), "file", []byte("content")); err != nil {
		t.Fatal(err)
	}
	expectContent(t, m, "file", []byte("content"))
}

// TestEachAndRemove lists objects after a name, and removes them.
func TestEachAndRemove(t *testing.T) {
	m, _ := openMirror(t, options(t))
	for _, name := range []string{"log/1", "log/2", "log/3", "log/a/b", "logs/4"} {
		if err := m.PutNew(t.Context(), name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	list := func(after string) map[string]int64 {
		found := map[string]int64{}
		err := m.Each(t.Context(), "log", after, func(name string, size int64, written time.Time) {
			if age := time.Since(written); age > time.Hour || age < -time.Hour {
				t.Errorf("%s was written %v ago", name, age)
			}
			found[name] = size
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got, want := list(""), (map[string]int64{"1": 5, "2": 5, "3": 5, "a/b": 7}); !maps.Equal(got, want) {
		t.Errorf("all: %v, want %v", got, want)
	}
	if got, want := list("2"), (map[string]int64{"3": 5, "a/b": 7}); !maps.Equal(got, want) {
		t.Errorf("after 2: %v, want %v", got, want)
	}
	for range 2 { // the second time it is not there
		if err := m.Remove(t.Context(), "log/3"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := list("2"), (map[string]int64{"a/b": 7}); !maps.Equal(got, want) {
		t.Errorf("after a removal: %v, want %v", got, want)
	}
	if err := m.Remove(t.Context(), strings.Repeat("x", 2000)); err == nil {
		t.Error("a name that is too long was taken")
	}
}

// TestReplace replaces an object from many mirrors at once, with contents of one length and of
// several: each call succeeds, and one content stays.
func TestReplace(t *testing.T) {
	o := options(t)
	var all sync.WaitGroup
	for n := range 8 {
		m, _ := openMirror(t, o)
		m.md5.Store(n%2 == 0)
		all.Go(func() {
			for range 5 {
				if err := m.Replace(t.Context(), "file", bytes.Repeat([]byte{byte('a' + n)}, 10_000+n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	m, w := openMirror(t, o)
	got, err := m.Get(t.Context(), "file", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if n := int(got[0] - 'a'); !bytes.Equal(got, bytes.Repeat(got[:1], 10_000+n)) {
		t.Errorf("%d bytes of %q", len(got), got[0])
	}
	var puts atomic.Int32
	w.intercept = func(r *http.Request) (*http.Response, error) {
		if kind(r) == "put" && puts.Add(1) == 1 {
			return rejectionOf(r, 503, "SlowDown", "later"), nil
		}
		return nil, nil
	}
	if err := m.Replace(t.Context(), "file", []byte("new")); err != nil || puts.Load() != 2 {
		t.Errorf("%v after %d requests", err, puts.Load())
	}
	expectContent(t, m, "file", []byte("new"))
}
