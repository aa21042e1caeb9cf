package download

import (
	"fmt"
	"net/netip"
)

// block is a range of addresses that have a special purpose.
type block struct {
	netip.Prefix
	use string // what it is for, after "for"
}

// special are the blocks to which links may not lead. They are IANA's registries of
// special-purpose addresses (www.iana.org/assignments/iana-ipv4-special-registry and
// iana-ipv6-special-registry, as of October 2025), also those that are reachable from
// everywhere, since none of them has stores of files; the multicast ranges; and ranges
// that the registries do not list, each with its source. Narrower blocks come first.
var special = [...]block{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},                        // RFC 791
	{netip.MustParsePrefix("10.0.0.0/8"), "private networks"},                   // RFC 1918
	{netip.MustParsePrefix("100.64.0.0/10"), "the networks of carriers"},        // RFC 6598
	{netip.MustParsePrefix("127.0.0.0/8"), "this machine"},                      // RFC 1122
	{netip.MustParsePrefix("168.63.129.16/32"), "machines in Azure"},            // Azure's documentation of that address
	{netip.MustParsePrefix("169.254.0.0/16"), "the local link"},                 // RFC 3927; metadata of cloud machines
	{netip.MustParsePrefix("172.16.0.0/12"), "private networks"},                // RFC 1918
	{netip.MustParsePrefix("192.0.0.0/24"), "protocols"},                        // RFC 6890
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},                    // RFC 5737
	{netip.MustParsePrefix("192.31.196.0/24"), "name servers of AS112"},         // RFC 7535
	{netip.MustParsePrefix("192.52.193.0/24"), "multicast tunnels"},             // RFC 7450
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relays"},                    // RFC 7526
	{netip.MustParsePrefix("192.168.0.0/16"), "private networks"},               // RFC 1918
	{netip.MustParsePrefix("192.175.48.0/24"), "name servers of AS112"},         // RFC 7534
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarks"},                      // RFC 2544
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},                 // RFC 5737
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},                  // RFC 5737
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},                         // RFC 5771
	{netip.MustParsePrefix("240.0.0.0/4"), "future use"},                        // RFC 1112
	{netip.MustParsePrefix("::/128"), "no address"},                             // RFC 4291
	{netip.MustParsePrefix("::1/128"), "this machine"},                          // RFC 4291
	{netip.MustParsePrefix("::/96"), "IPv4 in IPv6"},                            // RFC 4291, section 2.5.5.1
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4 in IPv6"},                  // RFC 2765, section 2.1
	{netip.MustParsePrefix("64:ff9b:1::/48"), "translation to IPv4"},            // RFC 8215
	{netip.MustParsePrefix("100::/64"), "discarded packets"},                    // RFC 6666
	{netip.MustParsePrefix("100:0:0:1::/64"), "no machine"},                     // RFC 9780
	{netip.MustParsePrefix("2001::/32"), "Teredo, which holds an IPv4 address"}, // RFC 4380
	{netip.MustParsePrefix("2001::/23"), "protocols"},                           // RFC 2928
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},                   // RFC 3849
	{netip.MustParsePrefix("2002::/16"), "6to4, which holds an IPv4 address"},   // RFC 3056
	{netip.MustParsePrefix("2620:4f:8000::/48"), "name servers of AS112"},       // RFC 7534
	{netip.MustParsePrefix("3fff::/20"), "documentation"},                       // RFC 9637
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},                     // RFC 9602
	{netip.MustParsePrefix("fc00::/7"), "private networks"},                     // RFC 4193
	{netip.MustParsePrefix("fe80::/10"), "the local link"},                      // RFC 4291
	{netip.MustParsePrefix("fec0::/10"), "sites"},                               // RFC 3879
	{netip.MustParsePrefix("ff00::/8"), "multicast"},                            // RFC 4291
}

var (
	// nat64 is the block of addresses that lead to the IPv4 address in their last four
	// bytes (RFC 6052). Networks without IPv4 reach public stores through it.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	// global is the only part of IPv6 from which IANA assigns public addresses
	// (www.iana.org/assignments/ipv6-address-space).
	global = netip.MustParsePrefix("2000::/3")
)

// purpose returns what ip is for, "" if it is an ordinary address of the internet. The
// author of a link must not reach services in the network of this machine.
func purpose(ip netip.Addr) string {
	if ip.Zone() != "" {
		return "one network of this machine"
	}
	ip = ip.Unmap()
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, b := range special {
		if b.Contains(ip) {
			return b.use
		}
	}
	if ip.Is6() && !global.Contains(ip) {
		return "future use"
	}
	return ""
}

// checkAddress returns a *LinkError for an address to which a link may not lead.
func checkAddress(ip netip.Addr, allowLoopback bool) error {
	use := purpose(ip)
	if use == "" || allowLoopback && ip.IsLoopback() {
		return nil
	}
	return &LinkError{Reason: fmt.Sprintf("it leads to %s, an address that is not public but for %s", ip, use)}
}
