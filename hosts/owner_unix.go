//go:build unix

package hosts

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a file the owner of another one, which matters if root runs the program.
func keepOwner(file *os.File, of fs.FileInfo) error {
	owner, ok := of.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}
