package auth

import "net/netip"

// IsLoopback reports whether host, a name or an address without a port, is
// reached from this machine only.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
