//go:build linux || darwin || freebsd

package archive

import (
	"os"

	"golang.org/x/sys/unix"
)

// free returns how many bytes this process may still write in the file system of an open
// file. ok reports whether that is known.
func free(f *os.File) (n uint64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}

// errLocked reports a lock that another has.
const errLocked = unix.EWOULDBLOCK

// lockFile locks an open file until it is closed. The lock excludes other processes, and
// other opens of the file in this one. It fails with errLocked if another has the lock.
func lockFile(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			return err
		}
	}
}

// syncFolder makes the renames in root durable.
func syncFolder(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return diskError(root.Name(), err)
	}
	defer d.Close()
	return diskError(root.Name(), d.Sync())
}
