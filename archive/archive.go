// Package archive keeps exported files: it downloads and verifies them, and
// records in a manifest what each one is. A file under its final name is
// whole, verified and recorded; everything else ends in .part.
//
// Files are readable by their owner alone. Several processes may use one
// archive at once.
package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Archive is a folder of exports, one folder an export inside. It is safe for
// concurrent use.
type Archive struct {
	dir    string
	limits limits
}

// limits are what tests make smaller.
type limits struct {
	stall   time.Duration // without a byte, after which a connection is given up
	wait    time.Duration // before the second try
	tries   int           // in a row without progress
	reserve uint64        // bytes of disk left free
	largest int64         // bytes of one file
}

// Open returns the archive in dir. Nothing is created before the first file.
func Open(dir string) (*Archive, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of the archive: %w", err)
	}
	return &Archive{dir: abs, limits: limits{
		stall: time.Minute, wait: 500 * time.Millisecond, tries: 5, reserve: 64 << 20, largest: 200 << 30,
	}}, nil
}

// Dir returns the absolute path of the archive.
func (a *Archive) Dir() string { return a.dir }

// Writable returns nil if files could be written, and a *DiskError if not. It
// leaves no trace.
func (a *Archive) Writable() error {
	at := a.dir
	for {
		_, err := os.Stat(at)
		if err == nil || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	f, err := os.CreateTemp(at, ".writable-*")
	if err != nil {
		return diskError(a.dir, err)
	}
	_, err = f.Write(make([]byte, 4<<10)) // an empty file fits on a full disk
	err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	return diskError(a.dir, err)
}

// OperationFolder returns the folder of a single export: operation ids hold
// characters that file systems do not take.
func OperationFolder(operationID string) string {
	sum := sha256.Sum256([]byte(operationID))
	return hex.EncodeToString(sum[:8])
}

// FileName returns the name of the file of a half-open window, such as
// 20261001T000000Z_20261002T000000Z.ndjson.gz. A zero side is open. The suffix
// is .ndjson.gz, .json.gz or .csv.gz.
func FileName(start, end time.Time, suffix string) string {
	return side(start) + "_" + side(end) + suffix
}

// Suffix returns the end of the names of files of a format, such as
// FORMAT_NDJSON.
func Suffix(format string) string {
	switch format {
	case "FORMAT_NDJSON":
		return ".ndjson.gz"
	case "FORMAT_JSON":
		return ".json.gz"
	case "FORMAT_CSV":
		return ".csv.gz"
	}
	return ".gz"
}

// TimeColumn returns the column that holds the time of a row in exports of a
// type, such as TYPE_EVENT; "" where rows have none.
func TimeColumn(exportType string) string {
	if exportType == "TYPE_INDIVIDUAL" {
		return ""
	}
	return "EventStart"
}

func side(t time.Time) string {
	if t.IsZero() {
		return "open"
	}
	return strings.Replace(t.UTC().Format("20060102T150405.999999999Z"), ".", "_", 1)
}

// folder opens a folder of the archive. With create it is made if missing.
func (a *Archive) folder(name string, create bool) (*os.Root, error) {
	if !validName(name) {
		return nil, fmt.Errorf("%q is no name of a folder of the archive", name)
	}
	if create {
		if err := os.MkdirAll(a.dir, 0o700); err != nil {
			return nil, diskError(a.dir, err)
		}
	}
	top, err := os.OpenRoot(a.dir)
	if err != nil {
		return nil, diskError(a.dir, err)
	}
	defer top.Close()
	if create {
		err := top.Mkdir(name, 0o700)
		if err == nil {
			err = syncFolder(top)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, diskError(a.dir, err)
		}
	}
	root, err := top.OpenRoot(name)
	if err != nil {
		return nil, diskError(filepath.Join(a.dir, name), err)
	}
	return root, nil
}

// validName tells whether name is one name on every system, and none of those
// that the archive hides.
func validName(name string) bool {
	return fs.ValidPath(name) && !strings.ContainsAny(name, `/\:`) && !strings.HasPrefix(name, ".")
}

// replace writes a file of root under a temporary name and then takes the
// place of the one there, so that it is never seen half-written.
func replace(root *os.Root, name string, content []byte) error {
	temporary := name + ".part"
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return diskError(root.Name(), err)
	}
	_, err = f.Write(content)
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
		return diskError(root.Name(), err)
	}
	return syncFolder(root)
}
