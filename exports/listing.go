package exports

import (
	"context"
	"errors"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
)

const (
	// mirrorLag is by how much a list of the mirror may be behind what was stored,
	// including the difference between the clocks of two machines.
	mirrorLag = time.Minute
	// listTimeout bounds a list of the mirror, so that a status is answered without it.
	listTimeout = 10 * time.Second
)

// listing are the files of a folder and their sizes: on disk or, with a mirror, in it,
// because other machines store files too.
type listing struct {
	at         time.Time // when it was made
	sizes      map[string]int64
	mirrored   bool
	unreadable bool // the folder on disk; its files count as intact: exporting them again would not help
	err        error
}

// size returns the size of a file in bytes, -1 if it is missing. A copy in the mirror
// that may be newer than the list counts as intact, with recorded bytes.
func (l listing) size(name string, recorded int64, storedAt time.Time) int64 {
	bytes, ok := l.sizes[name]
	switch {
	case l.unreadable, l.mirrored && storedAt.After(l.at.Add(-mirrorLag)):
		return recorded
	case !ok:
		return -1
	}
	return bytes
}

// has reports whether the list has a file of a manifest with its size.
func (l listing) has(f archive.File) bool { return l.size(f.Name, f.Bytes, time.Time{}) == f.Bytes }

// listFolder lists a folder once: in the mirror, if there is one, or else on disk. It
// fails only if the mirror cannot be read.
func listFolder(ctx context.Context, files *archive.Archive, m *mirror.Mirror, folder string) (listing, error) {
	l := listing{at: time.Now()}
	if m == nil {
		sizes, err := files.Sizes(folder)
		l.sizes, l.unreadable = sizes, err != nil
		return l, nil
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	objects, err := m.List(ctx, folder)
	if err != nil {
		return l, err
	}
	l.mirrored, l.sizes = true, make(map[string]int64, len(objects))
	for key, bytes := range objects {
		l.sizes[strings.TrimPrefix(key, folder+"/")] = bytes
	}
	return l, nil
}

// listing returns a list of the files of a bulk export. One of the mirror, or its
// failure, may be up to maxAge old.
func (e *Exports) listing(ctx context.Context, b ledger.Bulk, maxAge time.Duration) (listing, error) {
	if e.o.Mirror == nil {
		return listFolder(ctx, e.o.Archive, nil, b.Name)
	}
	e.mu.Lock()
	known, ok := e.copies[b.ID]
	e.mu.Unlock()
	if ok && time.Since(known.at) < maxAge {
		return known, known.err
	}
	l, err := listFolder(ctx, e.o.Archive, e.o.Mirror, b.Name)
	if err != nil && ctx.Err() != nil {
		return l, err
	}
	l.err = err
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := len(l.sizes)
	for _, other := range e.copies {
		kept += len(other.sizes)
	}
	if len(e.copies) > maxCached || kept > maxCachedFiles {
		clear(e.copies)
	}
	e.copies[b.ID] = l
	return l, err
}

// there reports whether a stored file is in the mirror or, without one, on disk, with its
// size. If the mirror cannot be read, the disk counts.
func (e *Exports) there(ctx context.Context, folder string, f archive.File) (bool, error) {
	local := onDisk(e.o.Archive, folder, f)
	if e.o.Mirror == nil {
		return local, nil
	}
	object, err := e.o.Mirror.Stat(ctx, folder+"/"+f.Name)
	switch {
	case errors.Is(err, mirror.ErrMissing):
		return false, nil
	case err != nil && local:
		return true, nil
	}
	return err == nil && object.Size == f.Bytes, err
}
