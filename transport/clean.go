package transport

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// longestText is the most bytes of the text of an error.
	longestText = 2000
	// longestEcho is the most bytes of something that a client sent, in the text of an error.
	longestEcho = 100
	// longestID is the most bytes of an id, which is answered as it was sent.
	longestID = 4 << 10
)

// isVisible reports whether a character shows as what it is: it is neither invisible nor
// does it control a terminal or the direction of text.
func isVisible(r rune) bool {
	return r == ' ' || unicode.IsGraphic(r) && r != '\u2800' && !unicode.In(r, unicode.Zs,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// cleaned returns text for an error: other characters than visible ones become "?", and
// what is longer than limit bytes is cut. Clients choose parts of such texts.
func cleaned(text string, limit int) string {
	if len(text) > limit {
		text = strings.TrimRightFunc(text[:limit], func(r rune) bool { return r == utf8.RuneError }) + "…"
	}
	return strings.Map(func(r rune) rune {
		if isVisible(r) {
			return r
		}
		return '?'
	}, text)
}

// cleanedData returns the data of an error with all its strings cleaned.
func cleanedData(data any) any {
	encoded, err := json.Marshal(data)
	var plain any
	if err != nil || json.Unmarshal(encoded, &plain) != nil {
		return nil
	}
	return cleanedValue(plain)
}

// cleanedValue is cleanedData for a decoded value.
func cleanedValue(value any) any {
	switch v := value.(type) {
	case string:
		return cleaned(v, longestText)
	case []any:
		for i := range v {
			v[i] = cleanedValue(v[i])
		}
	case map[string]any:
		members := make(map[string]any, len(v))
		for name, member := range v {
			members[cleaned(name, longestEcho)] = cleanedValue(member)
		}
		return members
	}
	return value
}

// escaped returns an id with characters that are not visible as escapes of JSON, so that it
// is the same id and yet harmless where an answer is shown.
func escaped(id json.RawMessage) json.RawMessage {
	if !strings.ContainsFunc(string(id), func(r rune) bool { return !isVisible(r) }) {
		return id
	}
	var b strings.Builder
	for _, r := range string(id) {
		switch {
		case isVisible(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return json.RawMessage(b.String())
}
