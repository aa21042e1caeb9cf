package local

import (
	"io/fs"
	"os"
)

// nonblock is not needed: Windows keeps named pipes apart from files.
const nonblock = 0

// onlyFolder is not needed either.
const onlyFolder = 0

func asFolder(path string) string { return path }

// openToOthers is not known: the mode of a folder does not show its access list.
func openToOthers(fs.FileInfo) bool { return false }

// foreign is not known.
func foreign(fs.FileInfo) string { return "" }

// SyncIn does nothing: Windows cannot flush a folder.
func SyncIn(*os.Root, string) error { return nil }
