package download

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestOddHosts has links whose hosts resolvers and proxies may read differently, or that
// are not those of a store. None is looked up.
func TestOddHosts(t *testing.T) {
	for name, test := range map[string]struct{ host, says string }{
		"decimal":                      {"2130706433", "not written as an address"},
		"decimal of metadata":          {"2852039166", "not written as an address"},
		"octal":                        {"0177.0.0.1", "not written as an address"},
		"octal in one number":          {"017700000001", "not written as an address"},
		"hexadecimal":                  {"0x7f000001", "not written as an address"},
		"hexadecimal parts":            {"0x7f.0x0.0x0.0x1", "not written as an address"},
		"upper-case hexadecimal":       {"0X7F000001", "not written as an address"},
		"empty hexadecimal":            {"127.0.0.0x", "not written as an address"},
		"mixed parts":                  {"0x7f.1", "not written as an address"},
		"two parts":                    {"127.1", "not written as an address"},
		"three parts":                  {"10.0.1", "not written as an address"},
		"leading zeros":                {"010.000.000.001", "not written as an address"},
		"five parts":                   {"127.0.0.1.1", "not written as an address"},
		"number too large":             {"127.0.0.256", "not written as an address"},
		"address with a trailing dot":  {"127.0.0.1.", "not written as an address"},
		"decimal with a trailing dot":  {"2130706433.", "not written as an address"},
		"name that ends in a number":   {"storage.googleapis.com.1", "not written as an address"},
		"two trailing dots":            {"example.com..", "ASCII letters"},
		"empty label":                  {"a..example.com", "ASCII letters"},
		"leading dot":                  {".example.com", "ASCII letters"},
		"only a dot":                   {".", "ASCII letters"},
		"full-width digits":            {"１２７.0.0.1", "ASCII letters"},
		"circled letters":              {"ⓛocalhost", "ASCII letters"},
		"ideographic full stop":        {"127。0。0。1", "ASCII letters"},
		"letters of another script":    {"storаge.googleapis.com", "ASCII letters"},
		"encoded letters":              {"%E2%93%9Bocalhost", "ASCII letters"},
		"soft hyphen":                  {"local\u00adhost", "ASCII letters"},
		"at sign in escapes":           {"storage.googleapis.com%40evil.example", "not a URL"},
		"backslash":                    {`storage.googleapis.com\.evil.example`, "not a URL"},
		"space":                        {"storage.googleapis.com evil.example", "not a URL"},
		"line break in escapes":        {"example.com%0d%0aHost:x", "not a URL"},
		"asterisk":                     {"*.example.com", "ASCII letters"},
		"comma":                        {"example.com,10.0.0.1", "ASCII letters"},
		"semicolon":                    {"example.com;10.0.0.1", "ASCII letters"},
		"hyphen first":                 {"-example.com", "ASCII letters"},
		"label too long":               {strings.Repeat("a", 64) + ".com", "ASCII letters"},
		"name too long":                {strings.Repeat("a.", 130) + "com", "longer"},
		"user name":                    {"user@example.com", "user name"},
		"user name like a store":       {"storage.googleapis.com:443@evil.example", "user name"},
		"empty user name":              {"@example.com", "user name"},
		"port of SSH":                  {"example.com:22", "port"},
		"port of mail":                 {"example.com:25", "port"},
		"port of http":                 {"example.com:80", "port"},
		"port 0":                       {"example.com:0", "port"},
		"port too large":               {"example.com:65536", "port"},
		"port beyond 32 bits":          {"example.com:4294967739", "port"},
		"port in words":                {"example.com:https", "not a URL"},
		"negative port":                {"example.com:-443", "not a URL"},
		"two ports":                    {"example.com:443:22", "not a URL"},
		"zone":                         {"[fe80::1%25eth0]", "one network of this machine"},
		"zone of a mapped address":     {"[64:ff9b::7f00:1%25lo]", "one network of this machine"},
		"zone in a name":               {"[example%25lo]", "not a URL"},
		"unclosed bracket":             {"[::1", "not a URL"},
		"no host":                      {"", "no host"},
		"only a port":                  {":443", "not a name"},
		"IPv6 without brackets":        {"fd00::1", "not a URL"},
		"this machine":                 {"127.0.0.1", "for this machine"},
		"this machine by IPv6":         {"[::1]", "for this machine"},
		"this machine as zero":         {"0.0.0.0", "for this network"},
		"metadata of a cloud machine":  {"169.254.169.254", "for the local link"},
		"metadata, mapped":             {"[::ffff:169.254.169.254]", "for the local link"},
		"metadata by NAT64":            {"[64:ff9b::a9fe:a9fe]", "for the local link"},
		"metadata by 6to4":             {"[2002:a9fe:a9fe::]", "6to4"},
		"metadata by Teredo":           {"[2001:0:a9fe:a9fe::]", "Teredo"},
		"metadata, translated":         {"[::ffff:0:a9fe:a9fe]", "IPv4 in IPv6"},
		"metadata, compatible":         {"[::a9fe:a9fe]", "IPv4 in IPv6"},
		"site-local":                   {"[fec0::1]", "for sites"},
		"unassigned part of IPv6":      {"[4000::1]", "future use"},
		"an address with another port": {"10.0.0.1:8443", "for private networks"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, nil)
			for way, s := range map[string]Source{"directly": {}, "by a proxy": {net: network{proxy: p.choose}}} {
				s.net.resolver = resolverOf(t, nil)
				err := s.follow(t, "https://"+test.host+"/x?sig=s3cr3t")
				var link *LinkError
				if !errors.As(err, &link) || !strings.Contains(link.Reason, test.says) || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%s: got %v", way, err)
				}
			}
			if asked := p.connects(); len(asked) > 0 {
				t.Errorf("the proxy was asked for %q", asked)
			}
		})
	}
}

