package personal

import (
	"net/netip"
	"regexp"
	"sync"
)

// piece is a part of a text that identifies a person, and what replaces it.
type piece struct {
	pattern *regexp.Regexp
	word    string
	valid   func(found string) bool // nil: every match
	// possible reports by the characters of a text alone whether it may have the piece: most
	// texts have none, and patterns are slow.
	possible func(characters) bool
}

// characters counts what of a text decides which pieces it may have.
type characters struct{ digits, capitals, ats, dots, colons, commas, pluses, breaks int }

// charactersOf counts those of a text.
func charactersOf(text string) (c characters) {
	for i := range len(text) {
		switch b := text[i]; {
		case b >= '0' && b <= '9':
			c.digits++
		case b >= 'A' && b <= 'Z':
			c.capitals++
		case b == '@', b == '%':
			c.ats++
		case b == '.':
			c.dots++
		case b == ':':
			c.colons++
		case b == ',', b == ';':
			c.commas++
		case b == '+':
			c.pluses++
		case b == ' ', b == '-', b == '/', b == ')':
			c.breaks++
		}
	}
	return c
}

// pieces are looked for in this order. Digits that stand in a longer number, such as an id,
// are no phone number.
var pieces = sync.OnceValue(func() []piece {
	return []piece{
		{regexp.MustCompile(`[\p{L}\p{N}._%+'-]+(?:@|%40)[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`), "[email]", nil,
			func(c characters) bool { return c.ats > 0 && c.dots > 0 }},
		{regexp.MustCompile(`\b(?:\d[ -]?){12,18}\d\b`), "[card]", isCard,
			func(c characters) bool { return c.digits >= 13 }},
		{regexp.MustCompile(`\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b`), "[iban]", nil,
			func(c characters) bool { return c.capitals >= 2 && c.digits >= 2 && c.capitals+c.digits >= 12 }},
		{regexp.MustCompile(`-?\b\d{1,2}\.\d{3,}\s*[,;]\s*-?\d{1,3}\.\d{3,}\b`), "[coordinates]", nil,
			func(c characters) bool { return c.digits >= 8 && c.dots >= 2 && c.commas > 0 }},
		{regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}\b`), "[ip]", isAddress,
			func(c characters) bool { return c.digits >= 4 && c.dots >= 3 }},
		{regexp.MustCompile(`(?i)\b[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\b`), "[ip]", isAddress,
			func(c characters) bool { return c.colons >= 2 }},
		{regexp.MustCompile(`(?:\+|\b00)\d(?:[ ()./-]{0,2}\d){6,14}\b`), "[phone]", nil,
			func(c characters) bool { return c.digits >= 7 && c.pluses > 0 || c.digits >= 9 }},
		{regexp.MustCompile(`(?:\(\d{2,5}\)|\b\d{2,6})[ ./-]{1,3}\d{2,4}(?:[ ./-]{1,3}\d{2,5}){1,3}\b`), "[phone]", isPhone,
			func(c characters) bool { return c.digits >= 9 && c.breaks+c.dots >= 2 }},
	}
})

// Redacted returns a text of a row with what looks like personal data replaced: e-mail
// addresses, phone numbers, numbers of cards and accounts, IP addresses and coordinates.
func Redacted(text string) string {
	c := charactersOf(text)
	for _, p := range pieces() {
		if p.possible(c) {
			text = p.redact(text)
		}
	}
	return text
}

// redact replaces all that is the piece in a text.
func (p piece) redact(text string) string {
	return p.pattern.ReplaceAllStringFunc(text, func(found string) string {
		if p.valid != nil && !p.valid(found) {
			return found
		}
		return p.word
	})
}

// isAddress reports whether a text is an IP address.
func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// isCard reports whether a number passes the check of card numbers (Luhn).
func isCard(text string) bool {
	sum, double := 0, false
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] < '0' || text[i] > '9' {
			continue
		}
		d := int(text[i] - '0')
		if double {
			d = d*2%10 + d/5
		}
		sum, double = sum+d, !double
	}
	return sum%10 == 0
}

// isPhone reports whether a number with separators may be that of a phone, and is no date.
func isPhone(text string) bool {
	digits := 0
	for _, r := range text {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	return digits >= 9 && digits <= 15 && !dates().MatchString(text)
}

var dates = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4})\b`)
})
