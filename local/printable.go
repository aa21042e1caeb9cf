package local

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsVisible reports whether a character shows as what it is: it is neither invisible nor
// does it control a terminal or the direction of text. Of the spaces only U+0020 is visible.
func IsVisible(r rune) bool {
	return r == ' ' || unicode.IsGraphic(r) && r != '\u2800' && !unicode.In(r, unicode.Zs,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// longestPrintable is the most bytes of a text that Printable returns, but for the end that
// says so.
const longestPrintable = 16 << 10

// Printable returns a text for a terminal: line ends stay, and every other character that
// is not visible is escaped as in Go, such as \x1b or \u202e. Of a text of more than
// longestPrintable bytes it returns the beginning.
func Printable(text string) string {
	var b strings.Builder
	for i, r := range text {
		if b.Len() >= longestPrintable {
			return fmt.Sprintf("%s... (%d bytes more)", b.String(), len(text)-i)
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\n' || IsVisible(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
