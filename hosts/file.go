package hosts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fullstory-export-mcp/local"
)

// maxFile is how large a file of a host may be, in bytes. Claude Code keeps its history in
// such a file.
const maxFile = 64 << 20

// backupEnd is the end of the name of a backup.
const backupEnd = ".before-fullstory-export"

// File is the file of a host as it was when it was read.
type File struct {
	Path    string // as it was given
	Exists  bool
	Content []byte // nil if it does not exist

	target string // what symbolic links lead to
	info   fs.FileInfo
}

// ErrChanged reports a file that another program changed after it was read.
var ErrChanged = errors.New("another program changed it at the same moment; run the command again")

// ErrReadOnly reports a file that may not be written.
var ErrReadOnly = errors.New("it is read-only, so another program may manage it; make it writable, or paste the entry")

// ReadFile reads the file of a host, which may be missing. It follows symbolic links.
func ReadFile(path string) (*File, error) {
	f := &File{Path: path, target: path}
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s: it is a symbolic link to a file that is missing", local.Shown(path))
		}
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	f.target = target
	if f.Content, err = local.ReadFile(target, maxFile); err != nil {
		return nil, err
	}
	if f.info, err = os.Stat(target); err != nil {
		return nil, err
	}
	f.Exists = true
	return f, nil
}

// Backup returns the path of the backup that Write makes.
func (f *File) Backup() string { return f.Path + backupEnd }

// Write replaces the content at once: a reader sees the old file or the new one. Mode and
// owner stay, and so does a symbolic link to the file. A file that existed is copied to
// Backup first. A new one is for its owner alone. It returns ErrReadOnly, or ErrChanged if
// the file is no longer the one that was read; nothing is changed then. Between the last
// look and the replacement lies less than a millisecond in which a change is lost.
func (f *File) Write(content []byte) error {
	if f.Exists && f.info.Mode().Perm()&0o200 == 0 {
		return ErrReadOnly
	}
	if !f.Exists {
		if err := local.MkdirAll(filepath.Dir(f.target)); err != nil {
			return err
		}
	}
	written, err := f.beside(f.target, content)
	if err != nil {
		return err
	}
	defer os.Remove(written) // fails once it has its name
	if err := f.unchanged(); err != nil {
		return err
	}
	if f.Exists {
		backup, err := f.beside(f.Backup(), f.Content)
		if err != nil {
			return err
		}
		if err := os.Rename(backup, f.Backup()); err != nil {
			_ = os.Remove(backup)
			return err
		}
	}
	if err := f.unchanged(); err != nil {
		return err
	}
	return os.Rename(written, f.target)
}

// unchanged returns ErrChanged unless the file is as it was read.
func (f *File) unchanged() error {
	now, err := ReadFile(f.Path)
	if err != nil {
		return err
	}
	if now.Exists != f.Exists || now.target != f.target || !bytes.Equal(now.Content, f.Content) {
		return ErrChanged
	}
	return nil
}

// beside writes content into a new file in the folder of path, with the mode and the owner
// of f, and returns its path.
func (f *File) beside(path string, content []byte) (written string, err error) {
	out, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	if _, err := out.Write(content); err != nil {
		return "", err
	}
	if f.info != nil {
		if err := keepOwner(out, f.info); err != nil {
			return "", err
		}
		if err := os.Chmod(out.Name(), f.info.Mode().Perm()); err != nil {
			return "", err
		}
	}
	return out.Name(), out.Sync()
}

// Without returns the content without the entry of a host. If nothing but the entry was
// changed since the backup, that is the backup to the byte. Otherwise the table of servers
// stays, even if Insert added it.
func (f *File) Without(h Host) ([]byte, Change, error) {
	rest, change, err := h.Remove(f.Content)
	if err != nil || change == None {
		return rest, change, err
	}
	backup, err := local.ReadFile(f.Backup(), maxFile)
	if err != nil {
		return rest, change, nil
	}
	if _, there, err := h.Find(backup); err != nil || there {
		return rest, change, nil
	}
	probe := object{{name: "command", value: Name}} // in the place of the entry
	now, err := h.language.set(bytes.TrimPrefix(f.Content, mark), h.container, probe)
	if err != nil {
		return rest, change, nil
	}
	before, err := h.language.set(bytes.TrimPrefix(backup, mark), h.container, probe)
	if err != nil || !bytes.Equal(now, before) || bytes.HasPrefix(backup, mark) != bytes.HasPrefix(f.Content, mark) {
		return rest, change, nil
	}
	return backup, change, nil
}
