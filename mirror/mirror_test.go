package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// storeVariable names the environment variable with the address of an S3 store
// and a bucket that tests may write to.
const storeVariable = "FULLSTORY_EXPORT_TEST_S3"

// minPart is the size of parts in tests, the smallest that S3 takes.
const minPart = 5 << 20

// TestMain lets minio-go retry without waiting.
func TestMain(m *testing.M) {
	minio.DefaultRetryUnit = time.Millisecond
	os.Exit(m.Run())
}

// options returns the options of the store for tests, with a new prefix.
func options(t testing.TB) Options {
	t.Helper()
	address := os.Getenv(storeVariable)
	if address == "" {
		t.Skipf("the mirror is not tested: set %s to the address of a store such as the one that .ci/s3 FOLDER starts",
			storeVariable)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	prefix := fmt.Sprintf("%s-%x", strings.ReplaceAll(t.Name(), "/", "-"), rand.Uint64())
	return Options{
		URL:      "s3:/" + u.Path + "/" + prefix,
		Endpoint: u.Scheme + "://" + u.Host,
		Region:   "us-east-1",
		Getenv:   environment("AWS_ACCESS_KEY_ID", u.User.Username(), "AWS_SECRET_ACCESS_KEY", secret),
	}
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// openMirror returns a mirror with small parts, and a recorder of its requests.
func openMirror(t testing.TB, o Options) (*Mirror, *recorder) {
	t.Helper()
	w := &recorder{}
	if o.Transport == nil {
		o.Transport = w
	}
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	m.limits.partSize = minPart
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return m, w
}

// recorder is a transport that records the requests to the store and lets a test
// intercept them.
type recorder struct {
	mu        sync.Mutex
	requests  []string
	intercept func(*http.Request) (*http.Response, error) // nil, or returns nil, nil: the request is sent
}

func (w *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.requests = append(w.requests, kind(r))
	intercept := w.intercept
	w.mu.Unlock()
	if intercept != nil {
		if a, err := intercept(r); a != nil || err != nil {
			return a, err
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// kind names a request: stat, get, list, put, part, begin, complete or end.
func kind(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodHead:
		return "stat"
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "part"
	case r.Method == http.MethodPut:
		return "put"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "begin"
	case r.Method == http.MethodPost:
		return "complete"
	case r.Method == http.MethodDelete:
		return "end"
	case q.Has("uploads"), q.Has("uploadId"), q.Has("list-type"):
		return "list"
	}
	return "get"
}

// take returns the number of requests of each kind since the last call.
func (w *recorder) take() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := map[string]int{}
	for _, r := range w.requests {
		n[r]++
	}
	w.requests = nil
	return n
}

// content returns n random bytes, the same for the same seed, and their checksum.
func content(seed uint64, n int) ([]byte, string) {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b, sumOf(b)
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// putPlain writes an object without the metadata of Put, as another program would.
func putPlain(t testing.TB, m *Mirror, name string, b []byte) {
	t.Helper()
	_, err := m.core.PutObject(t.Context(), m.bucket, m.prefix+name, bytes.NewReader(b), int64(len(b)), "", "",
		minio.PutObjectOptions{})
	if err != nil {
		t.Error(err)
	}
}

func put(t testing.TB, m *Mirror, name string, b []byte) {
	t.Helper()
	if err := m.Put(t.Context(), name, bytes.NewReader(b), int64(len(b)), sumOf(b)); err != nil {
		t.Fatal(err)
	}
}

// expectContent checks that the object name has the content b.
func expectContent(t testing.TB, m *Mirror, name string, b []byte) {
	t.Helper()
	got, err := m.Get(t.Context(), name, int64(len(b)))
	if err != nil || !bytes.Equal(got, b) {
		t.Fatalf("%s has %d bytes (%v), want the %d of Put", name, len(got), err, len(b))
	}
	o, err := m.Stat(t.Context(), name)
	if want := (Object{name, int64(len(b)), sumOf(b)}); err != nil || o != want {
		t.Errorf("Stat says %+v (%v), want %+v", o, err, want)
	}
}

// expectMissing checks that no object has the name.
func expectMissing(t testing.TB, m *Mirror, name string) {
	t.Helper()
	if o, err := m.Stat(t.Context(), name); !errors.Is(err, ErrMissing) {
		t.Errorf("Stat says %+v (%v), want ErrMissing", o, err)
	}
}

// expectUnfinished checks the number of unfinished uploads to name, and returns
// their ids.
func expectUnfinished(t testing.TB, m *Mirror, name string, want int) []string {
	t.Helper()
	ids, err := m.uploads(t.Context(), m.prefix+name)
	if err != nil || len(ids) != want {
		t.Errorf("%d unfinished uploads (%v), want %d", len(ids), err, want)
	}
	return ids
}

// TestPut puts files of sizes around that of a part, and puts each once more.
func TestPut(t *testing.T) {
	for _, size := range []int{0, 1, 1000, minPart - 1, minPart, minPart + 1, 3 * minPart, 3*minPart + 17} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			for name, plain := range map[string]bool{"sha256": false, "md5": true} {
				m, w := openMirror(t, options(t))
				m.md5.Store(plain)
				b, sum := content(1, size)
				put(t, m, "2026/"+name, b)
				expectContent(t, m, "2026/"+name, b)
				w.take()
				if err := m.Put(t.Context(), "2026/"+name, bytes.NewReader(b), int64(size), strings.ToUpper(sum)); err != nil {
					t.Fatal(err)
				}
				if n := w.take(); n["stat"] != 1 || len(n) != 1 {
					t.Errorf("requests for a copy that exists: %v, want one stat", n)
				}
				expectUnfinished(t, m, "2026/"+name, 0)
			}
		})
	}
}

// TestReplaced puts another content over an existing one.
func TestReplaced(t *testing.T) {
	m, _ := openMirror(t, options(t))
	for seed, size := range []int{1000, 2*minPart + 1, 1000, 2*minPart + 1, 2*minPart + 1, 0} {
		b, _ := content(uint64(seed), size)
		put(t, m, "file", b)
		expectContent(t, m, "file", b)
	}
	// An object of the same size without a checksum is replaced, too.
	b, _ := content(9, 100)
	putPlain(t, m, "file", make([]byte, 100))
	if o, err := m.Stat(t.Context(), "file"); err != nil || o.SHA256 != "" || o.Size != 100 {
		t.Errorf("an object of another program: %+v (%v), want no checksum", o, err)
	}
	put(t, m, "file", b)
	expectContent(t, m, "file", b)
}

// TestNames uses names that need escaping somewhere.
func TestNames(t *testing.T) {
	m, _ := openMirror(t, options(t))
	for _, name := range []string{
		"day=2026-10-01/hour=00:00/part+1.ndjson.gz", "a b", "ünï/日本語/🙂.csv", `quote"'&<>%25?#;,@!$()*~^|\`,
		"tab\there", "manifest.json", ".hidden", "a/b/c/d",
	} {
		small, _ := content(2, 100)
		put(t, m, name, small)
		expectContent(t, m, name, small)
		large, _ := content(3, 2*minPart)
		put(t, m, name, large)
		expectContent(t, m, name, large)
		if all, err := m.List(t.Context(), ""); err != nil || all[name] != 2*minPart {
			t.Errorf("%q has %d bytes in the list (%v), want %d", name, all[name], err, 2*minPart)
		}
		if m.Address(name) != "s3://"+m.bucket+"/"+m.prefix+name {
			t.Errorf("the address of %q is %s", name, m.Address(name))
		}
	}
	for _, name := range []string{
		"", ".", "/", "/a", "a/", "a//b", "../a", "a/./b", strings.Repeat("a", 1025), "\xff",
	} {
		err := m.Put(t.Context(), name, strings.NewReader("a"), 1, sumOf([]byte("a")))
		if err == nil || !strings.Contains(err.Error(), "cannot be the name") {
			t.Errorf("name %q: %v, want a rejection", name, err)
		}
	}
}

// TestList lists more objects than fit in one answer.
func TestList(t *testing.T) {
	m, w := openMirror(t, options(t))
	if all, err := m.List(t.Context(), "bulk"); err != nil || len(all) != 0 || all == nil {
		t.Errorf("an empty folder: %v (%v)", all, err)
	}
	names := make(chan string)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for name := range names {
				putPlain(t, m, name, []byte("abc"))
			}
		})
	}
	for i := range 2100 {
		names <- fmt.Sprintf("bulk/%02d/file %d", i%7, i)
	}
	names <- "bulk2/other"
	names <- "alone"
	close(names)
	workers.Wait()
	putPlain(t, m, "bulk/03/empty/", nil) // as consoles of stores do for a folder
	w.take()
	all, err := m.List(t.Context(), "bulk")
	if err != nil || len(all) != 2100 || all["bulk/05/file 5"] != 3 {
		t.Errorf("%d objects (%v), want 2100", len(all), err)
	}
	if n := w.take()["list"]; n != 3 {
		t.Errorf("%d requests for 2100 objects, want 3", n)
	}
	if some, err := m.List(t.Context(), "bulk/03"); err != nil || len(some) != 300 {
		t.Errorf("%d objects of a folder in the folder (%v), want 300", len(some), err)
	}
	if all, err := m.List(t.Context(), ""); err != nil || len(all) != 2102 {
		t.Errorf("%d objects of all (%v), want 2102", len(all), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.intercept = func(r *http.Request) (*http.Response, error) { // between two pages
		a, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		page, err := io.ReadAll(a.Body)
		a.Body = io.NopCloser(bytes.NewReader(page))
		cancel()
		return a, err
	}
	if some, err := m.List(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted list has %d objects (%v), want the error of the context", len(some), err)
	}
}

// TestGet rejects an object that is too large or damaged on its way.
func TestGet(t *testing.T) {
	m, w := openMirror(t, options(t))
	b, _ := content(4, 1000)
	put(t, m, "manifest.json", b)
	for _, most := range []int64{0, 999} {
		if got, err := m.Get(t.Context(), "manifest.json", most); err == nil || temporary(err) {
			t.Errorf("got %d bytes (%v) where %d are allowed", len(got), err, most)
		}
	}
	if _, err := m.Get(t.Context(), "nothing", 10); !errors.Is(err, ErrMissing) {
		t.Errorf("Get of nothing: %v, want ErrMissing", err)
	}
	w.intercept = func(r *http.Request) (*http.Response, error) {
		a, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			a.Body = flip(a.Body)
		}
		return a, err
	}
	if _, err := m.Get(t.Context(), "manifest.json", 1000); err == nil || !temporary(err) {
		t.Errorf("a damaged answer: %v, want a temporary error", err)
	}
}

// flip returns a reader that changes one bit of what r reads.
func flip(r io.ReadCloser) io.ReadCloser { return &flipped{ReadCloser: r} }

type flipped struct {
	io.ReadCloser
	done bool
}

func (f *flipped) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	if n > 0 && !f.done {
		b[n/2] ^= 4
		f.done = true
	}
	return n, err
}

// TestCheck checks that Check leaves nothing in the store.
func TestCheck(t *testing.T) {
	o := options(t)
	for _, region := range []string{"", "us-east-1"} {
		o.Region = region
		m, _ := openMirror(t, o)
		if err := m.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if all, err := m.List(t.Context(), ""); err != nil || len(all) != 0 {
			t.Errorf("left behind: %v (%v)", all, err)
		}
		expectUnfinished(t, m, "check", 0)
		expectMissing(t, m, "check")
	}
}

func BenchmarkPut(b *testing.B) {
	o := options(b)
	o.Transport = http.DefaultTransport
	m, _ := openMirror(b, o)
	m.limits.partSize = 16 << 20
	data, sum := content(1, 64<<20)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		if err := m.Put(b.Context(), fmt.Sprint(i), bytes.NewReader(data), int64(len(data)), sum); err != nil {
			b.Fatal(err)
		}
	}
}
