//go:build linux || darwin || freebsd

package archive

import (
	"os"

	"golang.org/x/sys/unix"
)

// free returns the bytes that this process may still write in the file system
// of an open file. It is ok only if that is known.
func free(f *os.File) (n uint64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}

// lockFile locks an open file against other processes and other openings of
// this one, until it is closed.
func lockFile(f *os.File, wait bool) error {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			return err
		}
	}
}

// syncFolder makes a rename in root last.
func syncFolder(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return diskError(root.Name(), err)
	}
	defer d.Close()
	return diskError(root.Name(), d.Sync())
}
