package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// cuts are the ways in which a connection is cut while it sends a part: before,
// during or after.
var cuts = map[string]func(*http.Request) error{
	"before": func(*http.Request) error { return errCut },
	"midway": func(r *http.Request) error {
		// Half of this part: the store must not get a short part whole after all.
		r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, r.ContentLength/2), failing{}))
		_, err := http.DefaultTransport.RoundTrip(r)
		return err
	},
	"after": func(r *http.Request) error {
		if a, err := http.DefaultTransport.RoundTrip(r); err == nil {
			io.Copy(io.Discard, a.Body)
			a.Body.Close()
		}
		return errCut
	},
}

// TestResumed interrupts an upload at any part, in several ways, and resumes it
// with another mirror.
func TestResumed(t *testing.T) {
	o := options(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for name, cut := range cuts {
		for way, md5 := range map[string]bool{"sha256": false, "md5": true} {
			name := name + "-" + way
			t.Run(name, func(t *testing.T) {
				count := 2 + random.IntN(6)
				b, _ := content(seed, (count-1)*minPart+1+random.IntN(minPart))
				one, w := openMirror(t, o)
				one.md5.Store(md5)
				interruptPut(t, one, w, name, b, int32(1+random.IntN(count)), cut)
				expectMissing(t, one, name)
				id := expectUnfinished(t, one, name, 1)[0]
				stored, err := one.parts(t.Context(), one.prefix+name, id)
				if err != nil {
					t.Fatal(err)
				}
				two, w := openMirror(t, o)
				two.md5.Store(md5)
				put(t, two, name, b)
				n := w.take()
				if n["part"] != count-len(stored) || n["complete"] != 1 || len(stored) > 0 && n["begin"] != 0 {
					t.Errorf("the store had %d parts of %d; then requests: %v", len(stored), count, n)
				}
				expectContent(t, two, name, b)
				expectUnfinished(t, two, name, 0)
			})
		}
	}
}

// interruptPut puts b, and cuts the connection and ends the context of Put when the
// part is sent that is number at in the order of requests, and at every later one.
func interruptPut(
	t *testing.T, m *Mirror, w *recorder, name string, b []byte, at int32, cut func(*http.Request) error,
) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var sent atomic.Int32
	w.intercept = func(r *http.Request) (*http.Response, error) {
		if kind(r) != "part" {
			return nil, nil
		}
		// The end of the context must not interrupt requests that are under way, so
		// that the number of parts that arrive does not change any more.
		r = r.WithContext(context.WithoutCancel(r.Context()))
		if sent.Add(1) < at {
			return http.DefaultTransport.RoundTrip(r)
		}
		err := cut(r)
		cancel()
		return nil, err
	}
	err := m.Put(ctx, name, bytes.NewReader(b), int64(len(b)), sumOf(b))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cut at part %d: %v", at, err)
	}
}

var errCut = errors.New("the connection was cut")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

