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

// TestTakenUp cuts uploads at any part, in several ways, and goes on with
// another mirror.
func TestTakenUp(t *testing.T) {
	o := options(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for name, cut := range map[string]func(*http.Request) error{
		"before": func(*http.Request) error { return errCut },
		"midst": func(r *http.Request) error {
			r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, least/2), failing{}))
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
	} {
		for way, plain := range map[string]bool{"sha256": false, "md5": true} {
			name := name + "-" + way
			t.Run(name, func(t *testing.T) {
				count := 2 + random.IntN(6)
				b, sum := content(seed, (count-1)*least+1+random.IntN(least))
				at := int32(1 + random.IntN(count))
				one, w := opened(t, o)
				one.md5.Store(plain)
				ctx, cancel := context.WithCancel(t.Context())
				var sent atomic.Int32
				w.do = func(r *http.Request) (*http.Response, error) {
					if kind(r) != "part" {
						return nil, nil
					}
					r = r.WithContext(context.WithoutCancel(r.Context())) // so that it is known what arrived
					if sent.Add(1) < at {
						return http.DefaultTransport.RoundTrip(r)
					}
					err := cut(r)
					cancel()
					return nil, err
				}
				if err := one.Put(ctx, name, bytes.NewReader(b), int64(len(b)), sum); !errors.Is(err, context.Canceled) {
					t.Fatalf("cut at part %d of %d: %v", at, count, err)
				}
				missing(t, one, name)
				id := unfinished(t, one, name, 1)[0]
				there, err := one.parts(t.Context(), one.prefix+name, id)
				if err != nil {
					t.Fatal(err)
				}
				two, w := opened(t, o)
				two.md5.Store(plain)
				put(t, two, name, b)
				n := w.take()
				if n["part"] != count-len(there) || n["complete"] != 1 || len(there) > 0 && n["begin"] != 0 {
					t.Errorf("%d parts were there of %d; then requests: %v", len(there), count, n)
				}
				holds(t, two, name, b)
				unfinished(t, two, name, 0)
			})
		}
	}
}

var errCut = errors.New("the connection was cut")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

// leave begins an upload of "file" that was begun for the content with a
// checksum, and sends parts of left.
func leave(t *testing.T, m *Mirror, left []byte, part int, sum string) {
	t.Helper()
	key := m.prefix + "file"
	id, err := m.core.NewMultipartUpload(t.Context(), m.bucket, key, minio.PutObjectOptions{
		UserMetadata: map[string]string{"sha256": sum, "x-amz-checksum-algorithm": "SHA256"},
	})
	if err != nil {
		t.Fatal(err)
	}
	u := &upload{file: &file{key: key, content: bytes.NewReader(left), size: int64(len(left))}, id: id, part: int64(part)}
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

// TestLeftovers finds several uploads, and takes up the one with most parts.
func TestLeftovers(t *testing.T) {
	m, w := opened(t, options(t))
	b, sum := content(1, 3*least+5)
	for _, parts := range []int{1, 3, 1, 2, 1} {
		leave(t, m, b[:parts*least], least, sum)
	}
	unfinished(t, m, "file", 5)
	w.take()
	put(t, m, "file", b)
	if n := w.take(); n["part"] != 1 || n["end"] != 4 {
		t.Errorf("requests: %v, want 1 part sent and 4 uploads ended", n)
	}
	holds(t, m, "file", b)
	unfinished(t, m, "file", 0)
}

// TestLeftover finds uploads to the name that are for another content, or that
// another program began.
func TestLeftover(t *testing.T) {
	b, sum := content(1, 3*least+5)
	other, otherSum := content(2, 3*least+5)
	mixed := append(bytes.Clone(b[:least]), other[least:]...) // begins as b does
	for name, test := range map[string]struct {
		left  []byte // what was sent of it
		part  int
		sum   string // of what it was begun for
		parts int    // that are sent
	}{
		"of another content":                   {other, least, otherSum, 4},
		"without a part":                       {nil, least, sum, 4},
		"in other parts":                       {b, least + 1, sum, 4},
		"longer":                               {append(bytes.Clone(b), 1), least, sum, 1},
		"shorter":                              {b[:2*least], least, sum, 2},
		"damaged in the midst":                 {mixed, least, sum, 3},
		"begun for another with the same part": {b[:least], least, otherSum, 3 + 4},
	} {
		t.Run(name, func(t *testing.T) {
			m, w := opened(t, options(t))
			leave(t, m, test.left, test.part, test.sum)
			w.take()
			put(t, m, "file", b)
			if n := w.take(); n["part"] != test.parts {
				t.Errorf("requests: %v, want %d parts sent", n, test.parts)
			}
			holds(t, m, "file", b)
			unfinished(t, m, "file", 0)
		})
	}
}

// TestDamaged changes what is sent on its way.
func TestDamaged(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "large": 3 * least} {
		for way, plain := range map[string]bool{"sha256": false, "md5": true} {
			t.Run(name+" "+way, func(t *testing.T) {
				m, w := opened(t, options(t))
				m.md5.Store(plain)
				m.limits.tries = 2
				b, sum := content(5, size)
				var parts atomic.Int32
				var once bool
				w.do = func(r *http.Request) (*http.Response, error) {
					if k := kind(r); (k == "put" || k == "part") && (parts.Add(1) == 1 || !once) {
						r.Body = flip(r.Body)
					}
					return nil, nil
				}
				err := m.Put(t.Context(), "file", bytes.NewReader(b), int64(size), sum)
				if !temporary(err) || !strings.Contains(err.Error(), "not what was sent") {
					t.Errorf("damaged each time: %v", err)
				}
				missing(t, m, "file")
				w.mu.Lock()
				once = true
				w.mu.Unlock()
				parts.Store(0)
				put(t, m, "file", b)
				holds(t, m, "file", b)
			})
		}
	}
}

