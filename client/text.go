package client

import (
	"strings"
	"unicode"
)

const (
	// textLimit is the most characters of a text from the API that are kept.
	textLimit = 500
	// mostMarks is how many combining marks in a row a character may have: Hebrew and
	// Tibetan need four. More of them cover the lines around the text.
	mostMarks = 4
)

// Clean makes untrusted text safe to show. The result is valid UTF-8 on one line,
// without control characters, without characters that are invisible, blank or change
// the direction of text, and with few marks on one character. A code point that
// Unicode does not define becomes U+FFFD. Text longer than limit characters is cut
// after limit, and "…" is appended.
func Clean(s string, limit int) string { return cut(visible(s), limit) }

// Plain is Clean for text that a host may render as Markdown: links, images and HTML
// in it show as text. Spaces are inserted where markup begins, so that the result
// reads almost as s does. Plain does not change its own results.
func Plain(s string, limit int) string { return cut(withoutMarkup(visible(s)), limit) }

// cut returns s, or its first limit characters and "…".
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n == limit {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// visible returns the characters of s that show.
func visible(s string) string {
	marks := mostMarks // no character to combine with yet
	return strings.Map(func(r rune) rune {
		r = shown(r)
		switch {
		case r < 0:
		case r == ' ':
			marks = mostMarks
		case !unicode.In(r, unicode.Mn, unicode.Me):
			marks = 0
		case marks >= mostMarks:
			return -1
		default:
			marks++
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// shown returns what a character is shown as; -1: it is left out.
func shown(r rune) rune {
	switch {
	case ' ' <= r && r <= '~':
		return r
	case r == '\n' || r == '\t' || unicode.Is(unicode.Z, r):
		return ' '
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Other_Default_Ignorable_Code_Point,
		unicode.Variation_Selector, unicode.Noncharacter_Code_Point):
		return -1
	case strings.ContainsRune(blanks, r):
		return -1
	case !unicode.IsGraphic(r): // not assigned in this version of Unicode
		return '\uFFFD'
	}
	return r
}

// blanks are symbols and letters that show nothing, although Unicode does not class
// them so: of Braille, Khitan, Egyptian and musical notation, and the placeholder of
// an embedded object.
const blanks = "\u2800\U00016FE4\U00013441\U00013442\U0001D159\uFFFC"
