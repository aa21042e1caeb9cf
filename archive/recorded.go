package archive

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"fullstory-export-mcp/local"
)

// OpenRecorded opens the content that an entry describes: the file of its name, or, if a
// successor has the name already, the file among the superseded ones. So it finds what the ledger
// has on record also after a crash between the publication of a successor and its record. The
// error is fs.ErrNotExist if there is no such content.
func (a *Archive) OpenRecorded(folder string, f File) (io.ReadSeekCloser, error) {
	if !validName(f.Name) {
		return nil, fmt.Errorf("%q cannot be the name of a file of the archive", f.Name)
	}
	root, err := a.folder(folder, false)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, at := range append([]string{f.Name}, earlier(root, f.Name)...) {
		info, err := root.Lstat(at)
		if err != nil || info.Size() != f.Bytes {
			continue
		}
		if sum, err := checksum(root, at); err != nil || sum != f.SHA256 {
			continue
		}
		content, err := local.OpenIn(root, at)
		if err != nil {
			return nil, diskError(filepath.Join(root.Name(), at), err)
		}
		return content, nil
	}
	return nil, fs.ErrNotExist
}
