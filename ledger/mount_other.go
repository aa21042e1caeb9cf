//go:build !linux

package ledger

// networkMount always returns "": mounts are read on Linux only.
func networkMount(string) (string, error) { return "", nil }
