package local

import "io/fs"

// nonblock is not needed: Windows keeps named pipes apart from files.
const nonblock = 0

// openToOthers is not known: the mode of a folder does not show its access list.
func openToOthers(fs.FileInfo) bool { return false }

// foreign is not known.
func foreign(fs.FileInfo) string { return "" }
