package mirror

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/minio/minio-go/v7"
)

// file is a file to copy.
type file struct {
	name, key string
	content   io.ReaderAt
	size      int64
	sha256    string // hexadecimal
}

// Put copies content, of size bytes and with the hexadecimal SHA-256 sum, to name.
// It replaces an object of that name, unless that has the same content: then it
// sends nothing. When Put fails, the object stays as it was.
//
// A large file is sent in parts. If that is interrupted, for instance because ctx
// ends, the parts that arrived stay in the store, and the next Put of that name,
// from any process, sends only the others. They are invisible but take up space:
// set the store to delete uploads that stay unfinished for some days. Content that
// has another checksum than sum leaves nothing.
//
// Put returns an *Error, or the error of ctx. If the store does not answer, it
// fails after about a minute.
func (m *Mirror) Put(ctx context.Context, name string, content io.ReaderAt, size int64, sum string) error {
	key, err := m.key(name)
	if err != nil {
		return err
	}
	f := &file{name, key, content, size, strings.ToLower(sum)}
	if found, err := m.has(ctx, f); found || err != nil {
		return err
	}
	// One try is not enough if the store rejects SHA-256 checksums, if another
	// process ended the upload, or if a resumed upload was begun for another content:
	// the object then has the metadata of that content.
	for range 3 {
		triedMD5 := m.md5.Load()
		err = m.send(ctx, f)
		if !triedMD5 && rejectsSHA256(err) {
			m.md5.Store(true)
			continue
		}
		if err != nil && !uploadGone(err) {
			return err
		}
		if found, e := m.has(ctx, f); found || e != nil {
			return e
		}
	}
	if err != nil {
		return err
	}
	return &Error{
		Message: m.Address(name) + " does not have the content that was sent.",
		Remedy:  "Check whether another program writes to it, and whether the store keeps the metadata of objects.",
	}
}

// has reports whether the store has an object with the name and content of f.
func (m *Mirror) has(ctx context.Context, f *file) (bool, error) {
	object, err := m.Stat(ctx, f.name)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return err == nil && object.Size == f.size && object.SHA256 == f.sha256, err
}

// uploadGone reports whether err means that the upload ended. Another process may
// have completed or aborted it, or an earlier request whose answer was lost.
func uploadGone(err error) bool {
	code := rejection(err).Code
	return code == "NoSuchUpload" || code == "InvalidPart"
}

// rejectsSHA256 reports whether err is how the stores of Cloudflare and Backblaze
// reject the header of a checksum.
func rejectsSHA256(err error) bool {
	response := rejection(err)
	return response.StatusCode == http.StatusNotImplemented ||
		response.StatusCode == http.StatusBadRequest && strings.Contains(response.Message, "x-amz-checksum")
}

// send sends f: in parts if it is larger than one, otherwise in one request.
func (m *Mirror) send(ctx context.Context, f *file) error {
	if f.size > m.limits.partSize {
		return m.sendParts(ctx, f)
	}
	whole := sha256.New()
	sums, err := f.sums(0, f.size, whole)
	if err == nil {
		err = f.verify(whole)
	}
	if err != nil {
		return err
	}
	return m.try(ctx, io.NewSectionReader(f.content, 0, f.size), func(ctx context.Context, body io.Reader) error {
		options := m.options(f)
		contentMD5 := ""
		if m.md5.Load() {
			contentMD5 = sums.md5Base64()
		} else {
			options.UserMetadata["x-amz-checksum-sha256"] = sums.sha256Base64()
		}
		_, err := m.core.PutObject(ctx, m.bucket, f.key, body, f.size, contentMD5, sums.sha256Hex(), options)
		return err
	})
}

// options returns the options of an object or an upload. DisableContentSha256 does
// the opposite of its name: without it minio-go sends plain HTTP bodies as signed
// chunks and drops the SHA-256 that it is given, with which the store verifies them.
func (m *Mirror) options(f *file) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		DisableContentSha256: true, UserMetadata: map[string]string{"sha256": f.sha256},
	}
}

// try calls send with the body until that succeeds, fails for good or has used up
// the tries of m.limits. Each try gets a new reader, because net/http may still
// read the one of the try before.
func (m *Mirror) try(ctx context.Context, body *io.SectionReader, send func(context.Context, io.Reader) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		watched, touch, stop := m.watch(ctx, m.limits.idleTimeout)
		defer stop()
		err := m.toError(ctx, send(watched, &activityReader{io.NewSectionReader(body, 0, body.Size()), touch}))
		if err != nil && !temporary(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(m.limits.tries), backoff.WithMaxElapsedTime(m.limits.idleTimeout))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// watch returns a context that ends when touch is not called for idleTimeout. Call
// stop to release its resources.
func (m *Mirror) watch(
	ctx context.Context, idleTimeout time.Duration,
) (watched context.Context, touch, stop func()) {
	watched, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(idleTimeout, cancel)
	return watched, func() { timer.Reset(idleTimeout) }, func() { timer.Stop(); cancel() }
}

// activityReader calls touch at every Read. It is deliberately not an io.Seeker:
// minio-go retries a request with a body that can seek, and try counts the retries.
type activityReader struct {
	r     io.Reader
	touch func()
}

func (a *activityReader) Read(b []byte) (int, error) {
	a.touch()
	return a.r.Read(b)
}

// sums are the checksums of a part of a file, or of a whole small one. A part is
// sent together with them, so the store rejects it if the file changed after they
// were computed.
type sums struct {
	sha256 [sha256.Size]byte
	md5    [md5.Size]byte
}

func (s *sums) sha256Hex() string    { return hex.EncodeToString(s.sha256[:]) }
func (s *sums) sha256Base64() string { return base64.StdEncoding.EncodeToString(s.sha256[:]) }
func (s *sums) md5Hex() string       { return hex.EncodeToString(s.md5[:]) }
func (s *sums) md5Base64() string    { return base64.StdEncoding.EncodeToString(s.md5[:]) }

// sums returns the checksums of n bytes at offset from, and writes those bytes to
// also.
func (f *file) sums(from, n int64, also io.Writer) (*sums, error) {
	a, b := sha256.New(), md5.New()
	read, err := io.Copy(io.MultiWriter(a, b, also), io.NewSectionReader(f.content, from, n))
	if err == nil && read < n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, &Error{
			Err: err, Message: fmt.Sprintf("The local file %s cannot be read to its end, so no copy of it was made: %v.",
				f.name, err),
			Remedy: "Check the file and the disk.",
		}
	}
	return &sums{[sha256.Size]byte(a.Sum(nil)), [md5.Size]byte(b.Sum(nil))}, nil
}

// verify returns an *Error unless the hash of the content is the expected one.
func (f *file) verify(whole hash.Hash) error {
	if hex.EncodeToString(whole.Sum(nil)) == f.sha256 {
		return nil
	}
	return &Error{
		Err: errContent, Message: fmt.Sprintf("The local file %s does not have its SHA-256 %.64q, so no copy of it was "+
			"made: it was changed or damaged.", f.name, f.sha256),
		Remedy: "Delete it; then it is downloaded again.",
	}
}

// errContent means that content does not have the expected checksum.
var errContent = errors.New("the content has another checksum")
