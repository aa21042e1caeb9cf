package client

import (
	"strings"
	"unicode"
)

// textLimit is the most characters of a text from the API that are shown.
const textLimit = 500

// Clean makes untrusted text safe to show. The result is valid UTF-8 on one line,
// without control characters and without characters that are invisible or change
// the direction of text. Text longer than limit characters is cut after limit, and
// "…" is appended.
func Clean(s string, limit int) string {
	s = strings.ToValidUTF8(s, "�")
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}

// cleaned is Clean for text from the API. Its result, with the "…", has at most
// textLimit characters.
func cleaned(s string) string { return Clean(s, textLimit-1) }
