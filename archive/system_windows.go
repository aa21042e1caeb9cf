package archive

import (
	"os"

	"golang.org/x/sys/windows"
)

// free is not implemented: a full disk is only noticed by a write that fails.
func free(*os.File) (n uint64, ok bool) { return 0, false }

// lockFile locks an open file until it is closed. The lock excludes other processes, and
// other opens of the file in this one. Without wait it fails if another has the lock.
func lockFile(f *os.File, wait bool) error {
	how := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK)
	if !wait {
		how |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped))
}

// syncFolder does nothing: Windows cannot flush a folder.
func syncFolder(*os.Root) error { return nil }
