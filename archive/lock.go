package archive

import "os"

// lock takes the lock file of that name in root, which stays behind. Without
// wait it fails with a *BusyError when another holds it.
func lock(root *os.Root, name string, wait bool) (unlock func(), err error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, diskError(root.Name(), err)
	}
	if err := lockFile(f, wait); err != nil {
		f.Close()
		if !wait {
			return nil, &BusyError{Name: name}
		}
		return nil, diskError(root.Name(), err)
	}
	return func() { f.Close() }, nil
}
