package client

import (
	"regexp"
	"strings"
)

// withoutMarkup returns s with a space wherever Markdown or HTML would begin a link,
// an image, a tag or a character reference. It only adds spaces, which begin nothing.
func withoutMarkup(s string) string {
	var b strings.Builder
	from := 0
	for i := 1; i < len(s); i++ {
		if parts(s[:i], s[i:]) {
			b.WriteString(s[from:i] + " ")
			from = i
		}
	}
	b.WriteString(s[from:])
	return b.String()
}

// parts reports whether a space belongs between two halves of a text. Neither is empty.
func parts(before, after string) bool {
	next := after[0]
	switch before[len(before)-1] {
	case ']': // [text](link), [text][name], [name]: link
		return strings.IndexByte("([:", next) >= 0
	case '!': // ![image]
		return next == '['
	case '<': // <tag, </tag, <!-- and <?
		return letter(next) || strings.IndexByte("/!?", next) >= 0
	case '&': // &#60; and &lt;
		return reference.MatchString(after)
	case ':': // https://, with or without Markdown's escapes
		return slashes.MatchString(after)
	case 'w', 'W':
		return (next == '.' || next == '\\') && web.MatchString(before[max(0, len(before)-4):])
	}
	return false
}

var (
	reference = regexp.MustCompile(`^(#|[A-Za-z][A-Za-z0-9]*;)`)
	slashes   = regexp.MustCompile(`^\\*/\\*/`)
	web       = regexp.MustCompile(`(?i)(^|[^a-z0-9])www$`) // of the last four bytes
)

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// withoutQueries returns s without the queries of the URLs in it: they may be
// signatures.
func withoutQueries(s string) string { return queries.ReplaceAllString(s, "$1?…") }

var queries = regexp.MustCompile(`(:\\*/\\*/[^\s?]*)\?\S+`)
