package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MkdirAll creates the folder at path and those above it that are missing.
func MkdirAll(path string) error {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: path, Err: errors.New("there is a file of that name")}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if above := filepath.Dir(path); above != path {
		if err := MkdirAll(above); err != nil {
			return err
		}
	}
	err := os.Mkdir(path, folderMode)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process created it
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return setMode(info, folderMode, func(mode fs.FileMode) error { return os.Chmod(path, mode) })
}

// MkdirIn creates the folder of that name inside root. The error is fs.ErrExist if there
// is something of that name.
func MkdirIn(root *os.Root, name string) error {
	if err := root.Mkdir(name, folderMode); err != nil {
		return err
	}
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	return setMode(info, folderMode, func(mode fs.FileMode) error { return root.Chmod(name, mode) })
}

// OpenError reports a folder in which every user of the machine may replace files, or a
// file that every user may change.
type OpenError struct {
	Path string
	Mode fs.FileMode
	File bool
}

func (e *OpenError) Error() string {
	may := "replace files in it"
	if e.File {
		may = "change it"
	}
	return fmt.Sprintf("every user of this machine may %s (mode %04o): run chmod o-w %s",
		may, e.Mode.Perm(), Shown(e.Path))
}

// CheckFolder returns an *OpenError if everybody may replace files in the folder that
// root is. With the sticky bit, only their owners may. path is for the message.
func CheckFolder(root *os.Root, path string) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	if openToOthers(info) {
		return &OpenError{Path: path, Mode: info.Mode()}
	}
	return nil
}

// CheckPlace returns an *OpenError if everybody may replace files in the folder at path.
func CheckPlace(path string) error {
	root, err := OpenFolder(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return CheckFolder(root, path)
}

// CheckFile returns an *OpenError if everybody may change the file at path, and fails
// unless it is a regular file. One that does not exist passes.
func CheckFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	case openToOthers(info):
		return &OpenError{path, info.Mode(), true}
	}
	return nil
}

// ErrNotFolder reports a name that leads to something other than a folder.
var ErrNotFolder = errors.New("it is not a folder")

// OpenFolder opens the folder at path. It follows symbolic links, because the user gave
// the path.
func OpenFolder(path string) (*os.Root, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrNotFolder}
	}
	if err != nil {
		return nil, err
	}
	return os.OpenRoot(asFolder(path))
}

// OpenFolderIn opens the folder of that name inside root. It follows only symbolic links
// that stay inside root.
func OpenFolderIn(root *os.Root, name string) (*os.Root, error) {
	if err := isFolder(root, name); err != nil {
		return nil, err
	}
	return root.OpenRoot(name)
}

// ListIn lists the folder of that name inside root, "." being root itself, and calls each
// with every entry, in no order. It has few entries in memory at once.
func ListIn(root *os.Root, name string, each func(fs.DirEntry)) error {
	if err := isFolder(root, name); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock|onlyFolder, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		listed, err := f.ReadDir(listStep)
		for _, e := range listed {
			each(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// listStep is how many entries of a folder ListIn reads at once.
const listStep = 1000

// isFolder fails unless name is a folder inside root.
func isFolder(root *os.Root, name string) error {
	info, err := root.Stat(name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotFolder}
	}
	return err
}

// List returns the entries of the folder at path, in the order of their names.
func List(path string) ([]fs.DirEntry, error) {
	root, err := OpenFolder(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var all []fs.DirEntry
	err = ListIn(root, ".", func(e fs.DirEntry) { all = append(all, e) })
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, err
}
