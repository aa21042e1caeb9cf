package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// DiskError is a folder that cannot be written or a disk that is full.
type DiskError struct {
	Path string
	Need int64 // bytes still to be written; 0: not known
	Keep int64 // bytes that are to stay free beside them
	Free int64 // bytes free; meaningful when Need or Keep is set
	Err  error
}

func (e *DiskError) Error() string {
	switch {
	case e.Need+e.Keep > 0:
		return fmt.Sprintf("Not enough space in %s: the file needs %s more and %s are to stay free, but %s are free.", e.Path, size(e.Need), size(e.Keep), size(e.Free))
	case errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT):
		return fmt.Sprintf("No space is left in %s.", e.Path)
	case errors.Is(e.Err, fs.ErrPermission) || errors.Is(e.Err, syscall.EROFS):
		return fmt.Sprintf("Permission is missing to write in %s.", e.Path)
	}
	return fmt.Sprintf("%s cannot be used: %v.", e.Path, reason(e.Err))
}

func (e *DiskError) Unwrap() error { return e.Err }

// diskError makes a *DiskError of an error of a file, except for one that only
// says that there is no such file.
func diskError(path string, err error) error {
	var disk *DiskError
	if err == nil || errors.As(err, &disk) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &DiskError{Path: path, Err: err}
}

// reason is the innermost cause, without the path that the message has.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// ContentError is a downloaded file that is not what was exported. It was
// removed. A repeat fetches it anew; if it is bad again, only a new export
// helps.
type ContentError struct {
	Reason   string
	TooLarge bool // a smaller window gives a smaller file
}

func (e *ContentError) Error() string { return "the file is not sound: " + e.Reason }

func bad(format string, args ...any) *ContentError {
	return &ContentError{Reason: fmt.Sprintf(format, args...)}
}

// LinkError is a link that is not followed, or that the store of the files
// refuses also when it is fresh.
type LinkError struct {
	Status int // of the answer; 0: not asked
	Reason string
}

func (e *LinkError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("the link to the file was refused with %d: %s", e.Status, e.Reason)
	}
	return "the link to the file is not followed: " + e.Reason
}

// TransferError is a download that broke off too often. What arrived is kept,
// and a repeat goes on from there.
type TransferError struct {
	Done, Total int64 // bytes; Total -1: not known
	Err         error
}

func (e *TransferError) Error() string {
	return fmt.Sprintf("the download broke off after %s: %v", size(e.Done), e.Err)
}

func (e *TransferError) Unwrap() error { return e.Err }

// BusyError is a file that another process is fetching.
type BusyError struct{ Name string }

func (e *BusyError) Error() string { return "another process is fetching " + e.Name }

// ConflictError is a file that is there already with another content. It is
// left alone.
type ConflictError struct{ Path string }

func (e *ConflictError) Error() string {
	return e.Path + " is there already and has another content"
}

// ManifestError is a manifest that cannot be read. It is left alone.
type ManifestError struct{ Path, Reason string }

func (e *ManifestError) Error() string { return e.Path + " " + e.Reason }

// size writes a number of bytes for a reader.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, u := float64(n), 0
	for v >= 999.5 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", v, units[u])
}
