package profile

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// clip returns the first LongestValue bytes of a text, cut at a character, and whether it
// is longer.
func clip(text []byte) (kept []byte, cut bool) {
	if len(text) <= LongestValue {
		return text, false
	}
	end := LongestValue
	for end > LongestValue-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end], true
}

// unescape appends the text of a JSON string, which is valid JSON without its quotes. Half
// a surrogate pair becomes U+FFFD, as does a byte that is not UTF-8.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\\' && s[i+1] == 'u':
			r := unit(s[i:])
			i += 6
			if utf16.IsSurrogate(r) {
				pair := utf16.DecodeRune(r, unit(s[i:]))
				if r = pair; pair != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		case c == '\\':
			dst = append(dst, escaped[s[i+1]])
			i += 2
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return dst
}

// escaped are the characters after a backslash, and what they mean.
var escaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unit returns the UTF-16 unit of an escape such as \u00e9 at the start of s, or -1.
func unit(s []byte) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// toValid appends text, with U+FFFD for each byte that is not UTF-8.
func toValid[T []byte | string](dst []byte, text T) []byte {
	for _, r := range string(text) {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}
