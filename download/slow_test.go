package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// usual are the limits of Source.To.
func usual() limits {
	l := quick()
	l.answer, l.wait = 2*time.Minute, 500*time.Millisecond
	return l
}

// script is a store whose answers are readers, in a bubble of synctest.
type script struct {
	body   func(n int) io.Reader // of the nth answer, from 1
	length int64                 // that each answer announces of the file
	asked  int
	sink   *memory
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked++
	size := int64(len(s.sink.content))
	response := &http.Response{
		StatusCode: http.StatusOK, ContentLength: s.length, Request: r, Body: io.NopCloser(s.body(s.asked)),
		Header: http.Header{"Etag": {`"a"`}},
	}
	if size > 0 {
		response.StatusCode = http.StatusPartialContent
		response.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", size, s.length-1, s.length))
	}
	return response, nil
}

// fetch downloads the file of a script with the usual limits. It returns how long that
// took on the clock of the bubble.
func (s *script) fetch(tries int, sink Sink) (time.Duration, error) {
	l := usual()
	l.tries, l.largest = tries, 1<<40
	link := func(context.Context) (string, error) { return "https://storage.googleapis.com/x", nil }
	t := &transfer{Source: Source{Link: link}, limits: l, http: &http.Client{Transport: s}, sink: guarded{sink}}
	began := time.Now()
	err := t.run(context.Background())
	return time.Since(began), err
}

// drip is a body that sends size bytes after each pause, until it has sent total.
type drip struct {
	size  int
	pause time.Duration
	total int
}

func (d *drip) Read(b []byte) (int, error) {
	if d.total <= 0 {
		return 0, io.EOF
	}
	time.Sleep(d.pause)
	n := min(d.size, d.total, len(b))
	d.total -= n
	return n, nil
}

// TestSlowStores has stores that never stop sending, but slowly.
func TestSlowStores(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		name   string
		length int
		body   drip
		slow   bool
	}{
		{"a byte every five seconds", 20_000, drip{1, 5 * time.Second, 20_000}, true},
		{"a byte just before the connection is idle", 3_000, drip{1, 59 * time.Second, 3_000}, true},
		{"just too little in five minutes", 4 << 20, drip{5 << 10, 40 * time.Second, 4 << 20}, true},
		{"a large file that would take weeks", 200 << 30, drip{1 << 20, 10 * time.Second, 1 << 30}, true},
		{"just enough in five minutes", 4 << 20, drip{8 << 10, 30 * time.Second, 4 << 20}, false},
		{"a slow line", 50 << 20, drip{32 << 10, 10 * time.Second, 50 << 20}, false},
		{"a large file within days", 20 << 30, drip{256 << 10, time.Second, 20 << 30}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &memory{length: -1}
				s := &script{body: func(int) io.Reader { return &test.body }, length: int64(test.length), sink: sink}
				took, err := s.fetch(1, &counted{memory: sink})
				var transfer *TransferError
				switch {
				case test.slow && (!errors.Is(err, errSlow) || !errors.As(err, &transfer) || took > 6*time.Minute):
					t.Errorf("got %v after %v", err, took)
				case !test.slow && (err != nil || took > day):
					t.Errorf("got %v after %v", err, took)
				}
			})
		})
	}
}

// counted is a Sink that stores no bytes.
type counted struct {
	*memory
	n     int64
	pause time.Duration // of each write
}

func (c *counted) Has() (int64, string, int64) { return c.n, c.etag, c.length }

func (c *counted) Write(b []byte) (int, error) {
	time.Sleep(c.pause)
	c.n += int64(len(b))
	return len(b), nil
}

// TestSlowTriesCount has a store that is too slow each time: what arrived does not make
// up for it.
func TestSlowTriesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{length: -1}
		s := &script{body: func(int) io.Reader { return &drip{1, 5 * time.Second, 1000} }, length: 1000, sink: sink}
		_, err := s.fetch(5, sink)
		if !errors.Is(err, errSlow) || s.asked != 5 || len(sink.content) == 0 {
			t.Errorf("got %v after %d requests, with %d bytes", err, s.asked, len(sink.content))
		}
	})
}

// TestSlowDisk has a sink that is slower than any store may be.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{body: func(int) io.Reader { return &drip{1, time.Millisecond, 100} }, length: 100}
		s.sink = &memory{length: -1}
		if took, err := s.fetch(1, &counted{memory: s.sink, pause: 10 * time.Minute}); err != nil || took < time.Hour {
			t.Errorf("got %v after %v", err, took)
		}
	})
}

// TestByteByByte has a store that breaks off after each byte: progress, but endless.
func TestByteByByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{length: -1}
		s := &script{body: func(int) io.Reader { return &drip{1, 0, 1} }, length: 5000, sink: sink}
		_, err := s.fetch(5, sink)
		var transfer *TransferError
		if !errors.As(err, &transfer) || s.asked != freeTries || len(sink.content) != freeTries {
			t.Errorf("got %v after %d requests, with %d bytes", err, s.asked, len(sink.content))
		}
	})
}

// TestBrokenOften has a connection that breaks for every 100 kB of a file.
func TestBrokenOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{length: -1}
		s := &script{body: func(int) io.Reader { return &drip{10_000, 0, 100_000} }, length: 10_000_000, sink: sink}
		if _, err := s.fetch(1, sink); err != nil || s.asked != 100 {
			t.Errorf("got %v after %d requests, with %d bytes", err, s.asked, len(sink.content))
		}
	})
}

