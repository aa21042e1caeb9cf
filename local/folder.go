package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// OpenError reports a folder in which every user of the machine may replace files.
type OpenError struct {
	Path string
	Mode fs.FileMode
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("every user of this machine may replace files in it (mode %04o): run chmod o-w %s",
		e.Mode.Perm(), Shown(e.Path))
}

// CheckFolder returns an *OpenError if everybody may replace files in the folder that
// root is. With the sticky bit, only their owners may. path is for the message.
func CheckFolder(root *os.Root, path string) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	if openToOthers(info) {
		return &OpenError{path, info.Mode()}
	}
	return nil
}
