package client

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// mostEscapes is how many escapes of one another are undone to find a key.
	mostEscapes = 3
	// leastEncoded is the least bytes of a secret that is looked for in other encodings:
	// those of a shorter one occur in other text.
	leastEncoded = 8
)

// scrubber removes a key from text of a server, which may have echoed it: as it is, in
// hexadecimal, or in base64 anywhere within other data; also if characters of that are
// escaped for JSON, URLs or HTML, or have invisible characters between them.
type scrubber struct{ forms []string }

func newScrubber(key string) scrubber {
	s := scrubber{forms: []string{key}}
	for _, secret := range []string{key, innerKey(key)} {
		if len(secret) < leastEncoded {
			continue
		}
		digits := hex.EncodeToString([]byte(secret))
		s.forms = append(s.forms, secret, digits, strings.ToUpper(digits))
		for shift := range 3 {
			s.forms = append(s.forms, base64Core(base64.RawStdEncoding, secret, shift),
				base64Core(base64.RawURLEncoding, secret, shift))
		}
	}
	slices.Sort(s.forms)
	s.forms = slices.Compact(s.forms)
	return s
}

// innerKey returns the part of a key that is secret: what is between the data centre
// and the suffix that Fullstory shows.
func innerKey(key string) string {
	_, inner, _ := strings.Cut(key, ".")
	if end := strings.LastIndexByte(inner, '/'); end >= 0 {
		inner = inner[:end]
	}
	return inner
}

// base64Core returns the characters of base64 that are the same whatever comes before
// and after the secret, if the bytes before it are shift more than a multiple of three.
func base64Core(e *base64.Encoding, secret string, shift int) string {
	text := e.EncodeToString([]byte(strings.Repeat("\x00", shift) + secret))
	if (shift+len(secret))%3 != 0 {
		text = text[:len(text)-1]
	}
	return text[(8*shift+5)/6:]
}

// scrub returns text with [key] in place of the key.
func (s scrubber) scrub(text string) string {
	var found []place
	v := viewOf(text)
	for level := 0; ; level++ {
		for _, form := range s.forms {
			found = append(found, v.find(form)...)
		}
		inner, escapes := v.unescaped()
		if !escapes || level == mostEscapes {
			break
		}
		v = inner
	}
	if len(found) == 0 {
		return text
	}
	slices.SortFunc(found, func(a, b place) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	var b strings.Builder
	end := int32(0)
	for _, p := range found {
		if p.from >= end {
			b.WriteString(text[end:p.from] + "[key]")
		}
		end = max(end, p.to)
	}
	b.WriteString(text[end:])
	return b.String()
}

// place is a part of a text.
type place struct{ from, to int32 }

// view is the visible ASCII of a text, and the place in the text of each byte of that.
type view struct {
	ascii string
	of    []place
}

func viewOf(text string) view {
	v := view{of: make([]place, 0, len(text))}
	var b strings.Builder
	b.Grow(len(text))
	for i := range len(text) {
		if c := text[i]; ' ' < c && c <= '~' {
			b.WriteByte(c)
			v.of = append(v.of, place{int32(i), int32(i + 1)})
		}
	}
	v.ascii = b.String()
	return v
}

// find returns where form is in the text.
func (v view) find(form string) (found []place) {
	for from := 0; ; {
		i := strings.Index(v.ascii[from:], form)
		if i < 0 || form == "" {
			return found
		}
		last := from + i + len(form) - 1
		found = append(found, place{v.of[from+i].from, v.of[last].to})
		from += i + 1
	}
}

// unescaped returns v with the characters that escapes in it name. escapes is false if
// it has none.
func (v view) unescaped() (inner view, escapes bool) {
	if !strings.ContainsAny(v.ascii, `\%&`) {
		return v, false
	}
	var b strings.Builder
	for i := 0; i < len(v.ascii); {
		r, length := unescape(v.ascii[i:])
		if ' ' < r && r <= '~' {
			b.WriteByte(byte(r))
			inner.of = append(inner.of, place{v.of[i].from, v.of[i+length-1].to})
		}
		i += length
	}
	inner.ascii = b.String()
	return inner, true
}

// unescape returns the character that text begins with, of which an escape is one, and
// its length in text, which is not empty. The character is utf8.RuneError if it is not
// visible ASCII, or a letter of JSON's escapes such as \n.
func unescape(text string) (r rune, length int) {
	hexadecimal := func(from, digits int) (rune, int) {
		if n, err := strconv.ParseUint(text[min(from, len(text)):min(from+digits, len(text))], 16, 32); err == nil {
			return rune(n), min(from+digits, len(text))
		}
		return rune(text[0]), 1
	}
	switch {
	case text[0] == '%':
		return hexadecimal(1, 2)
	case strings.HasPrefix(text, `\u`), strings.HasPrefix(text, `\U`):
		return hexadecimal(2, 4)
	case strings.HasPrefix(text, `\x`):
		return hexadecimal(2, 2)
	case text[0] == '\\' && len(text) > 1 && strings.IndexByte("nrtbf", text[1]) >= 0:
		return utf8.RuneError, 2
	case text[0] == '\\' && len(text) > 1:
		return rune(text[1]), 2
	case strings.HasPrefix(text, "&#"):
		return htmlNumber(text)
	case strings.HasPrefix(text, "&amp;"):
		return '&', len("&amp;")
	}
	return rune(text[0]), 1
}

// htmlNumber is unescape for text that begins with &#.
func htmlNumber(text string) (r rune, length int) {
	digits, _, ok := strings.Cut(text[len("&#"):min(len(text), len("&#x00000000;"))], ";")
	base, number := 10, digits
	if x := strings.TrimPrefix(strings.ToLower(digits), "x"); x != digits {
		base, number = 16, x
	}
	n, err := strconv.ParseUint(number, base, 32)
	if !ok || err != nil {
		return rune(text[0]), 1
	}
	return rune(n), len("&#") + len(digits) + len(";")
}
