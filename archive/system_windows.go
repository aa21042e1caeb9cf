package archive

import (
	"os"

	"golang.org/x/sys/windows"
)

// free does not know; a full disk is met when it is written to.
func free(*os.File) (n uint64, ok bool) { return 0, false }

// lockFile locks an open file against other processes and other openings of
// this one, until it is closed.
func lockFile(f *os.File, wait bool) error {
	how := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK)
	if !wait {
		how |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped))
}

// syncFolder does nothing: folders cannot be flushed here.
func syncFolder(*os.Root) error { return nil }