// TestNoAnswer has stores that accept a request and never complete the header of their
// answer, or that of a redirect's target.
func TestNoAnswer(t *testing.T) {
	silent := func(c net.Conn) { io.Copy(io.Discard, c) }
	for name, test := range map[string]struct {
		scheme string
		serve  func(net.Conn)
	}{
		"silence":          {"http", silent},
		"silence over TLS": {"https", silent},
		"half a header": {"http", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nX-A: b")
			silent(c)
		}},
		"endless header": {"http", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			repeat(c, "X-A: b\r\n")
		}},
		"endless hints": {"http", func(c net.Conn) { repeat(c, "HTTP/1.1 103 Early Hints\r\n\r\n") }},
		"redirect with an endless body": {"http", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
			silent(c)
		}},
		"redirect with half a body": {"http", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 2000\r\n\r\na")
			silent(c)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, impatient := Source{AllowLoopback: true, Tries: 1}, quick()
			s.Link = func(context.Context) (string, error) {
				return test.scheme + "://" + rawStore(t, test.serve) + "/x", nil
			}
			impatient.answer = 200 * time.Millisecond
			_, err := s.to(t.Context(), &memory{length: -1}, impatient)
			var transfer *TransferError
			if !errors.As(err, &transfer) || transfer.Done != 0 {
				t.Errorf("got %v", err)
			}
		})
	}
}

// repeat sends a text until the connection is closed.
func repeat(c net.Conn, text string) {
	text = strings.Repeat(text, 100)
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

// rawStore answers each request on this machine with the bytes that serve writes, and
// returns its address.
func rawStore(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Read(make([]byte, 4096)) // the request, which is small
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// TestLyingAnswers has answers whose lengths, ranges, trailers or encodings are wrong.
// None of them makes a file that differs from what was announced.
func TestLyingAnswers(t *testing.T) {
	const huge = "Content-Range: bytes 0-99999999999999999999/100000000000000000000\r\n"
	const large = "Content-Range: bytes 0-4611686018427387902/4611686018427387903\r\n"
	trailer := "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n" + strings.Repeat("X-A: b\r\n", 10_000) + "\r\n"
	const ok = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\n"
	const part = "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Length: 5\r\n"
	for name, raw := range map[string]string{
		"shorter than announced":          ok + "Content-Length: 10\r\n\r\nabcde",
		"negative length":                 ok + "Content-Length: -1\r\n\r\nabcde",
		"two lengths":                     ok + "Content-Length: 5\r\nContent-Length: 7\r\n\r\nabcdefg",
		"length in words":                 ok + "Content-Length: many\r\n\r\nabcde",
		"length beyond 64 bits":           ok + "Content-Length: 99999999999999999999\r\n\r\nabcde",
		"length larger than accepted":     ok + "Content-Length: 4611686018427387904\r\n\r\nabcde",
		"chunk of a wrong size":           ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabcde",
		"chunk of a negative size":        ok + "Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
		"no last chunk":                   ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
		"large trailer":                   ok + trailer,
		"large header":                    ok + "X-A: " + strings.Repeat("a", 1<<20) + "\r\nContent-Length: 5\r\n\r\nabcde",
		"many headers":                    ok + strings.Repeat("X-A: b\r\n", 100_000) + "Content-Length: 5\r\n\r\nabcde",
		"unknown transfer encoding":       ok + "Transfer-Encoding: gzip\r\n\r\nabcde",
		"another protocol":                "SSH-2.0-OpenSSH_9.2\r\n",
		"part without a range":            part + "\r\nabcde",
		"part of an unknown whole":        part + "Content-Range: bytes 0-4/*\r\n\r\nabcde",
		"part from the middle":            part + "Content-Range: bytes 5-9/10\r\n\r\nabcde",
		"part that is not the last":       part + "Content-Range: bytes 0-4/10\r\n\r\nabcde",
		"part that ends before its start": part + "Content-Range: bytes 4-0/1\r\n\r\nabcde",
		"part from before the start":      part + "Content-Range: bytes -5-4/5\r\n\r\nabcde",
		"part of a negative whole":        part + "Content-Range: bytes 0--6/-5\r\n\r\nabcde",
		"part beyond 64 bits":             part + huge + "\r\nabcde",
		"part larger than accepted":       part + large + "\r\nabcde",
		"part longer than its whole":      part + "Content-Range: bytes 0-2/3\r\n\r\nabcde",
		"part shorter than its whole":     part + "Content-Range: bytes 0-9/10\r\n\r\nabcde",
		"parts of many ranges":            part + "Content-Type: multipart/byteranges; boundary=x\r\n\r\nabcde",
	} {
		t.Run(name, func(t *testing.T) {
			address := rawStore(t, func(c net.Conn) { io.WriteString(c, raw) })
			s := Source{AllowLoopback: true, Tries: 2}
			s.Link = func(context.Context) (string, error) { return "http://" + address + "/x", nil }
			if got, _, err := get(t.Context(), s); err == nil {
				t.Errorf("got the file %q", got)
			}
		})
	}
}

// TestEncodedAnswer has a file that the store calls compressed: its bytes are stored as
// they are, so that a small answer does not become a large file.
func TestEncodedAnswer(t *testing.T) {
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "x"} {
		t.Run(encoding, func(t *testing.T) {
			content := blob(5000)
			s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", encoding)
				serveObject(w, r, `"a"`, content)
			})
			if got, _, err := get(t.Context(), s.source()); err != nil || !bytes.Equal(got, content) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

// TestLongETag has an ETag that is too long to be kept: the file is fetched anew.
func TestLongETag(t *testing.T) {
	content, etag := blob(5000), `"`+strings.Repeat("a", maxETag)+`"`
	s := newStore(t, then(whole(etag, content), broken(etag, content, 100)))
	got, _, err := get(t.Context(), s.source())
	if err != nil || !bytes.Equal(got, content) || strings.Join(s.requests(), "|") != "GET|GET" {
		t.Errorf("got %d bytes, %v, asked %.60q", len(got), err, s.requests())
	}
}
