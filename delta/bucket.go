package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"fullstory-export-mcp/mirror"
)

// Bucket returns the store of the table in a folder of a mirror. The bucket must honour
// If-None-Match: the first commit of a Table checks that, and fails if it does not.
func Bucket(m *mirror.Mirror, folder string) Store {
	return &bucket{m: m, folder: path.Join(folder, LogFolder)}
}

type bucket struct {
	m       *mirror.Mirror
	folder  string
	checked atomic.Bool // the store honours If-None-Match
}

func (b *bucket) name(name string) string { return b.folder + "/" + name }

func (b *bucket) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	content, err := b.m.Get(ctx, b.name(name), limit)
	if errors.Is(err, mirror.ErrMissing) {
		return nil, fs.ErrNotExist
	}
	return content, err
}

func (b *bucket) create(ctx context.Context, name string, content []byte) error {
	version, isCommit := versionOf(name, commitSuffix)
	if isCommit && version > 0 {
		if err := b.check(ctx, commitName(version-1)); err != nil {
			return err
		}
	}
	err := b.put(ctx, name, content)
	if err == nil && version == 0 {
		err = b.check(ctx, name)
	}
	return err
}

func (b *bucket) put(ctx context.Context, name string, content []byte) error {
	err := b.m.PutNew(ctx, b.name(name), content)
	failure, told := errors.AsType[*mirror.Error](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mirror.ErrExists):
		return fs.ErrExist
	case told && !failure.Temporary:
		return err
	}
	return fmt.Errorf("%w: %w", errMaybe, err) // also if ctx ended: the request may arrive
}

// check writes a commit that is there once more, with the content that it has: a store that
// takes it would let commits replace each other.
func (b *bucket) check(ctx context.Context, name string) error {
	if b.checked.Load() {
		return nil
	}
	content, err := b.read(ctx, name, mostCommit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the log was cleaned up; the next commit checks
	}
	if err != nil {
		return err
	}
	switch err := b.put(ctx, name, content); {
	case errors.Is(err, fs.ErrExist):
		b.checked.Store(true)
		return nil
	case err != nil:
		return err
	}
	return &mirror.Error{
		Message: "The store of " + b.m.Address(b.folder) + " replaces objects although a request forbids it " +
			"(If-None-Match), so two commits could replace each other.",
		Remedy: "Use a store that honours conditional writes, or keep the table in a folder.",
	}
}

func (b *bucket) settle(context.Context) error { return nil }

func (b *bucket) replace(ctx context.Context, name string, content []byte) error {
	return b.m.Replace(ctx, b.name(name), content)
}

func (b *bucket) list(ctx context.Context, after string, each func(string, time.Time)) error {
	return b.m.Each(ctx, b.folder, after, func(name string, _ int64, changed time.Time) {
		if !strings.Contains(name, "/") {
			each(name, changed)
		}
	})
}

func (b *bucket) remove(ctx context.Context, name string) error { return b.m.Remove(ctx, b.name(name)) }

// clean does nothing: an object appears whole or not at all.
func (b *bucket) clean(context.Context, time.Time) error { return nil }
