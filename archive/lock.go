package archive

import (
	"os"

	"fullstory-export-mcp/local"
)

// lock takes the lock file of that name in root, once no other process and no other
// caller in this one has it. The lock file stays when it is unlocked.
func lock(root *os.Root, name string) (unlock func(), err error) {
	f, err := local.CreateIn(root, name, 0)
	if err != nil {
		return nil, diskError(root.Name(), err)
	}
	if err := lockFile(f, true); err != nil {
		f.Close()
		return nil, diskError(root.Name(), err)
	}
	return func() { f.Close() }, nil
}
