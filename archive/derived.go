package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fullstory-export-mcp/local"
)

// Derived is a folder, inside that of an export, for files that are made of the exported
// ones and can be made again. It holds a lock, so that one process at a time changes it;
// readers need no lock. Its files lie in folders of their own, such as day=2026-10-01.
// It is for one goroutine.
type Derived struct {
	root    *os.Root
	unlock  func()
	reserve uint64 // bytes of disk left free
}

// OpenDerived opens the folder of that name inside a folder of the archive, and makes it
// if it is missing. It waits while another process has it open, until ctx ends, and
// removes the unfinished files that a killed process left. Close must be called.
func (a *Archive) OpenDerived(ctx context.Context, folder, name string) (*Derived, error) {
	if !validName(name) {
		return nil, fmt.Errorf("%q cannot be the name of a folder of derived files", name)
	}
	above, err := a.folder(folder, false)
	if err != nil {
		return nil, err
	}
	defer above.Close()
	if err := makeFolder(above, name); err != nil {
		return nil, err
	}
	root, err := local.OpenFolderIn(above, name)
	if err != nil {
		return nil, diskError(a.Path(folder, name), err)
	}
	unlock, err := lock(ctx, root, ".lock")
	if err != nil {
		root.Close()
		return nil, err
	}
	d := &Derived{root: root, unlock: unlock, reserve: a.reserve}
	if err := d.removeUnfinished(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// makeFolder makes a folder inside root durably if it is missing.
func makeFolder(root *os.Root, name string) error {
	err := local.MkdirIn(root, name)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return diskError(filepath.Join(root.Name(), name), err)
	}
	return syncFolder(root)
}

// Close unlocks the folder.
func (d *Derived) Close() {
	d.unlock()
	d.root.Close()
}

// Files returns the paths of the files, such as day=2026-10-01/a.parquet, in order. It
// leaves out hidden files and folders, and files that lie beside the folders.
func (d *Derived) Files() (files []string, err error) {
	err = d.each(func(file string) {
		if !strings.HasPrefix(path.Base(file), ".") {
			files = append(files, file)
		}
	})
	slices.Sort(files)
	return files, err
}

// each calls each with the path of every file of the folders that are not hidden.
func (d *Derived) each(each func(file string)) error {
	var folders []string
	err := local.ListIn(d.root, ".", func(e fs.DirEntry) {
		if e.IsDir() && validName(e.Name()) {
			folders = append(folders, e.Name())
		}
	})
	for _, folder := range folders {
		if err != nil {
			break
		}
		err = local.ListIn(d.root, folder, func(e fs.DirEntry) {
			if e.Type().IsRegular() {
				each(folder + "/" + e.Name())
			}
		})
	}
	return diskError(d.root.Name(), err)
}

// unfinished returns the name under which a file is written. Its dot hides it from
// programs that load all files below a folder.
func unfinished(name string) string { return "." + name + ".part" }

// removeUnfinished removes the files that a killed process was writing.
func (d *Derived) removeUnfinished() error {
	var left []string
	err := d.each(func(file string) {
		if name := path.Base(file); strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".part") {
			left = append(left, file)
		}
	})
	for _, file := range left {
		if err == nil {
			err = d.Remove(file)
		}
	}
	return err
}

// Open opens a file for reading. It follows no link.
func (d *Derived) Open(file string) (*os.File, error) {
	f, err := local.OpenIn(d.root, file)
	return f, diskError(d.root.Name(), err)
}

// Root returns the folder, for as long as it is not closed.
func (d *Derived) Root() *os.Root { return d.root }

// Stat returns size and time of a file.
func (d *Derived) Stat(file string) (fs.FileInfo, error) { return d.root.Lstat(file) }

// ReadFile returns the content of a file that lies beside the folders. It fails if that has more
// than most bytes.
func (d *Derived) ReadFile(name string, most int64) ([]byte, error) {
	f, err := local.OpenIn(d.root, name)
	if err != nil {
		return nil, diskError(d.root.Name(), err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return content, diskError(d.root.Name(), err)
}

// WriteFile writes a file beside the folders durably, in place of any that is there.
func (d *Derived) WriteFile(name string, content []byte) error {
	if !validName(strings.TrimPrefix(name, ".")) {
		return fmt.Errorf("%q cannot be the name of a derived file", name)
	}
	err := writeAs(d.root, unfinished(name), name, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
	if err == nil {
		err = syncFolder(d.root)
	}
	return diskError(d.root.Name(), err)
}

// Write writes a file durably, in place of any that has the path: a reader sees what was
// there before or all of the new content, at every instant. If write fails, nothing
// changes, and Write returns its error. need is about how many bytes the file will have;
// if they would leave less of the disk free than the archive keeps, Write fails with a
// *DiskError first.
func (d *Derived) Write(file string, need int64, write func(io.Writer) error) error {
	folder, name := path.Split(file)
	if folder = path.Clean(folder); !validName(folder) || !validName(name) {
		return fmt.Errorf("%q cannot be the path of a derived file", file)
	}
	if err := makeFolder(d.root, folder); err != nil {
		return err
	}
	err := writeAs(d.root, folder+"/"+unfinished(name), file, func(f *os.File) error {
		if available, ok := free(f); ok && uint64(need)+d.reserve > available {
			return &DiskError{Path: d.root.Name(), Need: need, Keep: int64(d.reserve), Free: int64(min(available, 1<<62))}
		}
		return write(f)
	})
	if err != nil {
		d.root.Remove(folder) // fails unless it is empty
		if _, disk := errors.AsType[*fs.PathError](err); disk {
			return diskError(d.root.Name(), err)
		}
		return err
	}
	return syncPath(d.root, folder)
}

// Remove removes a file, and its folder if it was the last there. It succeeds if the file
// does not exist.
func (d *Derived) Remove(file string) error {
	if err := d.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError(d.root.Name(), err)
	}
	d.root.Remove(path.Dir(file)) // fails unless it is empty
	return nil
}
