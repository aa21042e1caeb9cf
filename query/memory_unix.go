//go:build unix && !linux

package query

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// peakMemory returns the memory of this process at its peak, in bytes; 0 if it is unknown.
func peakMemory() int64 {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
