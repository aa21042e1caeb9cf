//go:build !linux && !windows

package keys

// absent returns "": macOS always has a keychain, and of other systems the module says it.
func absent(func(string) string) string { return "" }

// isAbsent reports whether an error says that there is no keychain.
func isAbsent(error) bool { return false }
