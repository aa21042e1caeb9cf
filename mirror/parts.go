package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// maxParts is the number of parts that S3 allows in an upload.
const maxParts = 10_000

// upload is a multipart upload of a file: a new one, or one that another process
// or an earlier Put left unfinished.
type upload struct {
	*file
	id        string
	partSize  int64                    // bytes of every part but the last
	stored    map[int]minio.ObjectPart // parts that the store has, by number
	abandoned []string                 // ids of other unfinished uploads to the same key
}

// partSize returns the bytes of each part of a file of size bytes, in whole MiB
// where maxParts requires more than the usual size.
func (m *Mirror) partSize(size int64) int64 {
	const unit = 1 << 20
	least := (size + maxParts - 1) / maxParts
	return max(m.limits.partSize, (least+unit-1)/unit*unit)
}

// at returns the offset and the length in bytes of the part with a number, which
// counts from 1. The length is 0 if there is no such part.
func (u *upload) at(number int) (from, n int64) {
	from = int64(number-1) * u.partSize
	return from, max(0, min(u.partSize, u.size-from))
}

// sendParts resumes or begins an upload, and completes it. An error leaves its parts
// in the store for the next Put, except if the content is not the expected one.
//
// It does not use minio-go's PutObject, which sends what it reads without comparing
// it with the verified content, aborts the whole upload when one part with a
// SHA-256 breaks off, and cannot resume.
func (m *Mirror) sendParts(ctx context.Context, f *file) error {
	u, err := m.resumeOrBegin(ctx, f)
	if err != nil {
		return err
	}
	parts, err := m.sendMissing(ctx, u)
	if errors.Is(err, errContent) {
		m.abort(ctx, f.key, u.id)
	}
	if err != nil {
		return err
	}
	watched, _, stop := m.watch(ctx, m.limits.finishTimeout)
	defer stop()
	_, err = m.core.CompleteMultipartUpload(watched, m.bucket, f.key, u.id, parts, minio.PutObjectOptions{})
	if err != nil {
		return m.toError(ctx, err)
	}
	m.abort(ctx, f.key, u.abandoned...)
	return nil
}

// resumeOrBegin returns an unfinished upload of f, or else a new one. The store does
// not say which content an upload was begun for, so the first part that it has is
// compared. Of several uploads the one with most parts is resumed.
func (m *Mirror) resumeOrBegin(ctx context.Context, f *file) (*upload, error) {
	watched, touch, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	u := &upload{file: f, partSize: m.partSize(f.size)}
	ids, err := m.uploads(watched, f.key)
	if err != nil {
		return nil, m.toError(ctx, err)
	}
	for _, id := range ids {
		touch()
		there, err := m.parts(watched, f.key, id)
		if err != nil {
			return nil, m.toError(ctx, err)
		}
		fits, err := u.firstMatches(there)
		if err != nil {
			return nil, err
		}
		if fits && len(there) > len(u.stored) {
			u.id, u.stored = id, there
		}
	}
	for _, id := range ids {
		if id != u.id {
			u.abandoned = append(u.abandoned, id)
		}
	}
	if u.id != "" {
		return u, nil
	}
	touch()
	options := m.options(f)
	if !m.md5.Load() {
		options.UserMetadata["x-amz-checksum-algorithm"] = "SHA256"
	}
	u.id, err = m.core.NewMultipartUpload(watched, m.bucket, f.key, options)
	return u, m.toError(ctx, err)
}

// firstMatches reports whether the first of the stored parts has the content that
// u has there. sendMissing compares the others.
func (u *upload) firstMatches(there map[int]minio.ObjectPart) (bool, error) {
	first := maxParts + 1
	for number := range there {
		first = min(first, number)
	}
	from, n := u.at(first)
	if n == 0 {
		return false, nil
	}
	s, err := u.sums(from, n, io.Discard)
	return err == nil && s.match(there[first], n), err
}

