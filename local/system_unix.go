//go:build !windows

package local

import (
	"io/fs"
	"os"
	"syscall"
)

// nonblock keeps an open of a named pipe from waiting for its other end.
const nonblock = syscall.O_NONBLOCK

// onlyFolder makes an open of anything but a folder fail.
const onlyFolder = syscall.O_DIRECTORY

// asFolder returns path in a spelling that leads to nothing but a folder, so that an open
// fails at once if a named pipe is put there meanwhile.
func asFolder(path string) string { return path + "/." }

func openToOthers(info fs.FileInfo) bool {
	return info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0
}

// foreign returns the reason why the content of a file may not be this program's, or "".
func foreign(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return ""
	case int(s.Uid) != os.Geteuid():
		return "it belongs to another user: remove it, and the program creates a new one"
	case s.Nlink != 1:
		return "it has a second name (a hard link): remove it, and the program creates a new one"
	case info.Mode().Perm()&0o077 != 0:
		return "other users may read or change it: remove it, and the program creates a new one"
	}
	return ""
}

// SyncIn makes durable what was created, renamed and removed in the folder of that name inside
// root, "." being root itself.
func SyncIn(root *os.Root, name string) error {
	d, err := root.OpenFile(name, os.O_RDONLY|nonblock|onlyFolder, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
