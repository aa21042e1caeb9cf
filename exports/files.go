package exports

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// alwaysChecked is the number of stored files up to which each status checks all of
	// them. For more, a result is reused for filesLife, as is a list of the mirror; but a file
	// that is added or removed is noticed at once.
	alwaysChecked = 5000
	filesLife     = 10 * time.Second
	// While a bulk export runs, files are added all the time, and run asks for its status
	// often: with more than oftenChecked files a result is reused for a second, with more
	// than alwaysChecked for runningLife.
	oftenChecked = 1000
	runningLife  = time.Minute
	// maxCached is how many results are kept, and how many lists of the mirror; one more
	// empties the cache. With more than maxCachedFiles files in all that is kept of a kind,
	// only the newest is kept.
	maxCached      = 100
	maxCachedFiles = 50_000
)

// damagedFile is a stored chunk whose file is missing or has another size.
type damagedFile struct {
	chunk   ledger.StoredChunk
	name    string
	missing bool
	text    string // what is wrong, a sentence
}

// checkedFiles is the result of a check of all stored files of a bulk export.
type checkedFiles struct {
	at      time.Time
	stored  int           // files that should be there
	changed time.Time     // when the folder had last changed
	damaged []damagedFile // in order of their windows
	// unchecked is a sentence about why the files could not be checked; "" if they were.
	unchecked string
}

// lifeOf returns for how long the result of a check may be reused; 0: not at all.
func lifeOf(b ledger.Bulk, stored int) time.Duration {
	switch running := b.State == ledger.BulkRunning; {
	case running && stored > alwaysChecked:
		return runningLife
	case running && stored > oftenChecked:
		return time.Second
	case stored > alwaysChecked:
		return filesLife
	}
	return 0
}

// reusable reports whether the result still counts for a bulk export, of which stored
// files should be there, and whose folder changed last at changed.
func (c checkedFiles) reusable(b ledger.Bulk, stored int, changed time.Time) bool {
	same := c.stored == stored && c.changed.Equal(changed)
	return time.Since(c.at) < lifeOf(b, stored) && (same || b.State == ledger.BulkRunning)
}

// forgetFiles makes the next status check the files of a bulk export anew.
func (e *Exports) forgetFiles(bulk string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.files, bulk)
	delete(e.copies, bulk)
	delete(e.stored, bulk)
}

// checkFiles checks the stored files of a bulk export, which has the chunks n. The result
// may be as old as lifeOf says. A mirror that cannot be read is not an error: the result
// says it.
func (e *Exports) checkFiles(ctx context.Context, b ledger.Bulk, n ledger.Counts) (checkedFiles, error) {
	stored := n.By[ledger.ChunkStored]
	if stored == 0 {
		return checkedFiles{}, nil
	}
	changed := e.o.Archive.ChangedAt(b.Name)
	e.mu.Lock()
	known, ok := e.files[b.ID]
	e.mu.Unlock()
	if ok && known.reusable(b, stored, changed) {
		return known, nil
	}
	checked := checkedFiles{at: time.Now(), stored: stored, changed: changed}
	there, err := e.listing(ctx, b, max(filesLife, lifeOf(b, stored)))
	if err != nil {
		x := Explain(err)
		checked.unchecked = "The files could not be checked: " + sentences(x.Cause, x.Remedy)
		return checked, nil
	}
	if checked.damaged, err = e.damagedFiles(ctx, b, n, there); err != nil || lifeOf(b, stored) == 0 {
		return checked, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.files) > maxCached {
		clear(e.files)
	}
	e.files[b.ID] = checked
	return checked, nil
}