// TestStorageHosts has lists of hosts, and hosts that are like those of the list.
func TestStorageHosts(t *testing.T) {
	for _, test := range []struct {
		name, listed, host string
		want               bool
	}{
		{"the host", "storage.googleapis.com", "storage.googleapis.com", true},
		{"in upper case", "storage.googleapis.com", "STORAGE.GoogleAPIs.com", true},
		{"listed in upper case", "Storage.GoogleAPIs.COM", "storage.googleapis.com", true},
		{"with a trailing dot", "storage.googleapis.com", "storage.googleapis.com.", true},
		{"a subdomain", "googleapis.com", "storage.googleapis.com", true},
		{"a subdomain by an asterisk", "*.googleapis.com", "storage.googleapis.com", true},
		{"the second of two", "a.example,b.example", "b.example", true},
		{"an address", "142.250.1.207", "142.250.1.207", true},
		{"the end of a label", "googleapis.com", "evilgoogleapis.com", false},
		{"the end of a label with a hyphen", "example.com", "x-example.com", false},
		{"as a subdomain of another", "example.com", "example.com.evil.test", false},
		{"the parent", "storage.googleapis.com", "googleapis.com", false},
		{"a sibling", "storage.googleapis.com", "compute.googleapis.com", false},
		{"a known store that is not listed", "files.example.com", "storage.googleapis.com", false},
		{"an address that ends alike", "1.1.1.1", "11.1.1.1", false},
		{"another domain", "example.com", "example.org", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			stores, err := NewStores(strings.Split(test.listed, ","), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if err := stores.check(test.host); (err == nil) != test.want {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, wrong := range []string{"", "https://example.com", "example.com/x", "example.com:443", "a b", "0x7f.1", "*"} {
		if _, err := NewStores([]string{wrong}, nil); err == nil {
			t.Errorf("%q is accepted as a host", wrong)
		}
	}
}

// TestKnownStores has hosts whose names lead where only their owners say, and others.
func TestKnownStores(t *testing.T) {
	for host, want := range map[string]bool{
		"storage.googleapis.com": true, "fullstoryapp-search-export.storage.googleapis.com": true,
		"b.s3.amazonaws.com": true, "s3.us-east-1.amazonaws.com": true, "b.s3.eu-west-1.amazonaws.com.": true,
		"b.s3.dualstack.eu-west-1.amazonaws.com": true, "B.S3.AmazonAWS.com": true,
		"x.elb.amazonaws.com": false, "ec2-10-0-0-1.compute.amazonaws.com": false, "amazonaws.com": false,
		"b.vpce-1.s3.us-east-1.vpce.amazonaws.com": false, "evils3.amazonaws.com": false,
		"storage.googleapis.com.evil.test": false,
		"evilstorage.googleapis.com":       false, "s3.amazonaws.com.evil.test": false, "example.com": false,
	} {
		if known(host) != want {
			t.Errorf("%s: known is %t", host, !want)
		}
	}
}

// TestUnknownHostsAreNoted has links to many hosts: each that is not known is logged
// once, and not endlessly many are.
func TestUnknownHostsAreNoted(t *testing.T) {
	var log bytes.Buffer
	stores, err := NewStores(nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, host := range []string{"files.example.com", "Files.example.com.", "storage.googleapis.com"} {
			if err := stores.check(host); err != nil {
				t.Error(err)
			}
		}
	}
	if n := strings.Count(log.String(), "files.example.com"); n != 1 || strings.Contains(log.String(), "googleapis") {
		t.Errorf("logged %s", log.String())
	}
	for i := range 1000 {
		if err := stores.check(fmt.Sprintf("h%d.example.com", i)); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != maxNoted {
		t.Errorf("logged %d hosts", n)
	}
}
