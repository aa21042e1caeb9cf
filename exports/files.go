package exports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// alwaysChecked is the number of stored files up to which each status checks all of
	// them. For more, a result is reused for filesLife, as is a list of the mirror.
	alwaysChecked = 5000
	filesLife     = 10 * time.Second
	// maxCached is how many results are kept; one more empties the cache.
	maxCached = 100
	// mirrorLag is by how much a list of the mirror may be behind what was stored,
	// including the difference between the clocks of two machines.
	mirrorLag = time.Minute
)

// damagedFile is a stored chunk whose file is missing or has another size.
type damagedFile struct {
	attempt ledger.Attempt
	text    string // what is wrong, a sentence
}

// checkedFiles is the result of a check of all stored files of a bulk export.
type checkedFiles struct {
	at      time.Time
	damaged []damagedFile
}

// copies are the files of a bulk export in the mirror.
type copies struct {
	bulk  string
	at    time.Time
	sizes map[string]int64 // in bytes, by key
}

// forgetFiles makes the next status check the files of a bulk export anew.
func (e *Exports) forgetFiles(bulk string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.files, bulk)
	e.copies = copies{}
}

// damagedRecently returns the damaged files of a bulk export. With more than
// alwaysChecked stored files the result may be up to filesLife old.
func (e *Exports) damagedRecently(ctx context.Context, b ledger.Bulk, stored int) ([]damagedFile, error) {
	e.mu.Lock()
	known, ok := e.files[b.ID]
	e.mu.Unlock()
	if ok && stored > alwaysChecked && time.Since(known.at) < filesLife {
		return known.damaged, nil
	}
	damaged, err := e.damagedFiles(ctx, b, filesLife)
	if err == nil && stored > alwaysChecked {
		e.mu.Lock()
		if len(e.files) > maxCached {
			clear(e.files)
		}
		e.files[b.ID] = checkedFiles{time.Now(), damaged}
		e.mu.Unlock()
	}
	return damaged, err
}

// damagedFiles returns all stored chunks whose files are missing or have another size.
// With a mirror it checks the copies there, because other machines have stored files
// too, by a list that is at most maxAge old; otherwise it checks the disk.
func (e *Exports) damagedFiles(
	ctx context.Context, b ledger.Bulk, maxAge time.Duration,
) (damaged []damagedFile, err error) {
	var r client.ExportRequest
	if json.Unmarshal(b.Request, &r) != nil {
		return nil, nil // nothing can have been stored
	}
	size := func(a ledger.Attempt, name string) int64 { return e.sizeOnDisk(b, a, name) }
	if e.o.Mirror != nil {
		if size, err = e.sizeInMirror(ctx, b, maxAge); err != nil {
			return nil, err
		}
	}
	err = e.o.Ledger.Stored(ctx, b.ID, func(a ledger.Attempt) error {
		name := archive.FileName(a.Start, a.End, archive.Suffix(string(r.Format)))
		switch bytes := size(a, name); {
		case bytes < 0:
			damaged = append(damaged, damagedFile{a, fmt.Sprintf("The stored file %s is missing.", name)})
		case bytes != a.Bytes:
			text := fmt.Sprintf("The stored file %s has %d bytes instead of %d.", name, bytes, a.Bytes)
			damaged = append(damaged, damagedFile{a, text})
		}
		return nil
	})
	return damaged, err
}

// onDisk reports whether a stored file is where it should be, with its size.
func onDisk(files *archive.Archive, folder string, f archive.File) bool {
	info, err := os.Stat(files.Path(folder, f.Name))
	return err == nil && info.Size() == f.Bytes
}

// sizeOnDisk returns the size of the file of a chunk in bytes, -1 if it is missing. A
// file that cannot be read counts as intact: exporting it again would not help.
func (e *Exports) sizeOnDisk(b ledger.Bulk, a ledger.Attempt, name string) int64 {
	info, err := os.Stat(e.o.Archive.Path(b.Name, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1
	case err != nil:
		return a.Bytes
	}
	return info.Size()
}

// sizeInMirror returns a function that does the same for the copies in the mirror, by a
// list of them that is at most maxAge old. A copy that may be newer than the list
// counts as intact.
func (e *Exports) sizeInMirror(
	ctx context.Context, b ledger.Bulk, maxAge time.Duration,
) (func(ledger.Attempt, string) int64, error) {
	e.mu.Lock()
	known := e.copies
	e.mu.Unlock()
	if known.bulk != b.ID || time.Since(known.at) > maxAge {
		known = copies{bulk: b.ID, at: time.Now()}
		var err error
		if known.sizes, err = e.o.Mirror.List(ctx, b.Name); err != nil {
			return nil, err
		}
		e.mu.Lock()
		e.copies = known
		e.mu.Unlock()
	}
	return func(a ledger.Attempt, name string) int64 {
		bytes, ok := known.sizes[b.Name+"/"+name]
		switch {
		case a.StoredAt.After(known.at.Add(-mirrorLag)):
			return a.Bytes
		case !ok:
			return -1
		}
		return bytes
	}, nil
}
