package download

import (
	"strings"
	"unicode"
)

// NamedAfter reports whether the name that a store gave a file begins with the name of
// a segment, as far as stores keep it. If either is empty, it is not known and fits.
func NamedAfter(attachment, segment string) bool {
	return attachment == "" || segment == "" || strings.HasPrefix(letters(attachment), letters(segment))
}

// letters returns the letters and digits of a name in lower case. Stores may replace the
// other characters of the name of a segment.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
