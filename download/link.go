package download

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
)

// maxLink is the size of a link in bytes. Signed links have at most 2 kB.
const maxLink = 16 << 10

// parseLink parses a link. It encodes bytes that a URL must not have, such as a raw
// space, since some APIs send them. It fails with a *LinkError.
func parseLink(link string) (*url.URL, error) {
	link = strings.TrimSpace(link)
	if strings.ContainsFunc(link, unicode.IsControl) {
		return nil, &LinkError{Reason: "it holds a control character"}
	}
	u, err := url.Parse(link)
	switch {
	case link == "":
		return nil, &LinkError{Reason: "it is empty"}
	case len(link) > maxLink:
		return nil, &LinkError{Reason: "it is too long"}
	case err != nil:
		return nil, &LinkError{Reason: "it is not a URL"}
	case u.Scheme == "":
		return nil, &LinkError{Reason: "it is relative: it has no scheme"}
	}
	u.RawQuery = encoded(u.RawQuery)
	return u, nil
}

// encoded percent-encodes the bytes of a query that are not printable ASCII. It leaves
// the rest as it is: the signature of the link covers it.
func encoded(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// checkLink returns a *LinkError for a URL that a link to a file must not have. Where the
// name of its host leads is checked when it is dialled, so that another DNS answer cannot
// change that in between.
func (s Source) checkLink(u *url.URL) error {
	local := s.AllowLoopback && loopback(u.Hostname())
	switch {
	case u.Scheme != "https" && !(u.Scheme == "http" && local):
		return &LinkError{Reason: "it is not https"}
	case u.Host == "":
		return &LinkError{Reason: "it has no host"}
	case u.User != nil:
		return &LinkError{Reason: "it holds a user name"}
	case local:
		return nil
	}
	if err := checkHost(u.Hostname()); err != nil {
		return err
	}
	if err := checkPort(u); err != nil {
		return err
	}
	return s.Stores.check(u.Hostname())
}

// loopback reports whether a host is this machine by its spelling.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// withoutURL returns the cause of an error of a request without the link, which is a
// secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
