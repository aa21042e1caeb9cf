package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestWriters commits from several tables of one place at once: to windows of their own, and to
// one that they share.
func TestWriters(t *testing.T) {
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		race(t, func() Store { return openFolder(t, dir) })
	})
	t.Run("bucket", func(t *testing.T) {
		o := options(t)
		race(t, func() Store { return openBucket(t, o) })
	})
}

const writers, eachWriter = 4, 15

// race is TestWriters for the stores of one place.
func race(t *testing.T, store func() Store) {
	var all sync.WaitGroup
	var shared atomic.Int32
	for w := range writers {
		table, err := Create(t.Context(), store(), "seed", "", columns())
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for n := range eachWriter {
				err := replaceShared(t, table, w*eachWriter+n)
				if err == nil {
					shared.Add(1)
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	table, err := Open(t.Context(), store())
	if err != nil {
		t.Fatal(err)
	}
	got, own, n := table.Snapshot(), writers*eachWriter, int(shared.Load())
	if got.Version != int64(own+n) || got.Len() != own+1 {
		t.Errorf("version %d with %d files, want %d with %d", got.Version, got.Len(), own+n, own+1)
	}
	if t.Logf("%d versions, %d conflicts", got.Version, own-n); own == n {
		t.Error("no two commits replaced the same file")
	}
	checkProtocol(t, store())
}

// replaceShared adds window n+1 and then replaces the file of window 0 that was there before. It
// returns the error of that.
func replaceShared(t *testing.T, table *Table, n int) error {
	old, there := table.Snapshot().Window("0")
	if _, err := table.Commit(t.Context(), Change{Add: []File{window(n+1, 0)}}); err != nil {
		return fmt.Errorf("a window of its own: %v", err)
	}
	c := Change{Add: []File{window(0, n)}}
	if there {
		c.Remove = []string{old.Path}
	}
	_, err := table.Commit(t.Context(), c)
	if _, err := table.Checkpoint(t.Context()); err != nil {
		t.Error(err)
	}
	return err
}

// transport lets a test intercept the requests that put commits.
type transport struct {
	put func(r *http.Request, n int32) (*http.Response, error) // nil, nil: the request is sent
	n   atomic.Int32
}

func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, commitSuffix) && c.put != nil {
		if a, err := c.put(r, c.n.Add(1)); a != nil || err != nil {
			return a, err
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// errCut is the error of a connection that was cut.
var errCut = errors.New("the connection was cut")

// pass sends a request and forgets the answer.
func pass(t *testing.T, r *http.Request) {
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return
	}
	io.Copy(io.Discard, a.Body)
	a.Body.Close()
}

// answer is one of a store.
func answer(r *http.Request, status int) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Request: r, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader("<Error><Code>InternalError</Code><Message>x</Message></Error>")),
	}
}

// TestAmbiguous cuts connections while a commit is put. It is never made twice, and never
// reported as failed when it was written.
func TestAmbiguous(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, r *http.Request, n int32) (*http.Response, error){
		"lost before": func(_ *testing.T, _ *http.Request, n int32) (*http.Response, error) {
			if n > 1 {
				return nil, nil
			}
			return nil, errCut
		},
		"lost after": func(t *testing.T, r *http.Request, n int32) (*http.Response, error) {
			if n > 1 {
				return nil, nil
			}
			pass(t, r)
			return nil, errCut
		},
		"500 after": func(t *testing.T, r *http.Request, n int32) (*http.Response, error) {
			if n > 1 {
				return nil, nil
			}
			pass(t, r)
			return answer(r, 500), nil
		},
		"503 thrice": func(_ *testing.T, r *http.Request, n int32) (*http.Response, error) {
			if n > 3 {
				return nil, nil
			}
			return answer(r, 503), nil
		},
		"conflict of requests": func(_ *testing.T, r *http.Request, n int32) (*http.Response, error) {
			if n > 1 {
				return nil, nil
			}
			return answer(r, 409), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			c := &transport{}
			o.Transport = c
			s := openBucket(t, o)
			table := create(t, s)
			commit(t, table, Change{Add: []File{window(0, 0)}})
			c.n.Store(0)
			c.put = func(r *http.Request, n int32) (*http.Response, error) { return put(t, r, n) }
			if got := commit(t, table, Change{Add: []File{window(1, 0)}}); got.Version != 2 || got.Len() != 2 {
				t.Errorf("version %d with %d files", got.Version, got.Len())
			}
			c.put = nil
			if got := commit(t, table, Change{Add: []File{window(2, 0)}}); got.Version != 3 {
				t.Errorf("then version %d", got.Version)
			}
			checkProtocol(t, s)
		})
	}
}

