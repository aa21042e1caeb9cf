package sandbox

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// object is what a link leads to: the file of an export, or a damaged version of
// it.
type object struct {
	io.ReadSeeker
	size int64
	etag string
}

// newObject returns the file unchanged. id identifies its content and with it
// determines the ETag.
func newObject(file *os.File, id string) (object, error) {
	info, err := file.Stat()
	if err != nil {
		return object{}, err
	}
	return object{file, info.Size(), etag(id, info.Size(), "")}, nil
}

// etag returns a strong ETag: equal content, size and variant give equal ETags.
func etag(id string, size int64, variant string) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(id, size, variant)))
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// damage returns the object as changed by a fault (nil: unchanged). n is the number
// of the download. A damaged object has an ETag of its own.
func (o object) damage(f *Fault, id string, n int64) object {
	if f == nil {
		return o
	}
	file, _ := o.ReadSeeker.(io.ReaderAt)
	damaged := func(r io.ReaderAt, size int64) object {
		return object{io.NewSectionReader(r, 0, size), size, etag(id, size, f.Do)}
	}
	switch f.Do {
	case "truncate":
		return damaged(file, o.size/2)
	case "empty":
		return damaged(file, 0)
	case "corrupt":
		return damaged(flipped{file, o.size / 2, o.size/2 + 16}, o.size)
	case "checksum":
		return damaged(flipped{file, o.size - 8, o.size - 4}, o.size)
	case "html":
		page := []byte("<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>\n")
		return damaged(bytes.NewReader(page), int64(len(page)))
	case "trailing_bytes":
		return damaged(joined{file, o.size, []byte(trailing)}, o.size+int64(len(trailing)))
	case "zero_padding":
		return damaged(joined{file, o.size, make([]byte, 512)}, o.size+512)
	case "changed":
		// Empty members at the end of a gzip file change its bytes but not its
		// content. Their number differs from one download to the next.
		var member bytes.Buffer
		gzip.NewWriter(&member).Close()
		tail := bytes.Repeat(member.Bytes(), 1+int(n%7))
		return damaged(joined{file, o.size, tail}, o.size+int64(len(tail)))
	}
	return o
}

// trailing is the text that trailing_bytes appends.
const trailing = "-- end of the export --\n"

// flipped inverts the bytes in [from, to) as they are read.
type flipped struct {
	io.ReaderAt
	from, to int64
}

func (f flipped) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, at)
	for i := range p[:n] {
		if here := at + int64(i); here >= f.from && here < f.to {
			p[i] ^= 0xff
		}
	}
	return n, err
}

// joined reads a file of size bytes, followed by its tail.
type joined struct {
	io.ReaderAt
	size int64
	tail []byte
}

func (j joined) ReadAt(p []byte, at int64) (n int, err error) {
	if at < j.size {
		n, err = j.ReaderAt.ReadAt(p[:min(int64(len(p)), j.size-at)], at)
		if n < len(p) && (err == nil || err == io.EOF) && at+int64(n) == j.size {
			more, e := bytes.NewReader(j.tail).ReadAt(p[n:], 0)
			return n + more, e
		}
		return n, err
	}
	return bytes.NewReader(j.tail).ReadAt(p, at-j.size)
}

// serveWith serves the object under a fault of the connection (nil: none).
func (o object) serveWith(f *Fault, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", o.etag)
	effect := ""
	if f != nil {
		effect = f.Do
	}
	switch effect {
	case "ignore_range":
		r.Header.Del("Range")
	case "cut":
		at := f.At
		if at == 0 {
			at = o.size / 2
		}
		w = &pacedWriter{ResponseWriter: w, r: r, cut: at}
	case "slow_body":
		rate := f.Rate
		if rate == 0 {
			rate = 100_000
		}
		w = &pacedWriter{ResponseWriter: w, r: r, cut: -1, rate: rate}
	}
	http.ServeContent(w, r, "", time.Time{}, o)
}

// pacedWriter writes at a rate, or breaks the connection after some bytes, by
// panicking with http.ErrAbortHandler. It flushes each part, so that the client has
// received what was written before the connection breaks.
type pacedWriter struct {
	http.ResponseWriter
	r    *http.Request
	sent int64
	cut  int64 // bytes of the answer after which the connection breaks; -1: never
	rate int64 // bytes a second; 0: unlimited
}

func (s *pacedWriter) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		part := p[n:]
		if s.rate > 0 { // 20 parts a second, 50 ms apart
			part = part[:min(int64(len(part)), max(1, s.rate/20))]
		}
		if s.cut >= 0 {
			part = part[:min(int64(len(part)), s.cut-s.sent)]
		}
		var m int
		m, err = s.ResponseWriter.Write(part)
		n, s.sent = n+m, s.sent+int64(m)
		http.NewResponseController(s.ResponseWriter).Flush()
		if s.cut >= 0 && s.sent >= s.cut {
			panic(http.ErrAbortHandler)
		}
		if s.rate > 0 && !wait(s.r, 50*time.Millisecond) {
			return n, s.r.Context().Err()
		}
	}
	return n, err
}
