package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// ErrExists means that there is an object of the name that PutNew should write.
var ErrExists = errors.New("there is such an object already")

// PutNew writes content to a name that no object has, in one request (so at most 5 GiB). It
// returns ErrExists, and changes nothing, if there is one, provided that the store honours
// If-None-Match. It does not retry: after an *Error that is temporary, and after the error of
// ctx, the object may have been written, or may still be.
func (m *Mirror) PutNew(ctx context.Context, name string, content []byte) error {
	key, err := m.key(name)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	f := &file{name, key, bytes.NewReader(content), int64(len(content)), hex.EncodeToString(sum[:])}
	sums, err := f.sums(0, f.size, io.Discard)
	if err != nil {
		return err
	}
	err = m.putNew(ctx, f, sums)
	if !m.md5.Load() && rejectsSHA256(err) {
		m.md5.Store(true)
		err = m.putNew(ctx, f, sums)
	}
	return err
}

// putNew sends one request of PutNew.
func (m *Mirror) putNew(ctx context.Context, f *file, sums *sums) error {
	options := m.options(f)
	options.SetMatchETagExcept("*")
	contentMD5 := ""
	if m.md5.Load() {
		contentMD5 = sums.md5Base64()
	} else {
		options.UserMetadata["x-amz-checksum-sha256"] = sums.sha256Base64()
	}
	watched, touch, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	body := &activityReader{io.NewSectionReader(f.content, 0, f.size), touch}
	_, err := m.core.PutObject(watched, m.bucket, f.key, body, f.size, contentMD5, sums.sha256Hex(), options)
	switch response := rejection(err); {
	case response.StatusCode == http.StatusPreconditionFailed:
		return &Error{Message: "There is " + m.Address(f.name) + " already.", Err: ErrExists}
	case response.StatusCode == http.StatusConflict: // another request for the name is under way
		return &Error{
			Message: m.Address(f.name) + " is being written by another process.", Temporary: true, Err: err,
			Remedy: "Check which program writes there.",
		}
	}
	return m.toError(ctx, err)
}

// Remove removes the object of a name. It succeeds if there is none.
func (m *Mirror) Remove(ctx context.Context, name string) error {
	key, err := m.key(name)
	if err != nil {
		return err
	}
	watched, _, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	err = m.core.RemoveObject(watched, m.bucket, key, minio.RemoveObjectOptions{})
	if rejection(err).Code == "NoSuchKey" {
		return nil
	}
	return m.toError(ctx, err)
}

// Each calls each with every object in a folder and in the folders inside it whose name, below
// the folder, is after a name in the order of bytes: that name, its size in bytes, and when it
// was written.
func (m *Mirror) Each(
	ctx context.Context, folder, after string, each func(name string, size int64, written time.Time),
) error {
	key, err := m.key(folder)
	if err != nil {
		return err
	}
	under := key + "/"
	watched, touch, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	options := minio.ListObjectsOptions{Prefix: under, Recursive: true}
	if after != "" {
		options.StartAfter = under + after
	}
	for o := range m.core.ListObjectsIter(watched, m.bucket, options) {
		if o.Err != nil {
			return m.toError(ctx, o.Err)
		}
		touch()
		if name := strings.TrimPrefix(o.Key, under); name > after && !strings.HasSuffix(name, "/") {
			each(name, o.Size, o.LastModified)
		}
	}
	return m.toError(ctx, watched.Err()) // the iterator ends without an error when its context ends
}
