package exports

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// selected are the files that missing_from selects.
type selected struct {
	request client.ExportRequest // of one of them, or of the export without any file
	there   []storedFile
	gone    []storedFile // not where they were stored, or of another size
	bulk    bool         // missing_from names a bulk export
	known   bool         // missing_from names something
}

// selectStored returns the files that missing_from selects among those of the manifests,
// and whether they are still there. Bulk exports that the manifests do not describe, or
// not up to date, are read from the ledger.
func (a *Account) selectStored(
	ctx context.Context, files []storedFile, name string, request client.ExportRequest,
) (s selected, err error) {
	if a.HasLedger() {
		if files, err = a.addRecorded(ctx, files, &name, &s); err != nil {
			return s, err
		}
	}
	found := selectFiles(files, name, request)
	if len(found) > 0 {
		s.known, s.request = true, found[0].request
	}
	s.there, s.gone, err = a.present(ctx, found)
	return s, err
}

// addRecorded replaces the files of bulk exports that are open, or that have no manifest
// in the folder, by those that the ledger has, and of the bulk export called name in any
// case. It sets name to that of its folder, and s to what the ledger has under the name.
func (a *Account) addRecorded(
	ctx context.Context, files []storedFile, name *string, s *selected,
) ([]storedFile, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	described := map[string]bool{}
	for _, f := range files {
		described[f.folder] = true
	}
	bulks, err := engine.List(ctx, "", 0, maxMirrored)
	if err != nil {
		return nil, err
	}
	named, err := a.named(ctx, engine, *name, s)
	if err != nil {
		return nil, err
	}
	if named != nil {
		*name = named.Name
		bulks = append(slices.DeleteFunc(bulks, func(b ledger.Bulk) bool { return b.ID == named.ID }), *named)
	}
	for _, b := range bulks {
		if described[b.Name] && b.State.Ended() && (named == nil || named.ID != b.ID) {
			continue
		}
		m, err := engine.Manifest(ctx, b)
		if err != nil {
			return nil, err
		}
		files = slices.DeleteFunc(slices.Clone(files), func(f storedFile) bool { return f.folder == b.Name })
		files = append(files, filesOf(b.Name, m)...)
	}
	return files, nil
}

// named returns the bulk export that missing_from names by its id or name; nil if it names
// none. It sets s to what the ledger has under that name: a bulk export or an operation.
func (a *Account) named(ctx context.Context, engine *Exports, name string, s *selected) (*ledger.Bulk, error) {
	if name == everything {
		return nil, nil
	}
	b, err := engine.o.Ledger.Bulk(ctx, engine.o.Account, name)
	switch {
	case err == nil && !b.Single:
		s.request, s.known = requestOf(b)
		s.bulk = true
		return &b, nil
	case err != nil && !errors.Is(err, ledger.ErrNotFound):
		return nil, err
	}
	o, err := operationOrigin(ctx, engine.o.Ledger, engine.o.Account, name)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	s.request, s.known = o.request, err == nil
	return nil, err
}

// filesOf returns the files of a manifest whose windows have both ends.
func filesOf(folder string, m archive.Manifest) (files []storedFile) {
	var request client.ExportRequest
	if json.Unmarshal(m.Request, &request) != nil {
		return nil
	}
	for _, f := range m.Files {
		if w := f.Window(); !w.Start.IsZero() && !w.End.IsZero() {
			files = append(files, storedFile{folder, m.OperationID, request, f, w})
		}
	}
	return files
}

// present divides files into those that are where they were stored, in the mirror or,
// without one, on disk, and the others. It lists each folder once.
func (a *Account) present(ctx context.Context, files []storedFile) (there, gone []storedFile, err error) {
	lists := map[string]listing{}
	for _, f := range files {
		l, ok := lists[f.folder]
		if !ok {
			if l, err = listFolder(ctx, a.Archive, a.Mirror, f.folder); err != nil {
				return nil, nil, err
			}
			lists[f.folder] = l
		}
		if l.has(f.file) {
			there = append(there, f)
		} else {
			gone = append(gone, f)
		}
	}
	return there, gone, nil
}

// isStored reports whether the file of an operation is stored, and still there. It returns
// false if that cannot be found out.
func (a *Account) isStored(ctx context.Context, operation string) bool {
	engine, err := a.Engine(ctx)
	if err != nil {
		return false
	}
	b, chunk, err := engine.chunkOf(ctx, operation)
	if err == nil {
		if chunk.State != ledger.ChunkStored {
			return false
		}
		d, err := engine.downloaded(ctx, b, Download{Attempt: chunk, Folder: bulk.FolderOf(b, chunk)}, false)
		return err == nil && d.File != nil
	}
	folder := archive.OperationFolder(operation) // it may be older than the ledger
	m, err := a.Archive.Manifest(folder)
	if err != nil || len(m.Files) == 0 {
		return false
	}
	there, err := engine.there(ctx, folder, m.Files[0])
	return err == nil && there
}

// currentManifest returns the manifest of a bulk export with the files that are there now,
// and its state. A file whose chunk is being exported again counts if it is listed.
func (e *Exports) currentManifest(ctx context.Context, s Status) (archive.Manifest, error) {
	m, err := e.Manifest(ctx, s.Bulk)
	if err != nil {
		return m, err
	}
	chunks, err := e.storedChunks(ctx, s.Bulk.ID, s.Counts)
	if err != nil {
		return m, err
	}
	there := make(map[string]bool, len(chunks)) // false: gone; absent: to be looked up
	suffix, _ := suffixOf(s.Bulk)
	for _, c := range chunks {
		there[archive.FileName(c.Start, c.End, suffix)] = true
	}
	for _, d := range s.files.damaged {
		there[d.name] = false
	}
	l, unlisted := e.listing(ctx, s.Bulk, filesLife)
	m.Files = slices.DeleteFunc(m.Files, func(f archive.File) bool {
		kept, known := there[f.Name]
		return known && !kept || !known && unlisted == nil && !l.has(f)
	})
	request, _ := requestOf(s.Bulk)
	m.State, m.Coverage = string(s.Bulk.State), archive.CoverageOf(rangeOf(request), m.Files)
	return m, nil
}
