// Package archive keeps exported files in folders: it names, verifies, compares and
// publishes them, and records in a manifest what each one is. A file under its final
// name is complete and verified; a file that is still being written ends in .part.
//
// Files are readable by their owner alone. Several processes may use one
// archive at once.
package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

// Archive is a folder that has one folder for each export. It is safe for concurrent
// use.
type Archive struct {
	dir     string
	reserve uint64 // bytes of disk left free

	identityLimit int // the most identities of rows that Compare has in memory of a file
}

// Open returns the archive in dir. It creates nothing: dir is made with the first file.
func Open(dir string) (*Archive, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of the archive: %w", err)
	}
	return &Archive{dir: abs, reserve: 64 << 20, identityLimit: mostIdentities}, nil
}

// Dir returns the absolute path of the archive.
func (a *Archive) Dir() string { return a.dir }

// Writable checks that files can be written, and fails with a *DiskError if not. It
// writes and removes a small file in dir, or in the nearest folder above that exists.
func (a *Archive) Writable() error {
	at := a.dir
	for {
		_, err := os.Stat(at)
		if err == nil || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	if at == a.dir {
		if err := local.CheckPlace(at); err != nil {
			return diskError(a.dir, err)
		}
	}
	f, err := os.CreateTemp(at, ".writable-*")
	if err != nil {
		return diskError(a.dir, err)
	}
	_, err = f.Write(make([]byte, 4<<10)) // an empty file fits on a full disk
	err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	return diskError(a.dir, err)
}

// OperationFolder returns the name of the folder of a single export. It is a hash,
// since operation ids have characters that file systems reject.
func OperationFolder(operationID string) string {
	sum := sha256.Sum256([]byte(operationID))
	return hex.EncodeToString(sum[:8])
}

// FileName returns the name of the file of a half-open window, such as
// 20261001T000000Z_20261002T000000Z.ndjson.gz. A zero side is open; without any bound the
// name is all.ndjson.gz. The suffix is .ndjson.gz, .json.gz or .csv.gz.
func FileName(start, end time.Time, suffix string) string {
	if start.IsZero() && end.IsZero() {
		return "all" + suffix
	}
	return side(start) + "_" + side(end) + suffix
}

// Suffix returns the suffix of file names of a format, such as .csv.gz for FORMAT_CSV;
// .gz if the format is not known.
func Suffix(format string) string {
	switch format {
	case rows.NDJSON:
		return ".ndjson.gz"
	case rows.JSON:
		return ".json.gz"
	case rows.CSV:
		return ".csv.gz"
	}
	return ".gz"
}

func side(t time.Time) string {
	if t.IsZero() {
		return "open"
	}
	return strings.Replace(t.UTC().Format("20060102T150405.999999999Z"), ".", "_", 1)
}

// folder opens a folder of the archive, which the caller must close. With create it
// makes the folder if it is missing; without, the error is then fs.ErrNotExist.
func (a *Archive) folder(name string, create bool) (*os.Root, error) {
	if !validName(name) {
		return nil, fmt.Errorf("%q cannot be the name of a folder of the archive", name)
	}
	if create {
		if err := local.MkdirAll(a.dir); err != nil {
			return nil, diskError(a.dir, err)
		}
	}
	top, err := local.OpenFolder(a.dir)
	if err != nil {
		return nil, diskError(a.dir, err)
	}
	defer top.Close()
	if err := local.CheckFolder(top, a.dir); err != nil {
		return nil, diskError(a.dir, err)
	}
	if create {
		err := local.MkdirIn(top, name)
		if err == nil {
			err = syncFolder(top)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, diskError(a.dir, err)
		}
	}
	root, err := local.OpenFolderIn(top, name)
	if err == nil {
		if err = local.CheckFolder(root, filepath.Join(a.dir, name)); err != nil {
			root.Close()
		}
	}
	if err != nil {
		return nil, diskError(filepath.Join(a.dir, name), err)
	}
	return root, nil
}

// validName reports whether name is a single path element on every system and is not
// hidden, as the folders and locks of the archive itself are.
func validName(name string) bool {
	return len(name) <= 255 && fs.ValidPath(name) && !strings.ContainsAny(name, `/\:`) && !strings.HasPrefix(name, ".")
}

// replace writes a file of root durably, in place of any that has the name.
func replace(root *os.Root, name string, content []byte) error {
	if err := writeFile(root, name, bytes.NewReader(content)); err != nil {
		return diskError(root.Name(), err)
	}
	return syncFolder(root)
}

// writeFile writes a file of root under a temporary name, flushes it and renames it, so
// that a reader sees what was there before or all of the new content. The rename is
// durable once the folder is synced.
func writeFile(root *os.Root, name string, content io.Reader) error {
	return writeAs(root, name+".part", name, func(f *os.File) error {
		_, err := io.Copy(f, content)
		return err
	})
}

// writeAs is writeFile with the temporary name and a function that writes the content.
func writeAs(root *os.Root, temporary, name string, write func(*os.File) error) error {
	f, err := local.CreateIn(root, temporary, os.O_TRUNC)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		root.Remove(temporary)
	}
	return err
}
