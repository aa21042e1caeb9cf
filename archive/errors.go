package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

// DiskError reports a folder that cannot be used or a disk that is full.
type DiskError struct {
	Path string
	Need int64 // bytes still to be written; 0: not known
	Keep int64 // bytes that must stay free besides
	Free int64 // bytes free; only meaningful if Need or Keep is set
	Err  error // nil if Need or Keep is set
}

func (e *DiskError) Error() string {
	switch {
	case e.Need+e.Keep > 0:
		return fmt.Sprintf("Not enough space in %s: the file needs %s more and %s must stay free, but %s are free.",
			local.Shown(e.Path), rows.FormatBytes(e.Need), rows.FormatBytes(e.Keep), rows.FormatBytes(e.Free))
	case errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT):
		return fmt.Sprintf("No space is left in %s.", local.Shown(e.Path))
	case errors.Is(e.Err, local.ErrNotRegular):
		return local.Shown(e.at()) + " is not a regular file."
	case errors.Is(e.Err, local.ErrNotFolder):
		return local.Shown(e.Path) + " is not a folder, or has something else in the place of one."
	case errors.Is(e.Err, fs.ErrPermission) || errors.Is(e.Err, syscall.EROFS):
		return fmt.Sprintf("Permission is missing to write in %s.", local.Shown(e.Path))
	}
	for _, path := range []string{e.Path, e.at()} {
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return local.Shown(path) + " is a symbolic link out of the folder of exports, and such a link is not followed."
		}
	}
	return fmt.Sprintf("%s cannot be used: %v.", local.Shown(e.Path), reason(e.Err))
}

// at returns the path of the file that Err is about.
func (e *DiskError) at() string {
	if at, ok := errors.AsType[*fs.PathError](e.Err); ok && !filepath.IsAbs(at.Path) {
		return filepath.Join(e.Path, at.Path)
	}
	return e.Path
}

func (e *DiskError) Unwrap() error { return e.Err }

// diskError turns an error of a file into a *DiskError. nil and fs.ErrNotExist stay as
// they are.
func diskError(path string, err error) error {
	var disk *DiskError
	if err == nil || errors.As(err, &disk) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &DiskError{Path: filepath.Clean(path), Err: err}
}

// reason returns the cause of an error without its path, which the message has already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// BusyError reports that another process, or another caller in this one, is fetching
// the file.
type BusyError struct{ Name string }

func (e *BusyError) Error() string { return "another process is fetching " + e.Name }

// ConflictError reports that there is a file of that name with different content, which
// stays as it is.
type ConflictError struct{ Path string }

func (e *ConflictError) Error() string {
	return local.Shown(e.Path) + " already exists with different content"
}

// ManifestError reports a manifest that cannot be read, which stays as it is.
type ManifestError struct {
	Path, Reason string
	Err          error // the cause, or nil
}

func (e *ManifestError) Error() string { return local.Shown(e.Path) + " " + e.Reason }
func (e *ManifestError) Unwrap() error { return e.Err }
