package archive

import (
	"os"

	"golang.org/x/sys/windows"
)

// free is not implemented: a full disk is only noticed by a write that fails.
func free(*os.File) (n uint64, ok bool) { return 0, false }

// errLocked reports a lock that another has.
const errLocked = windows.ERROR_LOCK_VIOLATION

// lockFile locks an open file until it is closed. The lock excludes other processes, and
// other opens of the file in this one. It fails with errLocked if another has the lock.
func lockFile(f *os.File) error {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped))
}

// syncFolder does nothing: Windows cannot flush a folder.
func syncFolder(*os.Root) error { return nil }
