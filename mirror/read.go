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

// Object is what is known of a copy.
type Object struct {
	Name   string
	Size   int64  // bytes
	SHA256 string // of its content, hexadecimal; empty when not known
}

// Stat returns what is under name. Without an object the error is ErrMissing,
// also when there is no bucket: Check tells the two apart.
func (m *Mirror) Stat(ctx context.Context, name string) (Object, error) {
	key, err := m.key(name)
	if err != nil {
		return Object{}, err
	}
	watched, _, stop := m.watch(ctx, m.limits.silence)
	defer stop()
	info, err := m.core.StatObject(watched, m.bucket, key, minio.StatObjectOptions{})
	switch refusal(err).StatusCode {
	case http.StatusForbidden, http.StatusBadRequest, http.StatusMovedPermanently:
		// An answer to HEAD cannot say why. One to GET does.
		if e := m.list(watched, key, 1, func(minio.ObjectInfo) {}); e != nil {
			err = e
		}
	}
	if err != nil {
		return Object{}, m.absent(ctx, name, err)
	}
	return Object{Name: name, Size: info.Size, SHA256: checksum(info)}, nil
}

// Get returns the content under name, which may have most bytes. Without an
// object the error is ErrMissing.
func (m *Mirror) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	key, err := m.key(name)
	if err != nil {
		return nil, err
	}
	watched, heard, stop := m.watch(ctx, m.limits.silence)
	defer stop()
	body, info, _, err := m.core.GetObject(watched, m.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, m.absent(ctx, name, err)
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(&noticed{body, heard}, most+1))
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	if int64(len(content)) > most {
		return nil, &Error{Message: fmt.Sprintf("%s has more than the %d bytes that are expected of it. A person looks at what was put there.", m.Address(name), most)}
	}
	sum := sha256.Sum256(content)
	if want := checksum(info); want != "" && want != hex.EncodeToString(sum[:]) {
		return nil, &Error{Temporary: true, Message: m.Address(name) + " did not arrive as it was put there. A repeat helps, if it is sound in the store."}
	}
	return content, nil
}

// List returns the bytes of the objects in a folder and the folders inside it,
// by their names, which are those that Put was given. Folder "" is everything.
func (m *Mirror) List(ctx context.Context, folder string) (map[string]int64, error) {
	under := m.prefix
	if folder != "" {
		key, err := m.key(folder)
		if err != nil {
			return nil, err
		}
		under = key + "/"
	}
	watched, heard, stop := m.watch(ctx, m.limits.silence)
	defer stop()
	sizes := map[string]int64{}
	err := m.list(watched, under, 0, func(o minio.ObjectInfo) {
		heard()
		if !strings.HasSuffix(o.Key, "/") { // which consoles make for folders
			sizes[strings.TrimPrefix(o.Key, m.prefix)] = o.Size
		}
	})
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	return sizes, nil
}

// Check returns nil if the bucket is there and the credentials let copies be
// made. It leaves no trace.
func (m *Mirror) Check(ctx context.Context) error {
	watched, _, stop := m.watch(ctx, m.limits.silence)
	defer stop()
	err := m.list(watched, m.prefix, 1, func(minio.ObjectInfo) {})
	if err != nil {
		return m.failed(ctx, err)
	}
	key := m.prefix + "check"
	if _, err := m.uploads(watched, key); err != nil {
		return m.failed(ctx, err)
	}
	// An upload that is begun and ended needs the permission to write, but
	// none to delete.
	id, err := m.core.NewMultipartUpload(watched, m.bucket, key, minio.PutObjectOptions{})
	if err == nil {
		err = m.core.AbortMultipartUpload(watched, m.bucket, key, id)
	}
	return m.failed(ctx, err)
}

// list gives the objects whose keys begin with prefix to each: all of them, or
// with most those of one answer of at most that many.
func (m *Mirror) list(ctx context.Context, prefix string, most int, each func(minio.ObjectInfo)) error {
	for o := range m.core.ListObjectsIter(ctx, m.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, MaxKeys: most}) {
		if o.Err != nil {
			return o.Err
		}
		each(o)
		if most > 0 {
			break
		}
	}
	return ctx.Err() // the iterator ends without a word when ctx does
}

// absent makes an error of a request for an object.
func (m *Mirror) absent(ctx context.Context, name string, err error) error {
	if refusal(err).Code == "NoSuchKey" {
		return &Error{Message: "There is no " + m.Address(name) + ".", Err: ErrMissing}
	}
	return m.failed(ctx, err)
}

// checksum returns the SHA-256 that Put noted of an object.
func checksum(o minio.ObjectInfo) string {
	sum := strings.ToLower(o.UserMetadata["Sha256"])
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size {
		return ""
	}
	return sum
}
