package query

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// renounce makes all threads of this process unable to gain rights, such as by starting a
// program that runs as another user. It is one wall of several, so its error does not matter.
func renounce() {
	_, _, _ = syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
}
