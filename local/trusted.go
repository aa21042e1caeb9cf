package local

import (
	"errors"
	"os"
)

// ReadSecret is ReadFile for a secret that this program created itself. It fails if the
// file has another owner, another name or permissions for others: then somebody else
// chose the secret, or knows it.
func ReadSecret(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if reason := foreign(info); reason != "" {
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New(reason)}
	}
	return read(f, path, limit)
}
