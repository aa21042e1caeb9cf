package archive

import (
	"context"
	"errors"
	"os"
	"time"

	"fullstory-export-mcp/local"
)

// lockPause is between two tries to take a lock that another process has.
const lockPause = 10 * time.Millisecond

// lock takes the lock file of that name in root, once no other process and no other
// caller in this one has it. The lock file stays when it is unlocked. If ctx ends while
// another has the lock, lock returns its error.
func lock(ctx context.Context, root *os.Root, name string) (unlock func(), err error) {
	f, err := local.CreateIn(root, name, 0)
	if err != nil {
		return nil, diskError(root.Name(), err)
	}
	for {
		err := lockFile(f)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			f.Close()
			return nil, diskError(root.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(lockPause):
		}
	}
}
