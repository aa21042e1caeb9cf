// Package local opens and creates files and folders of this machine. It opens regular
// files only: a named pipe would block the program until somebody writes to it, and a
// device can be endless. What it creates is for its owner alone, whatever the umask is.
package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// ErrNotRegular reports a name that leads to something other than a regular file.
var ErrNotRegular = errors.New("it is not a regular file")

const (
	folderMode = 0o700
	fileMode   = 0o600
)

// Open opens the regular file at path for reading. It follows symbolic links, because
// the user gave the path; stores of secrets use such links.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	return regular(f, path)
}

// OpenPipe opens the regular file or pipe at path for reading, without waiting for the
// other end of a pipe. Reads of a pipe can be given a deadline.
func OpenPipe(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return regular(f, path)
	}
	return f, nil
}

// OpenIn opens the regular file of that name inside root for reading. It follows no
// symbolic link, because others may have put it there.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	there, err := lstat(root, name)
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	return same(f, there, name)
}

// CreateIn opens the file of that name inside root for reading and writing, and creates
// it if it is missing. It follows no symbolic link. flags may have os.O_TRUNC.
func CreateIn(root *os.Root, name string, flags int) (*os.File, error) {
	for range 10 { // another process may create or remove the file in between
		there, err := lstat(root, name)
		if err == nil {
			f, err := root.OpenFile(name, os.O_RDWR|nonblock|flags, 0)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			return same(f, there, name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return private(f)
	}
	return nil, &fs.PathError{Op: "create", Path: name, Err: errors.New("other processes keep creating and removing it")}
}

// Create is CreateIn for a path that the user gave. It follows symbolic links.
func Create(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|flags, fileMode)
	if err == nil {
		return private(f)
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if f, err = os.OpenFile(path, os.O_RDWR|nonblock|flags, 0); err != nil {
		return nil, err
	}
	return regular(f, path)
}

// ReadFile returns the content of the regular file at path. It fails with a *SizeError,
// without reading the file, if that has more than limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, path, limit)
}

// ReadIn is ReadFile for a name inside root; see OpenIn.
func ReadIn(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := OpenIn(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, name, limit)
}

// SizeError reports a file that is larger than it may be.
type SizeError struct {
	Name        string
	Size, Limit int64 // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s has %d bytes and the limit is %d", Shown(e.Name), e.Size, e.Limit)
}

// read reads an open file, which may grow meanwhile.
func read(f *os.File, name string, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, &SizeError{name, info.Size(), limit}
	}
	content := make([]byte, 0, info.Size()+1) // the last byte finds the end without another buffer
	for {
		n, err := f.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		switch {
		case err == io.EOF:
			return content, nil
		case err != nil:
			return nil, err
		case int64(len(content)) > limit:
			return nil, &SizeError{name, int64(len(content)), limit}
		case len(content) == cap(content):
			content = append(content, make([]byte, 4<<10)...)[:len(content)]
		}
	}
}

// lstat describes the regular file of that name inside root.
func lstat(root *os.Root, name string) (fs.FileInfo, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	return info, nil
}

// same returns f if it is the file that there describes, and not a link or another file
// that was put in its place meanwhile.
func same(f *os.File, there fs.FileInfo, name string) (*os.File, error) {
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, there) {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("another process replaced it meanwhile")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// regular returns f if it is a regular file, and closes it if not.
func regular(f *os.File, path string) (*os.File, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// private sets the mode of a file that was just created, of which the umask may have
// removed something.
func private(f *os.File) (*os.File, error) {
	info, err := f.Stat()
	if err == nil {
		err = setMode(info, fileMode, f.Chmod)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// setMode calls chmod unless a new file or folder has the mode already. File systems
// without modes, such as those of memory cards, reject every change: the mode then stays
// as it is if the owner has all rights that he needs.
func setMode(info fs.FileInfo, mode fs.FileMode, chmod func(fs.FileMode) error) error {
	if info.Mode().Perm() == mode {
		return nil
	}
	if err := chmod(mode); err != nil && info.Mode()&mode != mode {
		return err
	}
	return nil
}

// longestShown is the most bytes of a name that are shown.
const longestShown = 1024

// Shown returns a name for a terminal or a message: quoted if it has anything but
// printable ASCII, so that names of others cannot move the cursor or look like another.
func Shown(name string) string {
	if len(name) > longestShown {
		return Shown(name[:longestShown]) + "..."
	}
	if quoted := strconv.QuoteToASCII(name); quoted != `"`+name+`"` || name == "" {
		return quoted
	}
	return name
}
