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

// file is what is to be copied.
type file struct {
	name, key string
	content   io.ReaderAt
	size      int64
	sha256    string // hexadecimal
}

// Put keeps content, of size bytes and with the hexadecimal checksum sum, under
// name. It replaces what is there, and sends nothing if that is the same. When
// it fails, what is there stays.
//
// A large file goes in parts. When that breaks off, for instance because ctx
// ends, the parts that arrived are kept, and the next Put of that name, by
// whatever process, sends the others. Nobody else sees them, but they take room
// in the store: it should be set to drop uploads that nobody finished for some
// days. Content that has not the checksum leaves nothing.
//
// It fails with an *Error, or with the error of ctx. A store that is away makes
// it fail after about a minute.
func (m *Mirror) Put(ctx context.Context, name string, content io.ReaderAt, size int64, sum string) error {
	key, err := m.key(name)
	if err != nil {
		return err
	}
	f := &file{name, key, content, size, strings.ToLower(sum)}
	if there, err := m.has(ctx, f); there || err != nil {
		return err
	}
	// More than once where the store takes no SHA-256, where somebody ended the
	// upload, or where one that was taken up had been begun for another content.
	for range 3 {
		asked := m.md5.Load()
		err = m.send(ctx, f)
		if !asked && takesNoSHA256(err) {
			m.md5.Store(true)
			continue
		}
		if err != nil && !ended(err) {
			return err
		}
		if there, e := m.has(ctx, f); there || e != nil {
			return e
		}
	}
	if err != nil {
		return err
	}
	return &Error{Message: fmt.Sprintf("%s does not hold what was sent there: either somebody else writes to it, or the store does not keep the metadata of objects. A person finds out which.", m.Address(name))}
}

// has tells whether the object of f is there with its content.
func (m *Mirror) has(ctx context.Context, f *file) (bool, error) {
	there, err := m.Stat(ctx, f.name)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return err == nil && there.Size == f.size && there.SHA256 == f.sha256, err
}

// ended tells whether err is that the upload is no more. Another process may
// have finished it, or a request whose answer was lost.
func ended(err error) bool {
	code := refusal(err).Code
	return code == "NoSuchUpload" || code == "InvalidPart"
}

// takesNoSHA256 tells whether err is how Cloudflare's and Backblaze's stores
// refuse a header of a checksum.
func takesNoSHA256(err error) bool {
	said := refusal(err)
	return said.StatusCode == http.StatusNotImplemented || said.StatusCode == http.StatusBadRequest && strings.Contains(said.Message, "x-amz-checksum")
}

func (m *Mirror) send(ctx context.Context, f *file) error {
	if f.size > m.limits.part {
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

// options are those of an object or an upload. Without DisableContentSha256
// minio-go would cut what it sends over http into signed chunks, and leave out
// the SHA-256 of it that it is given, by which the store verifies it.
func (m *Mirror) options(f *file) minio.PutObjectOptions {
	return minio.PutObjectOptions{DisableContentSha256: true, UserMetadata: map[string]string{"sha256": f.sha256}}
}

// try sends a body, again if that may help. Each time it has a reader of its
// own: HTTP may still be reading the one before.
func (m *Mirror) try(ctx context.Context, body *io.SectionReader, send func(context.Context, io.Reader) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		watched, heard, stop := m.watch(ctx, m.limits.silence)
		defer stop()
		err := m.failed(ctx, send(watched, &noticed{io.NewSectionReader(body, 0, body.Size()), heard}))
		if err != nil && !temporary(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(m.limits.tries), backoff.WithMaxElapsedTime(m.limits.silence))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// watch returns a context that ends when heard was not called for a time.
func (m *Mirror) watch(ctx context.Context, silence time.Duration) (watched context.Context, heard, stop func()) {
	watched, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(silence, cancel)
	return watched, func() { timer.Reset(silence) }, func() { timer.Stop(); cancel() }
}

// noticed calls heard whenever it is read. It cannot seek, which keeps minio-go
// from sending it twice.
type noticed struct {
	r     io.Reader
	heard func()
}

func (n *noticed) Read(b []byte) (int, error) {
	n.heard()
	return n.r.Read(b)
}

// sums are the checksums of a part of a file.
type sums struct {
	sha256 [sha256.Size]byte
	md5    [md5.Size]byte
}

func (s *sums) sha256Hex() string    { return hex.EncodeToString(s.sha256[:]) }
func (s *sums) sha256Base64() string { return base64.StdEncoding.EncodeToString(s.sha256[:]) }
func (s *sums) md5Hex() string       { return hex.EncodeToString(s.md5[:]) }
func (s *sums) md5Base64() string    { return base64.StdEncoding.EncodeToString(s.md5[:]) }

// sums reads n bytes from an offset, and gives them to also.
func (f *file) sums(from, n int64, also io.Writer) (*sums, error) {
	a, b := sha256.New(), md5.New()
	read, err := io.Copy(io.MultiWriter(a, b, also), io.NewSectionReader(f.content, from, n))
	if err == nil && read < n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, &Error{Err: err, Message: fmt.Sprintf("%s cannot be read whole here, so no copy of it was made: %v. A person looks at the file and the disk.", f.name, err)}
	}
	return &sums{[sha256.Size]byte(a.Sum(nil)), [md5.Size]byte(b.Sum(nil))}, nil
}

// verify compares the checksum of the content with the one that it should have.
func (f *file) verify(whole hash.Hash) error {
	if hex.EncodeToString(whole.Sum(nil)) == f.sha256 {
		return nil
	}
	return &Error{Err: errContent, Message: fmt.Sprintf("%s is not what its SHA-256 %.64q says, so no copy of it was made: the file here was changed or damaged. A person removes it, and then it is fetched anew.", f.name, f.sha256)}
}

// errContent is content that has not the checksum it should have.
var errContent = errors.New("the content has another checksum")