// TestWrongContent has a checksum, a size or a file that is not right.
func TestWrongContent(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "large": 3*least + 1} {
		t.Run(name, func(t *testing.T) {
			m, _ := opened(t, options(t))
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
				missing(t, m, what)
				if errors.Is(err, errContent) {
					unfinished(t, m, what, 0)
				}
				put(t, m, what, b)
				holds(t, m, what, b)
				unfinished(t, m, what, 0)
			}
		})
	}
}

type unreadable struct{}

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errors.New("input/output error") }

// TestUnseen looks for the object while it is on its way.
func TestUnseen(t *testing.T) {
	o := options(t)
	m, w := opened(t, o)
	eyes, _ := opened(t, o)
	old, _ := content(1, 100)
	for _, before := range [][]byte{nil, old} {
		if before != nil {
			put(t, m, "file", before)
		}
		w.do = func(r *http.Request) (*http.Response, error) {
			if k := kind(r); k != "part" && k != "complete" {
				return nil, nil
			}
			if before == nil {
				missing(t, eyes, "file")
				if all, err := eyes.List(t.Context(), ""); err != nil || len(all) != 0 {
					t.Errorf("seen in the list: %v (%v)", all, err)
				}
			} else {
				holds(t, eyes, "file", before)
			}
			return nil, nil
		}
		b, _ := content(8, 3*least)
		put(t, m, "file", b)
		holds(t, eyes, "file", b)
		w.do = nil
	}
}

// TestSameAtOnce lets several processes put one file.
func TestSameAtOnce(t *testing.T) {
	o := options(t)
	b, sum := content(9, 4*least)
	var all sync.WaitGroup
	for range 4 {
		m, _ := opened(t, o)
		all.Go(func() {
			var err error
			for range 5 { // one may end the upload of another
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
	m, _ := opened(t, o)
	holds(t, m, "file", b)
}

// TestEnded has an upload that is no more when the next request comes.
func TestEnded(t *testing.T) {
	for name, test := range map[string]struct {
		at   string // the request
		done bool   // it was carried out, and its answer lost
		code string
	}{
		"finished":           {"complete", true, "NoSuchUpload"},
		"ended":              {"complete", false, "NoSuchUpload"},
		"ended midway":       {"part", false, "NoSuchUpload"},
		"other part instead": {"complete", false, "InvalidPart"},
	} {
		t.Run(name, func(t *testing.T) {
			m, w := opened(t, options(t))
			var first atomic.Bool
			w.do = func(r *http.Request) (*http.Response, error) {
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
				return said(r, 404, test.code, "gone"), nil
			}
			b, _ := content(1, 2*least)
			put(t, m, "file", b)
			holds(t, m, "file", b)
			if n := w.take(); test.done && n["begin"] != 1 {
				t.Errorf("what was finished was sent again: %v", n)
			}
			unfinished(t, m, "file", 0)
		})
	}
}

// TestWithoutSHA256 has stores that refuse SHA-256 checksums, as Cloudflare's
// and Backblaze's do.
func TestWithoutSHA256(t *testing.T) {
	for name, refuse := range map[string]func(*http.Request) *http.Response{
		"all": func(r *http.Request) *http.Response {
			if r.Header.Get("X-Amz-Checksum-Sha256")+r.Header.Get("X-Amz-Checksum-Algorithm") == "" {
				return nil
			}
			return said(r, 400, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256' received for this API call.")
		},
		"of parts": func(r *http.Request) *http.Response {
			if r.Header.Get("X-Amz-Checksum-Sha256") == "" || kind(r) != "part" {
				return nil
			}
			return said(r, 501, "NotImplemented", "Header 'x-amz-checksum-sha256' with value '…' not implemented")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, w := opened(t, options(t))
			w.do = func(r *http.Request) (*http.Response, error) {
				if a := refuse(r); a != nil {
					return a, nil
				}
				if k := kind(r); (k == "part" || k == "put") && len(r.Header.Get("X-Amz-Content-Sha256")) != 64 {
					t.Errorf("the signature of a %s does not cover it", k)
				}
				if k := kind(r); m.md5.Load() && (k == "part" || k == "put") && r.Header.Get("Content-Md5") == "" {
					t.Errorf("%s without a checksum", k)
				}
				return nil, nil
			}
			for size, name := range map[int]string{10: "small", 2 * least: "large"} {
				b, _ := content(3, size)
				put(t, m, name, b)
				holds(t, m, name, b)
				unfinished(t, m, name, 0)
			}
			if !m.md5.Load() {
				t.Error("the store was not learnt about")
			}
		})
	}
}

// TestPartSize keeps to the most parts that S3 allows.
func TestPartSize(t *testing.T) {
	m := &Mirror{limits: limits{part: 16 << 20}}
	for size, want := range map[int64]int64{
		0: 16 << 20, 1 << 30: 16 << 20, mostParts * 16 << 20: 16 << 20, mostParts*16<<20 + 1: 17 << 20, 5 << 40: 525 << 20,
	} {
		if got := m.partSize(size); got != want || size > got*mostParts {
			t.Errorf("%d bytes in parts of %d, want %d", size, got, want)
		}
	}
	u := &upload{file: &file{size: 10}, part: 4}
	for number, want := range map[int]int64{1: 4, 2: 4, 3: 2, 4: 0, 10_001: 0} {
		if _, n := u.at(number); n != want {
			t.Errorf("part %d has %d bytes, want %d", number, n, want)
		}
	}
}
