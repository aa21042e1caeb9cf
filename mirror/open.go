package mirror

import (
	"context"
	"errors"
	"io"

	"github.com/minio/minio-go/v7"

	"fullstory-export-mcp/archive"
)

// Opener returns an Opener of the copies of the files of a folder. It fails with ErrMissing
// if there is no copy, and with archive.ErrChanged if that has another size or checksum. A
// content makes one request for the bytes after each Seek; ctx bounds all of them.
func (m *Mirror) Opener(ctx context.Context, folder string) archive.Opener {
	return func(f archive.File) (io.ReadSeekCloser, error) {
		name := folder + "/" + f.Name
		o, err := m.Stat(ctx, name)
		if err == nil && (o.Size != f.Bytes || o.SHA256 != "" && o.SHA256 != f.SHA256) {
			err = archive.ErrChanged
		}
		if err != nil {
			return nil, err
		}
		return &object{m: m, ctx: ctx, name: name, size: o.Size}, nil
	}
}

// object is the content of an object, from a place that Seek chose.
type object struct {
	m     *Mirror
	ctx   context.Context
	name  string
	size  int64 // bytes
	at    int64
	body  io.ReadCloser // from at on; nil: no request was made yet
	touch func()
	stop  func()
}

// Seek sets where the next Read begins.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("the offset is before the start")
	}
	if offset != o.at {
		o.Close()
		o.at = offset
	}
	return offset, nil
}

// Read reads what the store sends. It fails if nothing arrives for the idle timeout.
func (o *object) Read(b []byte) (int, error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if o.body == nil {
		if err := o.request(); err != nil {
			return 0, err
		}
	}
	o.touch()
	n, err := o.body.Read(b)
	o.at += int64(n)
	switch {
	case err == io.EOF && o.at < o.size:
		err = io.ErrUnexpectedEOF
	case err != nil && err != io.EOF:
		err = o.m.toError(o.ctx, err)
	}
	return n, err
}

// request asks for the bytes from o.at on.
func (o *object) request() error {
	key, err := o.m.key(o.name)
	if err != nil {
		return err
	}
	var options minio.GetObjectOptions
	if o.at > 0 {
		if err := options.SetRange(o.at, 0); err != nil {
			return err
		}
	}
	watched, touch, stop := o.m.watch(o.ctx, o.m.limits.idleTimeout)
	body, info, _, err := o.m.core.GetObject(watched, o.m.bucket, key, options)
	if err != nil {
		stop()
		return o.m.notFound(o.ctx, o.name, err)
	}
	if info.Size != o.size-o.at { // replaced meanwhile, or the store does not know ranges
		body.Close()
		stop()
		return archive.ErrChanged
	}
	o.body, o.touch, o.stop = body, touch, stop
	return nil
}

// Close ends the request.
func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	err := o.body.Close()
	o.stop()
	o.body = nil
	return err
}
