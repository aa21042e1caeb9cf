//go:build unix

package auth

import (
	"fmt"
	"os"
	"syscall"
)

// keepOwner gives f the owner of the file at path, if there is one: the server could not
// read a file that another user, such as root, has replaced.
func keepOwner(f *os.File, path string) error {
	before, err := os.Stat(path)
	if err != nil {
		return nil // there is no file yet
	}
	was, ok := before.Sys().(*syscall.Stat_t)
	if !ok || int(was.Uid) == os.Geteuid() {
		return nil
	}
	if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
		return fmt.Errorf("the file belongs to another user, and the new one cannot; run this as that user: %w", err)
	}
	return nil
}
