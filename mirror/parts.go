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

// mostParts is how many parts S3 allows.
const mostParts = 10_000

// upload is an object that is sent in parts.
type upload struct {
	*file
	id     string
	part   int64                    // bytes of every part but the last
	there  map[int]minio.ObjectPart // by number, as the store lists them
	others []string                 // uploads to the same name
}

// partSize returns the bytes of a part of a file of size bytes.
func (m *Mirror) partSize(size int64) int64 {
	const unit = 1 << 20
	least := (size + mostParts - 1) / mostParts
	return max(m.limits.part, (least+unit-1)/unit*unit)
}

// at returns where the part of a number begins and how many bytes it has, 0 if
// there is none.
func (u *upload) at(number int) (from, n int64) {
	from = int64(number-1) * u.part
	return from, max(0, min(u.part, u.size-from))
}

// sendParts takes up an upload, or begins one, and finishes it.
func (m *Mirror) sendParts(ctx context.Context, f *file) error {
	u, err := m.begin(ctx, f)
	if err != nil {
		return err
	}
	parts, err := m.fill(ctx, u)
	if errors.Is(err, errContent) {
		m.drop(ctx, f.key, u.id)
	}
	if err != nil {
		return err
	}
	watched, _, stop := m.watch(ctx, m.limits.finish)
	defer stop()
	if _, err := m.core.CompleteMultipartUpload(watched, m.bucket, f.key, u.id, parts, minio.PutObjectOptions{}); err != nil {
		return m.failed(ctx, err)
	}
	m.drop(ctx, f.key, u.others...)
	return nil
}

// begin returns the upload of f that broke off, or a new one. Which content an
// upload is for the store does not tell, so its parts are compared.
func (m *Mirror) begin(ctx context.Context, f *file) (*upload, error) {
	watched, heard, stop := m.watch(ctx, m.limits.silence)
	defer stop()
	u := &upload{file: f, part: m.partSize(f.size)}
	ids, err := m.uploads(watched, f.key)
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	for _, id := range ids {
		heard()
		there, err := m.parts(watched, f.key, id)
		if err != nil {
			return nil, m.failed(ctx, err)
		}
		fits, err := u.firstFits(there)
		if err != nil {
			return nil, err
		}
		if fits && len(there) > len(u.there) {
			u.id, u.there = id, there
		}
	}
	for _, id := range ids {
		if id != u.id {
			u.others = append(u.others, id)
		}
	}
	if u.id != "" {
		return u, nil
	}
	heard()
	options := m.options(f)
	if !m.md5.Load() {
		options.UserMetadata["x-amz-checksum-algorithm"] = "SHA256"
	}
	u.id, err = m.core.NewMultipartUpload(watched, m.bucket, f.key, options)
	return u, m.failed(ctx, err)
}

// firstFits tells whether the first of the parts is one of u.
func (u *upload) firstFits(there map[int]minio.ObjectPart) (bool, error) {
	first := mostParts + 1
	for number := range there {
		first = min(first, number)
	}
	from, n := u.at(first)
	if n == 0 {
		return false, nil
	}
	s, err := u.sums(from, n, io.Discard)
	return err == nil && s.fit(there[first], n), err
}

// fit tells whether a part in the store has n bytes and these checksums.
func (s *sums) fit(p minio.ObjectPart, n int64) bool {
	if p.ChecksumSHA256 != "" {
		return p.Size == n && p.ChecksumSHA256 == s.sha256Base64()
	}
	return p.Size == n && strings.Trim(p.ETag, `"`) == s.md5Hex()
}

// fill sends the parts that are missing, while it reads on to verify the whole.
func (m *Mirror) fill(ctx context.Context, u *upload) ([]minio.CompletePart, error) {
	count := int((u.size + u.part - 1) / u.part)
	parts := make([]minio.CompletePart, count)
	whole := sha256.New()
	lanes, sending := errgroup.WithContext(ctx)
	lanes.SetLimit(m.limits.lanes)
	var err error
	for i := 0; i < count && err == nil && sending.Err() == nil; i++ {
		from, n := u.at(i + 1)
		var s *sums
		if s, err = u.sums(from, n, whole); err != nil {
			break
		}
		if there := u.there[i+1]; s.fit(there, n) {
			parts[i] = completed(there)
			continue
		}
		lanes.Go(func() error {
			sent, err := m.sendPart(sending, u, i+1, s)
			parts[i] = completed(sent)
			return err
		})
	}
	if e := lanes.Wait(); e != nil {
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

// sendPart sends the part of a number, which has the checksums s.
func (m *Mirror) sendPart(ctx context.Context, u *upload, number int, s *sums) (sent minio.ObjectPart, err error) {
	from, n := u.at(number)
	options := minio.PutObjectPartOptions{Sha256Hex: s.sha256Hex(), DisableContentSha256: true, CustomHeader: http.Header{}}
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
		if refusal(err).StatusCode == http.StatusNotImplemented {
			return nil, nil // nothing can be taken up in this store
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

// parts returns the parts of an upload; none if it has ended.
func (m *Mirror) parts(ctx context.Context, key, id string) (map[int]minio.ObjectPart, error) {
	there := map[int]minio.ObjectPart{}
	for marker := 0; ; {
		page, err := m.core.ListObjectParts(ctx, m.bucket, key, id, marker, 0)
		if refusal(err).Code == "NoSuchUpload" {
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

// drop ends uploads as well as it can. What stays takes room, no more.
func (m *Mirror) drop(ctx context.Context, key string, ids ...string) {
	watched, heard, stop := m.watch(ctx, m.limits.silence)
	defer stop()
	for _, id := range ids {
		heard()
		m.core.AbortMultipartUpload(watched, m.bucket, key, id)
	}
}