// TestLate has a request that arrives after its connection was cut and another writer has
// committed, or after the caller has given up.
func TestLate(t *testing.T) {
	o := options(t)
	c := &transport{}
	o.Transport = c
	s := openBucket(t, o)
	table, other := create(t, s), create(t, openBucket(t, options2(t, o.URL)))
	commit(t, table, Change{Add: []File{window(0, 0)}})
	c.n.Store(0)
	c.put = func(r *http.Request, n int32) (*http.Response, error) {
		if n > 1 {
			return nil, nil
		}
		commit(t, other, Change{Add: []File{window(5, 0)}})
		return nil, errCut
	}
	if got := commit(t, table, Change{Add: []File{window(1, 0)}}); got.Version != 3 || got.Len() != 3 {
		t.Errorf("version %d with %d files", got.Version, got.Len())
	}
	// The caller's context ends while the request is under way, and the request arrives later.
	ctx, cancel := context.WithCancel(t.Context())
	var late *http.Request
	c.n.Store(0)
	c.put = func(r *http.Request, n int32) (*http.Response, error) {
		if n > 1 {
			return nil, nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		late = r.Clone(context.Background())
		late.Body = io.NopCloser(bytes.NewReader(body))
		cancel()
		return nil, errCut
	}
	change := Change{Add: []File{window(2, 0)}}
	if _, err := table.Commit(ctx, change); !errors.Is(err, ErrUncertain) {
		t.Fatalf("a commit that may still be written: %v", err)
	}
	pass(t, late)
	if got, err := table.Refresh(t.Context()); err != nil || got.Version != 4 {
		t.Errorf("version %d, %v", got.Version, err)
	}
	if got := commit(t, table, change); got.Version != 4 || got.Len() != 4 {
		t.Errorf("the same change again made version %d with %d files", got.Version, got.Len())
	}
	checkProtocol(t, s)
}

// TestUnconditional has a store that ignores If-None-Match: no commit must be made there.
func TestUnconditional(t *testing.T) {
	o := options(t)
	s := openBucket(t, o)
	commit(t, create(t, s), Change{Add: []File{window(0, 0)}})
	o.Transport = ignoring{}
	table, err := Open(t.Context(), openBucket(t, o))
	if err != nil {
		t.Fatal(err)
	}
	_, err = table.Commit(t.Context(), Change{Add: []File{window(1, 0)}})
	if err == nil || !strings.Contains(err.Error(), "If-None-Match") {
		t.Errorf("a commit: %v", err)
	}
	o.URL += "-new"
	if _, err := Create(t.Context(), openBucket(t, o), "seed", "", columns()); err == nil {
		t.Error("a table was created")
	}
	same(t, table.Snapshot(), create(t, s).Snapshot())
}

// ignoring is a store that ignores If-None-Match. The header is signed, so that the request is
// sent as a copy: it is put over the object that is removed first.
type ignoring struct{}

func (ignoring) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && a.StatusCode == http.StatusPreconditionFailed {
		a.Body.Close()
		a = answer(r, http.StatusOK)
		a.Body = io.NopCloser(strings.NewReader(""))
		a.Header.Set("ETag", `"x"`)
	}
	return a, err
}

// TestFull has a folder that cannot be written: nothing is committed, and the error says so.
func TestFull(t *testing.T) {
	s, _ := newFolder(t)
	table := create(t, s)
	failed := errors.New("no space left on device")
	table.store = failing{s, fmt.Errorf("write: %w", failed)}
	if _, err := table.Commit(t.Context(), Change{Add: []File{window(1, 0)}}); !errors.Is(err, failed) ||
		errors.Is(err, ErrUncertain) {
		t.Errorf("a full disk: %v", err)
	}
	table.store = s
	if got := commit(t, table, Change{Add: []File{window(1, 0)}}); got.Version != 1 {
		t.Errorf("version %d", got.Version)
	}
	// A flush that fails after the commit has its name leaves open whether it stays.
	table.store = failing{unsettled{s}, nil}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := table.Commit(ctx, Change{Add: []File{window(2, 0)}}); !errors.Is(err, ErrUncertain) {
		t.Errorf("a flush that failed: %v after %v", err, time.Since(began))
	}
	table.store = s
	if got := commit(t, table, Change{Add: []File{window(2, 0)}}); got.Version != 2 || got.Len() != 2 {
		t.Errorf("version %d with %d files", got.Version, got.Len())
	}
	checkProtocol(t, s)
}

// failing fails to create files if err is set.
type failing struct {
	Store
	err error
}

func (f failing) create(ctx context.Context, name string, content []byte) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.create(ctx, name, content)
}

// unsettled writes files and cannot make them durable.
type unsettled struct{ Store }

func (u unsettled) create(ctx context.Context, name string, content []byte) error {
	if err := u.Store.create(ctx, name, content); err != nil {
		return err
	}
	return fmt.Errorf("%w: input/output error", errMaybe)
}

func (u unsettled) settle(context.Context) error { return errors.New("input/output error") }