// damagedFiles returns the stored chunks of a bulk export whose files are missing from a
// list or have another size there, in order of their windows.
func (e *Exports) damagedFiles(
	ctx context.Context, b ledger.Bulk, n ledger.Counts, there listing,
) (damaged []damagedFile, err error) {
	suffix, ok := suffixOf(b)
	if !ok {
		return nil, nil // nothing can have been stored
	}
	chunks, err := e.storedChunks(ctx, b.ID, n)
	for _, c := range chunks {
		d := damagedFile{chunk: c, name: archive.FileName(c.Start, c.End, suffix)}
		switch bytes := there.size(d.name, c.Bytes, c.StoredAt); {
		case bytes < 0:
			d.missing, d.text = true, fmt.Sprintf("The stored file %s is missing.", d.name)
		case bytes != c.Bytes:
			d.text = fmt.Sprintf("The stored file %s has %d bytes instead of %d.", d.name, bytes, c.Bytes)
		default:
			continue
		}
		damaged = append(damaged, d)
	}
	slices.SortFunc(damaged, func(a, b damagedFile) int {
		return cmp.Or(a.chunk.Start.Compare(b.chunk.Start), cmp.Compare(a.chunk.Number, b.chunk.Number))
	})
	return damaged, err
}

// suffixOf returns the suffix of the names of the files of a bulk export. ok is false if
// its request cannot be read.
func suffixOf(b ledger.Bulk) (suffix string, ok bool) {
	var r client.ExportRequest
	if json.Unmarshal(b.Request, &r) != nil {
		return "", false
	}
	return archive.Suffix(string(r.Format)), true
}

// storedChunks are the stored chunks of a bulk export when they were last read. Its map is
// never changed, because several calls may use it.
type storedChunks struct {
	byNumber map[int64]ledger.StoredChunk
	bytes    int64
	newest   time.Time // the last StoredAt
}

// agrees reports whether the chunks can be those that were counted.
func (s storedChunks) agrees(n ledger.Counts) bool {
	return len(s.byNumber) == n.By[ledger.ChunkStored] && s.bytes == n.Bytes
}

// storedChunks returns the stored chunks of a bulk export. It reads only those that were
// stored since the last call, if these explain the counts n, and otherwise all. It keeps at
// most alwaysChecked of one: those of a larger one are needed rarely.
func (e *Exports) storedChunks(
	ctx context.Context, bulk string, n ledger.Counts,
) (map[int64]ledger.StoredChunk, error) {
	e.mu.Lock()
	known, ok := e.stored[bulk]
	e.mu.Unlock()
	if ok && known.agrees(n) {
		return known.byNumber, nil
	}
	var err error
	if ok {
		known, err = e.readStored(ctx, bulk, known)
	}
	if err == nil && (!ok || !known.agrees(n)) {
		known, err = e.readStored(ctx, bulk, storedChunks{})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil || len(known.byNumber) > alwaysChecked {
		delete(e.stored, bulk)
		return known.byNumber, err
	}
	kept := len(known.byNumber)
	for _, other := range e.stored {
		kept += len(other.byNumber)
	}
	if kept > maxCachedFiles {
		clear(e.stored)
	}
	e.stored[bulk] = known
	return known.byNumber, nil
}

// readStored returns the stored chunks with those that were stored at known.newest or
// later, or all if known is zero.
func (e *Exports) readStored(ctx context.Context, bulk string, known storedChunks) (storedChunks, error) {
	now := storedChunks{byNumber: make(map[int64]ledger.StoredChunk, len(known.byNumber)), newest: known.newest}
	for number, c := range known.byNumber {
		now.byNumber[number] = c
	}
	err := e.o.Ledger.Stored(ctx, bulk, known.newest, func(c ledger.StoredChunk) error {
		now.byNumber[c.Number] = c
		if c.StoredAt.After(now.newest) {
			now.newest = c.StoredAt
		}
		return nil
	})
	for _, c := range now.byNumber {
		now.bytes += c.Bytes
	}
	return now, err
}

// onDisk reports whether a stored file is where it should be, with its size.
func onDisk(files *archive.Archive, folder string, f archive.File) bool {
	info, err := os.Stat(files.Path(folder, f.Name))
	return err == nil && info.Size() == f.Bytes
}
