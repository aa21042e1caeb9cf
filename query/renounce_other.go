//go:build unix && !linux

package query

// renounce does nothing: only Linux has what it would do.
func renounce() {}
