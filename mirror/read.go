package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Object describes a copy.
type Object struct {
	Name   string
	Size   int64  // bytes
	SHA256 string // of the content, hexadecimal; empty if another program wrote the object
}

// Stat describes the object of a name. It returns ErrMissing if there is no
// object, and also if there is no bucket; Check distinguishes the two.
func (m *Mirror) Stat(ctx context.Context, name string) (Object, error) {
	key, err := m.key(name)
	if err != nil {
		return Object{}, err
	}
	watched, _, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	info, err := m.core.StatObject(watched, m.bucket, key, minio.StatObjectOptions{})
	switch rejection(err).StatusCode {
	case http.StatusForbidden, http.StatusBadRequest, http.StatusMovedPermanently:
		// An answer to HEAD has no body, so no reason. List to get one.
		if e := m.list(watched, key, 1, func(minio.ObjectInfo) {}); e != nil {
			err = e
		}
	}
	if err != nil {
		return Object{}, m.notFound(ctx, name, err)
	}
	return Object{Name: name, Size: info.Size, SHA256: checksum(info)}, nil
}

// Get returns the content of the object of a name. It returns an *Error if that
// has more than maxBytes bytes or not the SHA-256 that Put noted, and ErrMissing if
// there is no object.
func (m *Mirror) Get(ctx context.Context, name string, maxBytes int64) ([]byte, error) {
	key, err := m.key(name)
	if err != nil {
		return nil, err
	}
	watched, touch, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	body, info, _, err := m.core.GetObject(watched, m.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, m.notFound(ctx, name, err)
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(&activityReader{body, touch}, maxBytes+1))
	if err != nil {
		return nil, m.toError(ctx, err)
	}
	if int64(len(content)) > maxBytes {
		return nil, &Error{
			Message: fmt.Sprintf("%s has more than the %d bytes that it may have.", m.Address(name), maxBytes),
			Remedy:  "Check who wrote that object.",
		}
	}
	sum := sha256.Sum256(content)
	if want := checksum(info); want != "" && want != hex.EncodeToString(sum[:]) {
		return nil, &Error{
			Temporary: true, Message: m.Address(name) + " arrived with another SHA-256 than it was written with.",
			Remedy: "Check whether it is intact in the store.",
		}
	}
	return content, nil
}

// List returns the sizes, in bytes, of the objects in a folder and in the folders
// inside it, by name as given to Put. Folder "" is the whole mirror.
func (m *Mirror) List(ctx context.Context, folder string) (map[string]int64, error) {
	under := m.prefix
	if folder != "" {
		key, err := m.key(folder)
		if err != nil {
			return nil, err
		}
		under = key + "/"
	}
	watched, touch, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	sizes := map[string]int64{}
	err := m.list(watched, under, 0, func(o minio.ObjectInfo) {
		touch()
		if !strings.HasSuffix(o.Key, "/") { // consoles of stores create such objects for folders
			sizes[strings.TrimPrefix(o.Key, m.prefix)] = o.Size
		}
	})
	if err != nil {
		return nil, m.toError(ctx, err)
	}
	return sizes, nil
}

// Check returns nil if the bucket exists and the credentials allow copies to be
// made. It leaves nothing in the bucket.
func (m *Mirror) Check(ctx context.Context) error {
	watched, _, stop := m.watch(ctx, m.limits.idleTimeout)
	defer stop()
	err := m.list(watched, m.prefix, 1, func(minio.ObjectInfo) {})
	if err != nil {
		return m.toError(ctx, err)
	}
	key := m.prefix + "check"
	if _, err := m.uploads(watched, key); err != nil {
		return m.toError(ctx, err)
	}
	// Beginning and aborting an upload needs the permission to write, but not the
	// one to delete.
	id, err := m.core.NewMultipartUpload(watched, m.bucket, key, minio.PutObjectOptions{})
	if err == nil {
		err = m.core.AbortMultipartUpload(watched, m.bucket, key, id)
	}
	return m.toError(ctx, err)
}

// list calls each for every object whose key begins with prefix. With a limit
// above 0 it makes one request, and calls each at most once.
func (m *Mirror) list(ctx context.Context, prefix string, limit int, each func(minio.ObjectInfo)) error {
	options := minio.ListObjectsOptions{Prefix: prefix, Recursive: true, MaxKeys: limit}
	for o := range m.core.ListObjectsIter(ctx, m.bucket, options) {
		if o.Err != nil {
			return o.Err
		}
		each(o)
		if limit > 0 {
			break
		}
	}
	return ctx.Err() // the iterator ends without an error when ctx ends
}

// notFound turns the error of a request for an object into ErrMissing if there is
// no such object, and otherwise as toError does.
func (m *Mirror) notFound(ctx context.Context, name string, err error) error {
	if rejection(err).Code == "NoSuchKey" {
		return &Error{Message: "There is no " + m.Address(name) + ".", Err: ErrMissing}
	}
	return m.toError(ctx, err)
}

// checksum returns the SHA-256 that Put noted in the metadata of an object; "" if
// there is none.
func checksum(o minio.ObjectInfo) string {
	sum := strings.ToLower(o.UserMetadata["Sha256"])
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size {
		return ""
	}
	return sum
}
