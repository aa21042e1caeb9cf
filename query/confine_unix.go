//go:build unix

package query

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watchInterval is how often a child looks at what it uses: on macOS no limit of the system
// counts what Go takes, and nowhere does one count all temporary files.
const watchInterval = 50 * time.Millisecond

// confine limits what this process may use until it ends.
func confine() error {
	signal.Ignore(syscall.SIGXFSZ) // so that writing beyond the limit fails instead
	err := errors.Join(
		limit(unix.RLIMIT_CORE, 0), limit(unix.RLIMIT_FSIZE, storageLimit), limit(unix.RLIMIT_NOFILE, fileLimit),
		limit(unix.RLIMIT_DATA, memoryLimit))
	if err != nil {
		return err
	}
	renounce()
	go watch()
	return nil
}

// watch ends this process when it has used too much.
func watch() {
	for {
		switch {
		case peakMemory() > memoryLimit:
			os.Exit(statusTooLarge)
		case usedStorage() > allStorage:
			os.Exit(statusNoStorage)
		}
		time.Sleep(watchInterval)
	}
}

// usedStorage returns the size of the temporary files that this process has open, in bytes.
// SQLite removes their names when it makes them.
func usedStorage() (bytes int64) {
	for fd := range fileLimit {
		var s unix.Stat_t
		if unix.Fstat(fd, &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFREG && s.Nlink == 0 {
			bytes += s.Size
		}
	}
	return bytes
}

// limit lowers a limit of this process.
func limit(resource int, most uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	lower := now
	lower.Cur, lower.Max = min(now.Cur, most), min(now.Max, most)
	return unix.Setrlimit(resource, &lower)
}

// usedTime returns the time of processors that this process has taken.
func usedTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
