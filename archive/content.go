package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"fullstory-export-mcp/local"
)

// Opener opens the content of a file of a folder for reading.
type Opener func(f File) (io.ReadSeekCloser, error)

// ErrChanged says that a file is not what was verified when it was stored.
var ErrChanged = errors.New("the file has changed since it was verified")

// Opener returns the Opener of the files of a folder on disk. It opens regular files
// inside the folder alone and follows no link. A file that is missing is fs.ErrNotExist,
// one of another size ErrChanged.
func (a *Archive) Opener(folder string) Opener {
	return func(f File) (io.ReadSeekCloser, error) {
		root, err := a.folder(folder, false)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		return openIn(root, f)
	}
}

func openIn(root *os.Root, f File) (*os.File, error) {
	if !validName(f.Name) {
		return nil, fmt.Errorf("%q cannot be the name of a file of the archive", f.Name)
	}
	file, err := local.OpenIn(root, f.Name)
	if err != nil {
		return nil, diskError(filepath.Join(root.Name(), f.Name), err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() != f.Bytes {
		err = ErrChanged
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// Holds returns a function that reports whether a file of a folder is on disk, as a
// regular file of its size. It keeps the folder open until done is called.
func (a *Archive) Holds(folder string) (holds func(File) bool, done func()) {
	root, err := a.folder(folder, false)
	if err != nil {
		return func(File) bool { return false }, func() {}
	}
	return func(f File) bool {
		if !validName(f.Name) {
			return false
		}
		info, err := root.Lstat(f.Name)
		return err == nil && info.Mode().IsRegular() && info.Size() == f.Bytes
	}, func() { root.Close() }
}

// Verified returns content, the content of f. A reader that reads all of it in order gets
// the last bytes only if the sha256 is that of f, and otherwise ErrChanged.
func Verified(content io.ReadSeekCloser, f File) io.ReadSeekCloser {
	return &verified{content: content, file: f, sum: sha256.New()}
}

type verified struct {
	content io.ReadSeekCloser
	file    File
	sum     hash.Hash
	at      int64 // where the next read begins
	summed  int64 // how many bytes from the start are in sum
}

func (v *verified) Close() error { return v.content.Close() }

func (v *verified) Seek(offset int64, whence int) (int64, error) {
	at, err := v.content.Seek(offset, whence)
	if err == nil {
		v.at = at
	}
	if v.at == 0 {
		v.sum.Reset()
		v.summed = 0
	}
	return at, err
}

func (v *verified) Read(b []byte) (int, error) {
	n, err := v.content.Read(b)
	if v.at == v.summed {
		v.sum.Write(b[:n])
		v.summed += int64(n)
	}
	v.at += int64(n)
	whole := v.summed == v.file.Bytes && v.at == v.summed
	if whole && n > 0 && hex.EncodeToString(v.sum.Sum(nil)) != v.file.SHA256 {
		return 0, ErrChanged
	}
	return n, err
}
