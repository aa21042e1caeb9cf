package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	from  = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	until = from.AddDate(0, 0, 1)
)

// rowsOf returns n rows, one a second from the start of the window.
func rowsOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"UserId":%d,"EventStart":"%s","EventType":"click","Text":"%x"}`+"\n", 9007199254740993+i, from.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano), sha256.Sum256(fmt.Append(nil, i)))
	}
	return b.String()
}

func zip(t testing.TB, plain string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// store is an object store of one object.
type store struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // "METHOD Range If-Range" of each request
}

// newStore serves handler, which is called with the number of the request,
// from 1. HEAD is refused as by a link that is signed for GET.
func newStore(t *testing.T, handler func(n int, w http.ResponseWriter, r *http.Request)) *store {
	t.Helper()
	s := &store{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, strings.TrimSpace(fmt.Sprint(r.Method, " ", r.Header.Get("Range"), " ", r.Header.Get("If-Range"))))
		n := len(s.asked)
		s.mu.Unlock()
		for _, secret := range []string{"Authorization", "Cookie", "Referer"} {
			if r.Header.Get(secret) != "" {
				t.Errorf("the download sends %s: %q", secret, r.Header.Get(secret))
			}
		}
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("Accept-Encoding is %q", r.Header.Get("Accept-Encoding"))
		}
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		handler(n, w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// requests returns what was asked so far.
func (s *store) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// serveObject answers as an object store does, with Range and If-Range.
func serveObject(w http.ResponseWriter, r *http.Request, etag string, content []byte) {
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Type", "application/gzip")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// cut sends the first n bytes of the answer to r and then breaks the
// connection.
func cut(w http.ResponseWriter, r *http.Request, etag string, content []byte, n int) {
	recorded := httptest.NewRecorder()
	serveObject(recorded, r, etag, content)
	for key, values := range recorded.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(recorded.Code)
	w.Write(recorded.Body.Bytes()[:n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func open(t testing.TB) *Archive {
	t.Helper()
	a, err := Open(filepath.Join(t.TempDir(), "exports"))
	if err != nil {
		t.Fatal(err)
	}
	a.limits.wait, a.limits.reserve = time.Millisecond, 0
	return a
}

func (s *store) fetch() Fetch {
	return Fetch{
		Folder: OperationFolder("op="), Name: FileName(from, until, ".ndjson.gz"), OperationID: "op=",
		Start: from, End: until, Format: ndjson, TimeColumn: "EventStart",
		Link:          func(context.Context) (string, error) { return s.URL + "/bucket/object?sig=s3cr3t", nil },
		AllowLoopback: true,
	}
}

// leftovers lists what is in the folder of f beside the file, the manifest and
// its lock.
func leftovers(t *testing.T, a *Archive, f Fetch) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(a.Dir(), f.Folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != ManifestName && e.Name() != ".lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestFetchSound(t *testing.T) {
	content := zip(t, rowsOf(2000))
	half := len(content) / 2
	sum := sha256.Sum256(content)
	other := zip(t, rowsOf(1500))
	for _, test := range []struct {
		name  string
		serve func(n int, w http.ResponseWriter, r *http.Request)
		asked []string
		rows  int64
	}{
		{"whole", func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, content) },
			[]string{"GET"}, 2000},
		{"connection cut thrice", func(n int, w http.ResponseWriter, r *http.Request) {
			if n <= 3 {
				cut(w, r, `"a"`, content, 10_000)
			}
			serveObject(w, r, `"a"`, content)
		}, []string{"GET", `GET bytes=10000- "a"`, `GET bytes=20000- "a"`, `GET bytes=30000- "a"`}, 2000},
		{"object changed between attempts", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				cut(w, r, `"a"`, content, half)
			}
			serveObject(w, r, `"b"`, other)
		}, []string{"GET", fmt.Sprintf(`GET bytes=%d- "a"`, half)}, 1500},
		{"server ignores Range", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				cut(w, r, `"a"`, content, half)
			}
			r.Header.Del("Range")
			serveObject(w, r, `"a"`, content)
		}, []string{"GET", fmt.Sprintf(`GET bytes=%d- "a"`, half)}, 2000},
		{"weak ETag is not resumed", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				cut(w, r, `W/"a"`, content, half)
			}
			serveObject(w, r, `W/"a"`, content)
		}, []string{"GET", "GET"}, 2000},
		{"part of another place", func(n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				cut(w, r, `"a"`, content, half)
			case 2:
				w.Header().Set("ETag", `"a"`)
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
				w.WriteHeader(http.StatusPartialContent)
				w.Write(content)
			default:
				serveObject(w, r, `"a"`, content)
			}
		}, []string{"GET", fmt.Sprintf(`GET bytes=%d- "a"`, half), "GET"}, 2000},
		{"416", func(n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				cut(w, r, `"a"`, content, half)
			case 2:
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			default:
				serveObject(w, r, `"a"`, content)
			}
		}, []string{"GET", fmt.Sprintf(`GET bytes=%d- "a"`, half), "GET"}, 2000},
		{"no length", func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Write(content[:half])
			w.(http.Flusher).Flush()
			w.Write(content[half:])
		}, []string{"GET"}, 2000},
		{"busy at first", func(n int, w http.ResponseWriter, r *http.Request) {
			if n <= 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			serveObject(w, r, `"a"`, content)
		}, []string{"GET", "GET", "GET", "GET"}, 2000},
		{"empty export", func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, zip(t, "")) },
			[]string{"GET"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, s := open(t), newStore(t, test.serve)
			got, err := a.Fetch(t.Context(), s.fetch())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(s.requests(), "|") != strings.Join(test.asked, "|") {
				t.Errorf("asked %q, want %q", s.requests(), test.asked)
			}
			if got.Rows != test.rows {
				t.Errorf("%d rows, want %d", got.Rows, test.rows)
			}
			if test.rows == 2000 {
				want := File{Name: "20261001T000000Z_20261002T000000Z.ndjson.gz", Start: "2026-10-01T00:00:00Z", End: "2026-10-02T00:00:00Z", OperationID: "op=",
					Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Rows: 2000, FirstEvent: "2026-10-01T00:00:00Z", LastEvent: "2026-10-01T00:33:19Z",
					Columns: []string{"UserId", "EventStart", "EventType", "Text"}, ExportedAt: got.ExportedAt, RowsByHour: Counts{2000}}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			}
			if left := leftovers(t, a, s.fetch()); len(left) != 1 || left[0] != got.Name {
				t.Errorf("the folder holds %q", left)
			}
			path := filepath.Join(a.Dir(), s.fetch().Folder, got.Name)
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 || info.Size() != got.Bytes {
				t.Errorf("the file is %v, %v", info, err)
			}
			if on, err := os.ReadFile(path); err != nil || fmt.Sprintf("%x", sha256.Sum256(on)) != got.SHA256 {
				t.Errorf("the file on disk is another one: %v", err)
			}
			m, err := a.Manifest(s.fetch().Folder)
			if err != nil || len(m.Files) != 1 || m.Files[0].SHA256 != got.SHA256 || m.OperationID != "op=" {
				t.Errorf("the manifest is %+v, %v", m, err)
			}
			before := len(s.requests())
			if again, err := a.Fetch(t.Context(), s.fetch()); err != nil || again.SHA256 != got.SHA256 || len(s.requests()) != before {
				t.Errorf("fetched again: %v, %d requests", err, len(s.requests())-before)
			}
		})
	}
}

func TestFetchUnsound(t *testing.T) {
	content := zip(t, rowsOf(2000))
	flipped := bytes.Clone(content)
	flipped[len(flipped)-6] ^= 1
	serve := func(b []byte) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, b) }
	}
	row := func(stamp string) []byte { return zip(t, rowsOf(3)+`{"EventStart":"`+stamp+`"}`+"\n") }
	for _, test := range []struct {
		name  string
		serve func(int, http.ResponseWriter, *http.Request)
		says  string
	}{
		{"gzip cut off", serve(content[:len(content)-20]), "cut off"},
		{"gzip without its trailer", serve(content[:len(content)-8]), "cut off"},
		{"wrong checksum", serve(flipped), "checksum"},
		{"garbage behind", serve(append(bytes.Clone(content), "garbage, and more of it"...)), "not gzip follows"},
		{"HTML", serve([]byte("<!DOCTYPE html><p>Sign in, secret</p>")), "an HTML page"},
		{"XML error with 200", serve([]byte("<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>")), "an XML page"},
		{"not packed", serve([]byte(rowsOf(3))), "plain JSON"},
		{"nothing", serve(nil), "empty, not even gzip"},
		{"broken row", serve(zip(t, rowsOf(3)+"{\"a\":}\n")), "row 4 is not valid JSON"},
		{"row cut off", serve(zip(t, rowsOf(3)+"{\"a\":1")), "ends inside a row"},
		{"an array", serve(zip(t, "[]")), "row 1 is no JSON object"},
		{"two rows a line", serve(zip(t, "{} {}\n")), "row 1 is followed by"},
		{"a row on two lines", serve(zip(t, "{\n}\n")), "spread over several lines"},
		{"before the window", serve(row("2026-09-30T23:59:59.999Z")), "outside the window"},
		{"at the end of the window", serve(row("2026-10-02T00:00:00Z")), "row 4 has the EventStart 2026-10-02T00:00:00Z, outside the window"},
		{"no time", serve(row("soon")), "which is no time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, s := open(t), newStore(t, test.serve)
			_, err := a.Fetch(t.Context(), s.fetch())
			var content *ContentError
			if !errors.As(err, &content) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want: … %s", err, test.says)
			}
			if left := leftovers(t, a, s.fetch()); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	content := zip(t, rowsOf(100))
	t.Run("an expired one is renewed", func(t *testing.T) {
		s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("sig") != "2" {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, "<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>")
				return
			}
			serveObject(w, r, `"a"`, content)
		})
		f := s.fetch()
		links := 0
		f.Link = func(context.Context) (string, error) {
			links++
			return fmt.Sprintf("%s/bucket/object?sig=%d", s.URL, links), nil
		}
		if got, err := open(t).Fetch(t.Context(), f); err != nil || got.Rows != 100 || links != 2 {
			t.Errorf("%d links, %v", links, err)
		}
	})
	t.Run("refused for ever", func(t *testing.T) {
		s := newStore(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		_, err := open(t).Fetch(t.Context(), s.fetch())
		var link *LinkError
		if !errors.As(err, &link) || link.Status != 403 || len(s.requests()) != 5 || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("got %v after %d requests", err, len(s.requests()))
		}
	})
	t.Run("broken for ever", func(t *testing.T) {
		s := newStore(t, func(_ int, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
		_, err := open(t).Fetch(t.Context(), s.fetch())
		var transfer *TransferError
		if !errors.As(err, &transfer) || len(s.requests()) != 5 || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("got %v after %d requests", err, len(s.requests()))
		}
	})
	t.Run("no link to be had", func(t *testing.T) {
		f := newStore(t, nil).fetch()
		gone := errors.New("the export has expired")
		f.Link = func(context.Context) (string, error) { return "", gone }
		if _, err := open(t).Fetch(t.Context(), f); !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("where it may not lead", func(t *testing.T) {
		inner := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, content) })
		away := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data?sig=s3cr3t", http.StatusFound)
		})
		loop := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
		for _, test := range []struct {
			link  string
			local bool
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
			f := inner.fetch()
			f.Link, f.AllowLoopback = func(context.Context) (string, error) { return test.link + "?sig=s3cr3t", nil }, test.local
			_, err := open(t).Fetch(t.Context(), f)
			var link *LinkError
			if !errors.As(err, &link) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s: got %v", test.link, err)
			}
		}
		if len(inner.requests()) > 0 {
			t.Errorf("the store on this machine was asked: %q", inner.requests())
		}
	})
}

// TestResumeAfterCrash kills a download by cancelling it, and starts anew as
// another process would.
func TestResumeAfterCrash(t *testing.T) {
	content := zip(t, rowsOf(5000))
	var crash atomic.Bool
	crash.Store(true)
	reached := make(chan struct{})
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if !crash.Load() {
			serveObject(w, r, `"a"`, content)
			return
		}
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:40_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	a := open(t)
	f := s.fetch()
	f.Progress = func(done, _ int64) {
		if done == 40_000 {
			close(reached)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	if _, err := a.Fetch(ctx, f); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if left := leftovers(t, a, f); len(left) != 2 {
		t.Fatalf("the folder holds %q, want the part and its note", left)
	}
	crash.Store(false)
	again, err := Open(a.Dir())
	if err != nil {
		t.Fatal(err)
	}
	again.limits.reserve = 0
	got, err := again.Fetch(t.Context(), s.fetch())
	if err != nil || got.Rows != 5000 || s.requests()[1] != `GET bytes=40000- "a"` {
		t.Errorf("got %d rows, %v, asked %q", got.Rows, err, s.requests())
	}
}

func TestStall(t *testing.T) {
	content := zip(t, rowsOf(5000))
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			serveObject(w, r, `"a"`, content)
			return
		}
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	a := open(t)
	a.limits.stall = 50 * time.Millisecond
	if got, err := a.Fetch(t.Context(), s.fetch()); err != nil || got.Rows != 5000 || s.requests()[1] != `GET bytes=1000- "a"` {
		t.Errorf("got %d rows, %v, asked %q", got.Rows, err, s.requests())
	}
}

func TestAnotherFileIsLeftAlone(t *testing.T) {
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, zip(t, rowsOf(3))) })
	a, f := open(t), s.fetch()
	path := filepath.Join(a.Dir(), f.Folder, f.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := a.Fetch(t.Context(), f)
	var conflict *ConflictError
	if on, _ := os.ReadFile(path); !errors.As(err, &conflict) || string(on) != "mine" {
		t.Errorf("got %v, and the file is %q", err, on)
	}
}

func TestLimits(t *testing.T) {
	content := zip(t, rowsOf(2000))
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, content) })
	t.Run("too large", func(t *testing.T) {
		a := open(t)
		a.limits.largest = 1000
		var content *ContentError
		if _, err := a.Fetch(t.Context(), s.fetch()); !errors.As(err, &content) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no space", func(t *testing.T) {
		a := open(t)
		a.limits.reserve = 1 << 60
		var disk *DiskError
		if _, err := a.Fetch(t.Context(), s.fetch()); !errors.As(err, &disk) || disk.Need == 0 || disk.Keep == 0 || !strings.Contains(err.Error(), "free") {
			t.Errorf("got %v", err)
		}
	})
}

func TestDownloadsJoin(t *testing.T) {
	content := zip(t, rowsOf(2000))
	release := make(chan struct{})
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		<-release
		serveObject(w, r, `"a"`, content)
	})
	d := NewDownloads(open(t))
	defer d.Close()
	if failed := d.Start("op=", s.fetch()).Wait(t.Context()); failed.State != Failed || failed.Err == nil {
		t.Fatalf("got %+v", failed)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if got := d.Start("op=", s.fetch()).Wait(ctx); got.State != Stored || got.File.Rows != 2000 || got.Done != int64(len(content)) {
				t.Errorf("got %+v", got)
			}
		})
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if got := d.Start("op=", s.fetch()).Wait(short); got.State != Downloading {
		t.Errorf("got %+v before the end", got)
	}
	close(release)
	all.Wait()
	if len(s.requests()) != 2 {
		t.Errorf("%d requests, want 2", len(s.requests()))
	}
}

func TestCloseEndsDownloads(t *testing.T) {
	started := make(chan struct{})
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	d := NewDownloads(open(t))
	one := d.Start("op=", s.fetch())
	<-started
	d.Close()
	if got := one.Status(); got.State != Failed || !got.Interrupted() {
		t.Errorf("got %+v", got)
	}
}

// TestTwoProcesses has two archives on one folder fetch the same file: the
// second is told so, leaves the first alone, and finds its file afterwards.
func TestTwoProcesses(t *testing.T) {
	content := zip(t, rowsOf(2000))
	started, release := make(chan struct{}), make(chan struct{})
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		close(started)
		<-release
		serveObject(w, r, `"a"`, content)
	})
	first := open(t)
	second, err := Open(first.Dir())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := first.Fetch(t.Context(), s.fetch())
		ended <- err
	}()
	<-started
	var busy *BusyError
	if _, err := second.Fetch(t.Context(), s.fetch()); !errors.As(err, &busy) {
		t.Errorf("while another fetches: got %v", err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got, err := second.Fetch(t.Context(), s.fetch()); err != nil || got.Rows != 2000 || len(s.requests()) != 1 {
		t.Errorf("afterwards: got %+v, %v, after %d requests", got, err, len(s.requests()))
	}
}
