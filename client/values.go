package client

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Unknown replaces a value of the API that this program does not know, of a state, a
// type or a role.
const Unknown = "UNKNOWN"

// id returns the id at key as this program writes it, in at most idLimit bytes; see
// encodeID. It is empty if there is none, or none that can be used.
func (o object) id(key string) string { return encodeID(o.raw(key), idLimit) }

// orgID returns the id of an organisation at key, which is a token, or "".
func (o object) orgID(key string) string {
	if s := o.raw(key); isToken(s, idLimit) {
		return s
	}
	return ""
}

// name returns the text at key, of at most textLimit characters; see Plain.
func (o object) name(key string) string { return Plain(o.raw(key), textLimit-1) }

// words returns the sentence at key, of at most textLimit characters. Links in it have
// no query.
func (o object) words(key string) string { return words(o.raw(key)) }

// words returns a text of a server or of a library about one, so that it can be shown.
func words(s string) string { return Plain(withoutQueries(s), textLimit-1) }

// code returns the API's code of an error at key, or "". None of them looks like a code
// of this package.
func (o object) code(key string) string {
	s := o.raw(key)
	if !errorCodes.MatchString(s) || slices.Contains(ownCodes, s) {
		return ""
	}
	return s
}

var errorCodes = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// webLink returns the address of a web page at key, or "".
func (o object) webLink(key string) string {
	s := o.raw(key)
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(s) > textLimit ||
		!webLinks.MatchString(s) {
		return ""
	}
	return s
}

// webLinks have no character that ends a link in Markdown or in the text around it.
var webLinks = regexp.MustCompile(`^[A-Za-z0-9:/?#@$&+,;=._~%-]+$`)

// fileLimit is the most bytes of a link to a file. Signatures have one or two thousand.
const fileLimit = 8000

// fileLink returns the link to a file at key. It may be any text, which package download
// checks: here it only becomes visible ASCII in which Markdown begins nothing. It is
// empty if it is too long or has a control character.
func (o object) fileLink(key string) string {
	s := strings.TrimSpace(o.raw(key))
	if len(s) > fileLimit || strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte("\"<>\\`", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return strings.NewReplacer("](", "%5D(", "![", "!%5B").Replace(b.String())
}

// enum returns the value at key if it is one of known, in any case of letters. It
// returns Unknown for another one, whose text is only logged, and "" if there is none.
func (c *Client) enum(ctx context.Context, o object, key string, known ...string) string {
	raw := o.raw(key)
	value := strings.ToUpper(strings.TrimSpace(raw))
	switch {
	case value == "" || slices.Contains(known, value):
		return value
	case value != Unknown && c.unknowns.isNew(key+" "+raw):
		quoted := strconv.QuoteToASCII(raw[:min(len(raw), loggedValue)])
		c.log.WarnContext(ctx, "Fullstory sent a value that this program does not know", "field", key, "value", quoted)
	}
	return Unknown
}

// unknowns are the values that this program does not know and has logged. Each is logged
// once, so that the log of a long export does not fill with it. It is safe for
// concurrent use. The zero value is ready to use.
type unknowns struct {
	mu   sync.Mutex
	seen map[string]bool // at most mostUnknown
}

const (
	// mostUnknown bounds how many unknown values are logged.
	mostUnknown = 100
	// loggedValue is how many bytes of one are logged.
	loggedValue = 100
)

// isNew reports whether value is to be logged.
func (u *unknowns) isNew(value string) bool {
	value = value[:min(len(value), loggedValue)]
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen[value] || len(u.seen) >= mostUnknown {
		return false
	}
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	u.seen[value] = true
	return true
}
