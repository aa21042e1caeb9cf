package exports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// Stored are files of a folder that somebody looks at.
type Stored struct {
	Name     string // as a caller names it: that of the bulk export, or of the folder
	Archive  *archive.Archive
	Folder   string
	Manifest archive.Manifest // with the chosen files
	Request  client.ExportRequest
	Export   *Description // nil if the request is not known
	Running  bool         // a bulk export that has not ended: more files follow
}

// Stored finds what a caller names: a bulk export by its id or name, a single export by its
// operation, or a folder or a file in the folder of exported files by its path.
func (a *Account) Stored(ctx context.Context, source string) (Stored, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return Stored{}, err
	}
	status, err := engine.Status(ctx, source)
	switch {
	case err == nil:
		m, err := engine.currentManifest(ctx, status)
		if err != nil {
			return Stored{}, err
		}
		s := storedIn(a.Archive, status.Bulk.Name, m)
		s.Running = status.Bulk.State == ledger.BulkRunning
		return s, nil
	case !errors.Is(err, ledger.ErrNotFound):
		return Stored{}, err
	}
	folder := archive.OperationFolder(source)
	if m, err := a.Archive.Manifest(folder); err == nil && m.OperationID == source {
		return storedIn(a.Archive, folder, m), nil
	}
	path := filepath.FromSlash(source)
	if filepath.IsAbs(path) {
		if path, err = filepath.Rel(a.Archive.Dir(), path); err != nil {
			return Stored{}, unknownSource(source)
		}
	}
	return storedAt(a.Archive, path, source)
}

// StoredAt finds the files of a folder with a manifest, or one of them, by a path on this
// machine. It needs neither a key nor a ledger.
func StoredAt(path string) (Stored, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Stored{}, err
	}
	folder := abs
	if info, err := os.Stat(abs); err != nil || !info.IsDir() {
		folder = filepath.Dir(abs)
	}
	files, err := archive.Open(filepath.Dir(folder))
	if err != nil {
		return Stored{}, err
	}
	inside, err := filepath.Rel(filepath.Dir(folder), abs)
	if err != nil {
		return Stored{}, unknownSource(path)
	}
	return storedAt(files, inside, path)
}

// storedAt finds a folder, or a file of it, by its path relative to the archive.
func storedAt(a *archive.Archive, path, source string) (Stored, error) {
	folder, file, _ := strings.Cut(filepath.ToSlash(filepath.Clean(path)), "/")
	if folder == ".." || folder == "." || folder == "" {
		return Stored{}, unknownSource(source)
	}
	m, err := a.Manifest(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return Stored{}, unknownSource(source)
	} else if err != nil {
		return Stored{}, err
	}
	if file == "" || file == archive.ManifestName {
		return storedIn(a, folder, m), nil
	}
	for _, f := range m.Files {
		if f.Name == file {
			m.Files = []archive.File{f}
			return storedIn(a, folder, m), nil
		}
	}
	return Stored{}, unknownSource(source)
}

func storedIn(a *archive.Archive, folder string, m archive.Manifest) Stored {
	s := Stored{Name: folder, Archive: a, Folder: folder, Manifest: m}
	if json.Unmarshal(m.Request, &s.Request) != nil {
		s.Request = client.ExportRequest{}
	}
	s.Export = describe(s.Request, m.SegmentName).Brief()
	return s
}

// unknownSource is the error of a source that names no stored data.
func unknownSource(source string) error {
	text := fmt.Sprintf("no stored export is called %q. Give the id or name of a bulk export from "+
		"`list_bulk_exports`, the id of an operation whose file is stored, or a path in the folder of exported files.",
		client.Clean(source, 100))
	return &Error{Err: fs.ErrNotExist, Explanation: Explanation{
		Kind: Arguments, Wrong: []WrongArgument{{"source", text}},
	}}
}
