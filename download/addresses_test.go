package download

import (
	"net/netip"
	"testing"
)

// TestSpecialAddresses has the first and the last address of each special block.
func TestSpecialAddresses(t *testing.T) {
	for _, b := range special {
		t.Run(b.Prefix.String(), func(t *testing.T) {
			if b.Prefix != b.Masked() {
				t.Errorf("the block has bits beyond its length")
			}
			for _, ip := range []netip.Addr{b.Addr(), last(b.Prefix)} {
				if purpose(ip) == "" {
					t.Errorf("%s is public", ip)
				}
			}
		})
	}
}

// last returns the last address of a block.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

// TestPublicAddresses has addresses at the borders of the blocks, those that attackers
// use, and every way to hold an IPv4 address in one of IPv6.
func TestPublicAddresses(t *testing.T) {
	for ip, want := range map[string]bool{
		"142.250.1.207": true, "2a00:1450:4001::1": true, "::ffff:142.250.1.207": true, "64:ff9b::8efa:1cf": true,
		"9.255.255.255": true, "11.0.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "172.15.255.255": true,
		"172.32.0.0": true, "192.0.1.0": true, "198.17.255.255": true, "198.20.0.0": true, "223.255.255.255": true,
		"168.63.129.15": true, "168.63.129.17": true, "1.0.0.0": true, "126.255.255.255": true, "128.0.0.0": true,
		"2001:200::": true, "2001:db7:ffff::": true, "2001:db9::": true, "2003::": true, "2000::": true,
		"3ffe:ffff::": true, "3fff:1000::": true,

		"169.254.169.254": false, "169.254.170.2": false, "100.100.100.200": false, "192.0.0.192": false,
		"168.63.129.16": false, "fd00:ec2::254": false, "fd20:ce::254": false,
		"::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "::8efa:1cf": false,
		"::ffff:0:127.0.0.1": false, "::ffff:0:8efa:1cf": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::7f00:1": false, "64:ff9b::c0a8:101": false, "64:ff9b:1::a00:1": false,
		"2002:7f00:1::": false, "2002:a9fe:a9fe::": false, "2001:0:7f00:1::": false, "2001::1": false,
		"2001:1ff:ffff::": false, "fec0::1": false, "feff::1": false, "fe80::1": false, "febf::1": false,
		"fc00::1": false, "ff02::1": false, "ff0e::1": false, "::": false, "::1": false, "::2": false,
		"4000::1": false, "8000::1": false, "f000::1": false, "1fff::1": false, "200::1": false,
		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.2": false, "127.255.255.255": false, "255.255.255.255": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "198.19.255.255": false,
		// Prefix.Contains is false for an address with a zone.
		"fe80::1%eth0": false, "64:ff9b::7f00:1%lo": false, "2002:7f00:1::%lo": false, "2a00:1450:4001::1%1": false,
	} {
		if got := purpose(netip.MustParseAddr(ip)) == ""; got != want {
			t.Errorf("%s: public is %t", ip, got)
		}
	}
}
