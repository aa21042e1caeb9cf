package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf16"
)

// maxDepth is how deep a value may be nested, as in encoding/json.
const maxDepth = 10_000

var (
	errShort = errors.New("the value is not complete") // more bytes may complete it
	errJSON  = errors.New("not valid JSON")            // no more bytes can help
)

// plain marks the bytes that need no decoding in a JSON string.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return t
}()

// scanner finds where JSON values end and checks their grammar, without decoding
// anything. Its methods take the index in b at which something must begin, and return
// the index after it. They fail with errJSON, or with errShort if b ends too early.
type scanner struct {
	b     []byte
	depth int
	lone  bool // a string holds half of a surrogate pair
}

// object checks the object at b[i:], whose brace the caller has seen. It calls member,
// if set, with each key and value as written.
func (s *scanner) object(i int, member func(key, value []byte)) (end int, err error) {
	if s.depth++; s.depth > maxDepth {
		return i, errJSON
	}
	defer func() { s.depth-- }()
	i = s.space(i + 1)
	if i < len(s.b) && s.b[i] == '}' {
		return i + 1, nil
	}
	for {
		key := i
		if i, err = s.string(i); err != nil {
			return i, err
		}
		keyEnd := i
		if i, err = s.expect(s.space(i), ':'); err != nil {
			return i, err
		}
		value := s.space(i)
		if i, err = s.value(value); err != nil {
			return i, err
		}
		if member != nil {
			member(s.b[key:keyEnd], s.b[value:i])
		}
		var done bool
		if i, done, err = s.separator(i, '}'); done || err != nil {
			return i, err
		}
		i = s.space(i)
	}
}

// array checks the array at b[i:], whose bracket the caller has seen.
func (s *scanner) array(i int) (end int, err error) {
	if s.depth++; s.depth > maxDepth {
		return i, errJSON
	}
	defer func() { s.depth-- }()
	i = s.space(i + 1)
	if i < len(s.b) && s.b[i] == ']' {
		return i + 1, nil
	}
	for {
		if i, err = s.value(i); err != nil {
			return i, err
		}
		var done bool
		if i, done, err = s.separator(i, ']'); done || err != nil {
			return i, err
		}
		i = s.space(i)
	}
}

// separator checks that a comma or close follows, after any white space. done reports
// whether it is close, which ends the list.
func (s *scanner) separator(i int, close byte) (next int, done bool, err error) {
	i = s.space(i)
	switch {
	case i >= len(s.b):
		return i, false, errShort
	case s.b[i] == ',':
		return i + 1, false, nil
	case s.b[i] == close:
		return i + 1, true, nil
	}
	return i, false, errJSON
}

// value checks the value at b[i:], of any type.
func (s *scanner) value(i int) (end int, err error) {
	if i >= len(s.b) {
		return i, errShort
	}
	switch c := s.b[i]; {
	case c == '"':
		return s.string(i)
	case c == '{':
		return s.object(i, nil)
	case c == '[':
		return s.array(i)
	case c == '-' || c >= '0' && c <= '9':
		return s.number(i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if rest := s.b[i:]; len(rest) >= len(word) {
			if string(rest[:len(word)]) == word {
				return i + len(word), nil
			}
		} else if word[:len(rest)] == string(rest) {
			return i, errShort // b ends inside the word
		}
	}
	return i, errJSON
}

// string checks the string at b[i:], and sets lone if it holds half of a surrogate
// pair.
func (s *scanner) string(i int) (end int, err error) {
	if i >= len(s.b) {
		return i, errShort
	}
	if s.b[i] != '"' {
		return i, errJSON
	}
	b := s.b
	second := -1 // where the second half of a surrogate pair must begin
	for i++; i < len(b); i++ {
		c := b[i]
		if plain[c] {
			continue
		}
		switch {
		case c == '"':
			s.lone = s.lone || second >= 0
			return i + 1, nil
		case c != '\\':
			return i, errJSON
		case i+1 >= len(b):
			return i, errShort
		}
		i++
		if b[i] == 'u' {
			unit, err := hexUnit(b[i+1:])
			if err != nil {
				return i, err
			}
			second = s.surrogate(unit, i-1, second)
			i += 4
		} else if bytes.IndexByte([]byte(`"\/bfnrt`), b[i]) < 0 {
			return i, errJSON
		}
	}
	return i, errShort
}

// hexUnit reads the four digits of an escaped UTF-16 unit.
func hexUnit(b []byte) (unit rune, err error) {
	if len(b) < 4 {
		return 0, errShort
	}
	for _, h := range b[:4] {
		switch {
		case h >= '0' && h <= '9':
			unit = unit<<4 | rune(h-'0')
		case h|0x20 >= 'a' && h|0x20 <= 'f':
			unit = unit<<4 | rune(h|0x20-'a'+10)
		default:
			return 0, errJSON
		}
	}
	return unit, nil
}

// surrogate checks a UTF-16 unit that is escaped at b[at:]. second is the index at
// which the second half of a pair must begin, or -1 if none is expected; surrogate
// returns it for the units that follow.
func (s *scanner) surrogate(unit rune, at, second int) int {
	switch {
	case !utf16.IsSurrogate(unit):
		return second // if one is still expected, the end of the string finds it missing
	case unit < 0xdc00:
		s.lone = s.lone || second >= 0
		return at + len(`\ud800`)
	}
	s.lone = s.lone || at != second
	return -1
}

// number checks a number. One at the very end of b is short: more digits may
// follow.
func (s *scanner) number(i int) (end int, err error) {
	i = s.skip(i, '-', '-')
	if i < len(s.b) && s.b[i] == '0' {
		i++ // no digit may follow a leading zero
	} else if i, err = s.digits(i); err != nil {
		return i, err
	}
	if i < len(s.b) && s.b[i] == '.' {
		if i, err = s.digits(i + 1); err != nil {
			return i, err
		}
	}
	if i < len(s.b) && s.b[i]|0x20 == 'e' {
		if i, err = s.digits(s.skip(i+1, '+', '-')); err != nil {
			return i, err
		}
	}
	if i >= len(s.b) {
		return i, errShort
	}
	return i, nil
}

// skip returns i+1 if b[i] is one of the two bytes, and i otherwise.
func (s *scanner) skip(i int, a, b byte) int {
	if i < len(s.b) && (s.b[i] == a || s.b[i] == b) {
		return i + 1
	}
	return i
}

// digits checks that digits begin at i and returns where they end.
func (s *scanner) digits(i int) (end int, err error) {
	from := i
	for i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9' {
		i++
	}
	switch {
	case i > from:
		return i, nil
	case i >= len(s.b):
		return i, errShort
	}
	return i, errJSON
}

// expect checks that b[i] is c.
func (s *scanner) expect(i int, c byte) (next int, err error) {
	switch {
	case i >= len(s.b):
		return i, errShort
	case s.b[i] != c:
		return i, errJSON
	}
	return i + 1, nil
}

// space returns the index of the first byte from i on that is not white space.
func (s *scanner) space(i int) int {
	for i < len(s.b) && (s.b[i] == ' ' || s.b[i] == '\n' || s.b[i] == '\r' || s.b[i] == '\t') {
		i++
	}
	return i
}

// text decodes a JSON string as it is written. It returns "" for another value.
func text(raw []byte) string {
	if len(raw) >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// unquote is text without a copy where none is needed.
func unquote(raw []byte) []byte {
	if len(raw) >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	return []byte(text(raw))
}
