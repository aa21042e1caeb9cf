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
	put, err := m.request(name, content, true)
	if err == nil {
		err = put(ctx)
	}
	switch response := rejection(err); {
	case response.StatusCode == http.StatusPreconditionFailed:
		return &Error{Message: "There is " + m.Address(name) + " already.", Err: ErrExists}
	case response.StatusCode == http.StatusConflict: // another request for the name is under way
		return &Error{
			Message: m.Address(name) + " is being written by another process.", Temporary: true, Err: err,
			Remedy: "Check which program writes there.",
		}
	}
	return m.toError(ctx, err)
}

// Replace writes content to a name, in place of any object that has it, in one request (so at most
// 5 GiB). Several processes may do so at once: the content of one of them stays, whole. It retries
// and fails as Put does.
func (m *Mirror) Replace(ctx context.Context, name string, content []byte) error {
	put, err := m.request(name, content, false)
	if err != nil {
		return err
	}
	return m.try(ctx, io.NewSectionReader(bytes.NewReader(nil), 0, 0), func(ctx context.Context, _ io.Reader) error {
		return put(ctx)
	})
}

// request returns a function that sends content to a name in one request, or in two if the store
// rejects the checksum of the first.
func (m *Mirror) request(name string, content []byte, isNew bool) (func(context.Context) error, error) {
	key, err := m.key(name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	f := &file{name, key, bytes.NewReader(content), int64(len(content)), hex.EncodeToString(sum[:])}
	sums, err := f.sums(0, f.size, io.Discard)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		err := m.put(ctx, f, sums, isNew)
		if !m.md5.Load() && rejectsSHA256(err) {
			m.md5.Store(true)
			err = m.put(ctx, f, sums, isNew)
		}
		return err
	}, nil
}

// put sends one request. It returns the error of minio-go.
func (m *Mirror) put(ctx context.Context, f *file, sums *sums, isNew bool) error {
	options := m.options(f)
	if isNew {
		options.SetMatchETagExcept("*")
	}
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
	return err
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
