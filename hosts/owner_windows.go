package hosts

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: a file belongs to who creates it in the folder.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
