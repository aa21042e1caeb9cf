package download

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxNoted is the number of hosts outside the known stores that are logged. The API chooses
// the hosts of links, so that there may be any number.
const maxNoted = 100

// knownStores matches the hosts of the stores that exports are known to use: that of the
// examples in Fullstory's documentation, and Amazon's. Only their owners choose where
// these names lead.
var knownStores = regexp.MustCompile(
	`^([a-z0-9_.-]+\.)?(storage\.googleapis\.com|s3(\.dualstack)?(\.[a-z0-9-]+)?\.amazonaws\.com)$`)

// Stores are the hosts that links may name. A nil *Stores allows every public host. It is
// safe for concurrent use.
type Stores struct {
	allowed []string // with their subdomains; empty: every public host
	log     *slog.Logger

	mu    sync.Mutex // guards noted
	noted map[string]bool
}

// NewStores returns stores with the given hosts and their subdomains; without hosts, all
// that are public. A link to a host that is neither listed nor a known store is logged
// once. It fails if one of the hosts is not a host name.
func NewStores(hosts []string, log *slog.Logger) (*Stores, error) {
	s := &Stores{log: log, noted: map[string]bool{}}
	for _, given := range hosts {
		host := canonical(strings.TrimLeft(strings.TrimSpace(given), "*."))
		if err := checkHost(host); err != nil {
			return nil, fmt.Errorf("%q is not a host name, such as storage.googleapis.com", given)
		}
		s.allowed = append(s.allowed, host)
	}
	return s, nil
}

// check returns a *LinkError for a host that is not allowed. It logs the first link to a
// host that is neither listed nor known.
func (s *Stores) check(host string) error {
	switch {
	case s == nil || s.listed(host):
	case len(s.allowed) > 0:
		return &LinkError{Reason: "its host " + host + " is not one of the storage hosts that are allowed", Unlisted: true}
	case !known(host):
		s.note(canonical(host))
	}
	return nil
}

// note logs a host, unless it has been logged before or too many others have.
func (s *Stores) note(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noted[host] || len(s.noted) == maxNoted {
		return
	}
	s.noted[host] = true
	s.log.Info("files come from a host that is not a known store; --storage-host limits where links may lead",
		"host", host)
}

// trusted reports whether only the owner of a store, known or listed, chooses where the
// name host leads.
func (s *Stores) trusted(host string) bool { return known(host) || s != nil && s.listed(host) }

// listed reports whether host is an allowed host or a subdomain of one.
func (s *Stores) listed(host string) bool {
	host = canonical(host)
	return slices.ContainsFunc(s.allowed, func(allowed string) bool {
		return host == allowed || strings.HasSuffix(host, "."+allowed)
	})
}

// known reports whether host is that of a known store.
func known(host string) bool { return knownStores.MatchString(canonical(host)) }

// canonical returns a host as it is compared: in lower case, without the dot that may end
// a name.
func canonical(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// checkHost returns a *LinkError for a host that is not written in the usual way: as a
// name of ASCII letters, digits, hyphens and underscores, or as an address. The other
// ways, such as 0x7f.1, are read differently by resolvers and proxies.
func checkHost(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return nil
	} else if err == nil {
		return &LinkError{Reason: "its host is an address in one network of this machine"}
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if !hostLabel.MatchString(label) {
			return &LinkError{Reason: "its host is not a name of ASCII letters, digits and hyphens"}
		}
	}
	if numeric.MatchString(labels[len(labels)-1]) {
		return &LinkError{Reason: "its host is a number that is not written as an address"}
	}
	if len(host) > 253 { // RFC 1035, section 2.3.4, as text
		return &LinkError{Reason: "its host is longer than a name can be"}
	}
	return nil
}

var (
	hostLabel = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	// numeric matches the last label of a host that resolvers may read as an IPv4 address.
	numeric = regexp.MustCompile(`^([0-9]+|0[xX][0-9A-Fa-f]*)$`)
)

// checkPort returns a *LinkError for a port of another service: links lead to 443, or to
// one that any program may use.
func checkPort(u *url.URL) error {
	port := u.Port()
	if n, err := strconv.Atoi(port); port == "" || err == nil && (n == 443 || n >= 1024 && n <= 65535) {
		return nil
	}
	return &LinkError{Reason: "its port belongs to another service than https"}
}
