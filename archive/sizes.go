package archive

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"fullstory-export-mcp/local"
)

// Sizes returns the sizes in bytes of the regular files of a folder, by name, from one
// listing of the folder. A folder that does not exist has no files.
func (a *Archive) Sizes(folder string) (map[string]int64, error) {
	root, err := a.folder(folder, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	sizes := map[string]int64{}
	err = local.ListIn(root, ".", func(entry fs.DirEntry) {
		info, err := entry.Info()
		if err == nil && entry.Type()&fs.ModeSymlink != 0 {
			info, err = os.Stat(a.Path(folder, entry.Name()))
		}
		if err == nil && info.Mode().IsRegular() {
			sizes[entry.Name()] = info.Size()
		}
	})
	if err != nil {
		return nil, diskError(root.Name(), err)
	}
	return sizes, nil
}

// ChangedAt returns when a file was last added to a folder, removed from it or renamed in
// it; zero if there is no such folder.
func (a *Archive) ChangedAt(folder string) time.Time {
	info, err := os.Stat(a.Path(folder, ""))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