// match reports whether a stored part has n bytes and these checksums. Without a
// SHA-256 the ETag of a part is its MD5.
func (s *sums) match(p minio.ObjectPart, n int64) bool {
	if p.ChecksumSHA256 != "" {
		return p.Size == n && p.ChecksumSHA256 == s.sha256Base64()
	}
	return p.Size == n && strings.Trim(p.ETag, `"`) == s.md5Hex()
}

// sendMissing sends the parts that the store does not have, and returns all of them
// in order. It reads the file once, in order, and hashes the whole and each part;
// the parts are sent meanwhile, at most m.limits.concurrency at once. The caller
// completes the upload only afterwards, so an object never has wrong content.
func (m *Mirror) sendMissing(ctx context.Context, u *upload) ([]minio.CompletePart, error) {
	count := int((u.size + u.partSize - 1) / u.partSize)
	parts := make([]minio.CompletePart, count)
	whole := sha256.New()
	sends, sending := errgroup.WithContext(ctx)
	sends.SetLimit(m.limits.concurrency)
	var err error
	for i := 0; i < count && err == nil && sending.Err() == nil; i++ {
		from, n := u.at(i + 1)
		var s *sums
		if s, err = u.sums(from, n, whole); err != nil {
			break
		}
		if there := u.stored[i+1]; s.match(there, n) {
			parts[i] = completed(there)
			continue
		}
		sends.Go(func() error {
			sent, err := m.sendPart(sending, u, i+1, s)
			parts[i] = completed(sent)
			return err
		})
	}
	if e := sends.Wait(); e != nil {
		return nil, e
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = u.verify(whole)
	}
	return parts, err
}

// sendPart sends one part, whose checksums are s.
func (m *Mirror) sendPart(ctx context.Context, u *upload, number int, s *sums) (sent minio.ObjectPart, err error) {
	from, n := u.at(number)
	options := minio.PutObjectPartOptions{
		Sha256Hex: s.sha256Hex(), DisableContentSha256: true, CustomHeader: http.Header{},
	}
	if m.md5.Load() {
		options.Md5Base64 = s.md5Base64()
	} else {
		options.CustomHeader.Set("x-amz-checksum-sha256", s.sha256Base64())
	}
	err = m.try(ctx, io.NewSectionReader(u.content, from, n), func(ctx context.Context, body io.Reader) error {
		sent, err = m.core.PutObjectPart(ctx, m.bucket, u.key, u.id, number, body, n, options)
		return err
	})
	return sent, err
}

func completed(p minio.ObjectPart) minio.CompletePart {
	return minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumSHA256: p.ChecksumSHA256}
}

// uploads returns the ids of the unfinished uploads to a key.
func (m *Mirror) uploads(ctx context.Context, key string) ([]string, error) {
	var ids []string
	var page minio.ListMultipartUploadsResult
	for {
		var err error
		page, err = m.core.ListMultipartUploads(ctx, m.bucket, key, page.NextKeyMarker, page.NextUploadIDMarker, "", 0)
		if rejection(err).StatusCode == http.StatusNotImplemented {
			return nil, nil // nothing can be resumed in this store
		}
		if err != nil {
			return nil, err
		}
		for _, u := range page.Uploads {
			if u.Key == key {
				ids = append(ids, u.UploadID)
			}
		}
		if !page.IsTruncated || page.NextKeyMarker != key {
			return ids, nil
		}
	}
}

// parts returns the stored parts of an upload by number; none if it ended.
func (m *Mirror) parts(ctx context.Context, key, id string) (map[int]minio.ObjectPart, error) {
	there := map[int]minio.ObjectPart{}
	for marker := 0; ; {
		page, err := m.core.ListObjectParts(ctx, m.bucket, key, id, marker, 0)
		if rejection(err).Code == "NoSuchUpload" {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, p := range page.ObjectParts {
			there[p.PartNumber] = p
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			return there, nil
		}
		marker = page.NextPartNumberMarker
	}
}

// abort aborts uploads and ignores errors: an upload that stays only takes up space.
func (m *Mirror) abort(ctx context.Context, key string, ids ...string) {
	watched, touch, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	for _, id := range ids {
		touch()
		m.core.AbortMultipartUpload(watched, m.bucket, key, id)
	}
}