// leave begins an upload to "file" for the content with the checksum sum, and sends
// left in parts of part bytes. It does not complete the upload.
func leave(t *testing.T, m *Mirror, left []byte, part int, sum string) {
	t.Helper()
	key := m.prefix + "file"
	id, err := m.core.NewMultipartUpload(t.Context(), m.bucket, key, minio.PutObjectOptions{
		UserMetadata: map[string]string{"sha256": sum, "x-amz-checksum-algorithm": "SHA256"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &file{key: key, content: bytes.NewReader(left), size: int64(len(left))}
	u := &upload{file: f, id: id, partSize: int64(part)}
	for number := 1; ; number++ {
		from, n := u.at(number)
		if n == 0 {
			return
		}
		s, err := u.sums(from, n, io.Discard)
		if err == nil {
			_, err = m.sendPart(t.Context(), u, number, s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestLeftovers has several unfinished uploads: Put resumes the one with most parts
// and aborts the others.
func TestLeftovers(t *testing.T) {
	m, w := openMirror(t, options(t))
	b, sum := content(1, 3*minPart+5)
	for _, parts := range []int{1, 3, 1, 2, 1} {
		leave(t, m, b[:parts*minPart], minPart, sum)
	}
	expectUnfinished(t, m, "file", 5)
	w.take()
	put(t, m, "file", b)
	if n := w.take(); n["part"] != 1 || n["end"] != 4 {
		t.Errorf("requests: %v, want 1 part sent and 4 uploads aborted", n)
	}
	expectContent(t, m, "file", b)
	expectUnfinished(t, m, "file", 0)
}

// TestLeftover has an unfinished upload to the same name that is for another content
// or that another program began.
func TestLeftover(t *testing.T) {
	b, sum := content(1, 3*minPart+5)
	other, otherSum := content(2, 3*minPart+5)
	mixed := append(bytes.Clone(b[:minPart]), other[minPart:]...) // begins as b does
	for name, test := range map[string]struct {
		left  []byte // the parts that it has
		part  int
		sum   string // of the content that it was begun for
		parts int    // that Put sends
	}{
		"of another content":                   {other, minPart, otherSum, 4},
		"without a part":                       {nil, minPart, sum, 4},
		"in other parts":                       {b, minPart + 1, sum, 4},
		"longer":                               {append(bytes.Clone(b), 1), minPart, sum, 1},
		"shorter":                              {b[:2*minPart], minPart, sum, 2},
		"damaged midway":                       {mixed, minPart, sum, 3},
		"begun for another with the same part": {b[:minPart], minPart, otherSum, 3 + 4},
	} {
		t.Run(name, func(t *testing.T) {
			m, w := openMirror(t, options(t))
			leave(t, m, test.left, test.part, test.sum)
			w.take()
			put(t, m, "file", b)
			if n := w.take(); n["part"] != test.parts {
				t.Errorf("requests: %v, want %d parts sent", n, test.parts)
			}
			expectContent(t, m, "file", b)
			expectUnfinished(t, m, "file", 0)
		})
	}
}

// TestDamaged changes a bit of a body on its way to the store.
func TestDamaged(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "large": 3 * minPart} {
		for way, plain := range map[string]bool{"sha256": false, "md5": true} {
			t.Run(name+" "+way, func(t *testing.T) {
				m, w := openMirror(t, options(t))
				m.md5.Store(plain)
				m.limits.tries = 2
				b, sum := content(5, size)
				var parts atomic.Int32
				var once bool
				w.intercept = func(r *http.Request) (*http.Response, error) {
					if k := kind(r); (k == "put" || k == "part") && (parts.Add(1) == 1 || !once) {
						r.Body = flip(r.Body)
					}
					return nil, nil
				}
				err := m.Put(t.Context(), "file", bytes.NewReader(b), int64(size), sum)
				if !temporary(err) || !strings.Contains(err.Error(), "differ from those sent") {
					t.Errorf("damaged at every try: %v", err)
				}
				expectMissing(t, m, "file")
				w.mu.Lock()
				once = true
				w.mu.Unlock()
				parts.Store(0)
				put(t, m, "file", b)
				expectContent(t, m, "file", b)
			})
		}
	}
}

// TestWrongContent has a wrong checksum, a wrong size or an unreadable file.
func TestWrongContent(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "large": 3*minPart + 1} {
		t.Run(name, func(t *testing.T) {
			m, _ := openMirror(t, options(t))
			b, sum := content(6, size)
			_, otherSum := content(7, size)
			for what, try := range map[string]struct {
				content io.ReaderAt
				size    int
				sum     string
			}{
				"checksum":    {bytes.NewReader(b), size, otherSum},
				"no checksum": {bytes.NewReader(b), size, ""},
				"too short":   {bytes.NewReader(b), size + 1, sum},
				"too long":    {bytes.NewReader(b), size - 1, sum},
				"unreadable":  {unreadable{}, size, sum},
			} {
				err := m.Put(t.Context(), what, try.content, int64(try.size), try.sum)
				var e *Error
				if !errors.As(err, &e) || e.Temporary || !strings.Contains(e.Message, "no copy of it was made") {
					t.Errorf("%s: %v", what, err)
				}
				expectMissing(t, m, what)
				if errors.Is(err, errContent) {
					expectUnfinished(t, m, what, 0)
				}
				put(t, m, what, b)
				expectContent(t, m, what, b)
				expectUnfinished(t, m, what, 0)
			}
		})
	}
}

type unreadable struct{}

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errors.New("input/output error") }

// TestUnseen looks for the object while it is being sent.
func TestUnseen(t *testing.T) {
	o := options(t)
	m, w := openMirror(t, o)
	eyes, _ := openMirror(t, o)
	old, _ := content(1, 100)
	for _, before := range [][]byte{nil, old} {
		if before != nil {
			put(t, m, "file", before)
		}
		w.intercept = func(r *http.Request) (*http.Response, error) {
			if k := kind(r); k != "part" && k != "complete" {
				return nil, nil
			}
			if before == nil {
				expectMissing(t, eyes, "file")
				if all, err := eyes.List(t.Context(), ""); err != nil || len(all) != 0 {
					t.Errorf("a list has %v (%v) during the upload", all, err)
				}
			} else {
				expectContent(t, eyes, "file", before)
			}
			return nil, nil
		}
		b, _ := content(8, 3*minPart)
		put(t, m, "file", b)
		expectContent(t, eyes, "file", b)
		w.intercept = nil
	}
}

// TestSameAtOnce puts one file from several mirrors at once.
func TestSameAtOnce(t *testing.T) {
	o := options(t)
	b, sum := content(9, 4*minPart)
	var all sync.WaitGroup
	for range 4 {
		m, _ := openMirror(t, o)
		all.Go(func() {
			var err error
			for range 5 { // one may abort the upload of another
				err = m.Put(t.Context(), "file", bytes.NewReader(b), int64(len(b)), sum)
				if !temporary(err) {
					break
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	m, _ := openMirror(t, o)
	expectContent(t, m, "file", b)
}

// TestUploadGone has an upload that ended before a request for it.
func TestUploadGone(t *testing.T) {
	for name, test := range map[string]struct {
		at   string // kind of that request
		done bool   // the store completed the upload, and the answer was lost
		code string
	}{
		"finished":           {"complete", true, "NoSuchUpload"},
		"ended":              {"complete", false, "NoSuchUpload"},
		"ended midway":       {"part", false, "NoSuchUpload"},
		"other part instead": {"complete", false, "InvalidPart"},
	} {
		t.Run(name, func(t *testing.T) {
			m, w := openMirror(t, options(t))
			var first atomic.Bool
			w.intercept = func(r *http.Request) (*http.Response, error) {
				if kind(r) != test.at || !first.CompareAndSwap(false, true) {
					return nil, nil
				}
				if test.done {
					a, err := http.DefaultTransport.RoundTrip(r)
					if err != nil {
						return nil, err
					}
					a.Body.Close()
				}
				return rejectionOf(r, 404, test.code, "gone"), nil
			}
			b, _ := content(1, 2*minPart)
			put(t, m, "file", b)
			expectContent(t, m, "file", b)
			if n := w.take(); test.done && n["begin"] != 1 {
				t.Errorf("a completed upload was sent again: %v", n)
			}
			expectUnfinished(t, m, "file", 0)
		})
	}
}

// TestWithoutSHA256 has stores that reject SHA-256 checksums, as those of Cloudflare
// and Backblaze do.
func TestWithoutSHA256(t *testing.T) {
	for name, reject := range map[string]func(*http.Request) *http.Response{
		"all": func(r *http.Request) *http.Response {
			if r.Header.Get("X-Amz-Checksum-Sha256")+r.Header.Get("X-Amz-Checksum-Algorithm") == "" {
				return nil
			}
			return rejectionOf(r, 400, "InvalidArgument",
				"Unsupported header 'x-amz-checksum-sha256' received for this API call.")
		},
		"of parts": func(r *http.Request) *http.Response {
			if r.Header.Get("X-Amz-Checksum-Sha256") == "" || kind(r) != "part" {
				return nil
			}
			return rejectionOf(r, 501, "NotImplemented", "Header 'x-amz-checksum-sha256' with value '…' not implemented")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, w := openMirror(t, options(t))
			w.intercept = func(r *http.Request) (*http.Response, error) {
				a := reject(r)
				if k := kind(r); a == nil && (k == "part" || k == "put") {
					expectCovered(t, r, k, m.md5.Load())
				}
				return a, nil
			}
			for size, name := range map[int]string{10: "small", 2 * minPart: "large"} {
				b, _ := content(3, size)
				put(t, m, name, b)
				expectContent(t, m, name, b)
				expectUnfinished(t, m, name, 0)
			}
			if !m.md5.Load() {
				t.Error("the mirror still sends SHA-256 checksums")
			}
		})
	}
}

// expectCovered checks that the signature of a request covers its body, and that an
// MD5 of it is sent if there must be one.
func expectCovered(t *testing.T, r *http.Request, kind string, md5 bool) {
	t.Helper()
	if len(r.Header.Get("X-Amz-Content-Sha256")) != 64 {
		t.Errorf("the signature of a %s does not cover it", kind)
	}
	if md5 && r.Header.Get("Content-Md5") == "" {
		t.Errorf("%s without a checksum", kind)
	}
}

// TestPartSize checks that a file never has more parts than S3 allows.
func TestPartSize(t *testing.T) {
	m := &Mirror{limits: limits{partSize: 16 << 20}}
	for size, want := range map[int64]int64{
		0: 16 << 20, 1 << 30: 16 << 20, maxParts * 16 << 20: 16 << 20, maxParts*16<<20 + 1: 17 << 20, 5 << 40: 525 << 20,
	} {
		if got := m.partSize(size); got != want || size > got*maxParts {
			t.Errorf("%d bytes in parts of %d, want %d", size, got, want)
		}
	}
	u := &upload{file: &file{size: 10}, partSize: 4}
	for number, want := range map[int]int64{1: 4, 2: 4, 3: 2, 4: 0, 10_001: 0} {
		if _, n := u.at(number); n != want {
			t.Errorf("part %d has %d bytes, want %d", number, n, want)
		}
	}
}
