package archive

import (
	"bytes"
	"encoding/json"
	"errors"
)

// maxDepth is how deep a value may be nested, as in encoding/json.
const maxDepth = 10_000

var (
	errShort = errors.New("the value is not complete")
	errJSON  = errors.New("not valid JSON")
)

// plain marks the bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return t
}()

// scanner finds where JSON values end and checks their grammar. It reads only;
// nothing is decoded.
type scanner struct {
	b     []byte
	depth int
}

// object checks the object at b[i:], calls member with each of its keys and
// values as they are written, and returns where it ends. It fails with
// errShort when b ends before the object does.
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

// separator takes a comma, or the close that ends the list.
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
			return i, errShort
		}
	}
	return i, errJSON
}

func (s *scanner) string(i int) (end int, err error) {
	if i >= len(s.b) {
		return i, errShort
	}
	if s.b[i] != '"' {
		return i, errJSON
	}
	b := s.b
	for i++; i < len(b); i++ {
		c := b[i]
		if plain[c] {
			continue
		}
		switch {
		case c == '"':
			return i + 1, nil
		case c != '\\':
			return i, errJSON
		case i+1 >= len(b):
			return i, errShort
		}
		i++
		if b[i] == 'u' {
			if i+4 >= len(b) {
				return i, errShort
			}
			for _, h := range b[i+1 : i+5] {
				if !(h >= '0' && h <= '9' || h|0x20 >= 'a' && h|0x20 <= 'f') {
					return i, errJSON
				}
			}
			i += 4
		} else if bytes.IndexByte([]byte(`"\/bfnrt`), b[i]) < 0 {
			return i, errJSON
		}
	}
	return i, errShort
}

// number checks a number. One at the very end of b may go on, so that it is
// short.
func (s *scanner) number(i int) (end int, err error) {
	digits := func() bool {
		from := i
		for i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9' {
			i++
		}
		return i > from
	}
	at := func(any string) bool { return i < len(s.b) && bytes.IndexByte([]byte(any), s.b[i]) >= 0 }
	fail := func() (int, error) {
		if i >= len(s.b) {
			return i, errShort
		}
		return i, errJSON
	}
	if at("-") {
		i++
	}
	if at("0") {
		i++
	} else if !digits() {
		return fail()
	}
	if at(".") {
		i++
		if !digits() {
			return fail()
		}
	}
	if at("eE") {
		i++
		if at("+-") {
			i++
		}
		if !digits() {
			return fail()
		}
	}
	if i >= len(s.b) {
		return i, errShort
	}
	return i, nil
}

func (s *scanner) expect(i int, c byte) (next int, err error) {
	switch {
	case i >= len(s.b):
		return i, errShort
	case s.b[i] != c:
		return i, errJSON
	}
	return i + 1, nil
}

func (s *scanner) space(i int) int {
	for i < len(s.b) && (s.b[i] == ' ' || s.b[i] == '\n' || s.b[i] == '\r' || s.b[i] == '\t') {
		i++
	}
	return i
}

// text decodes a JSON string as it is written. What is no string is empty.
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
