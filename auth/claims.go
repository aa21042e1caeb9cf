package auth

import (
	"encoding/json"
	"strings"
	"time"
)

// claims are the claims of a token, as sent. Issuers differ in the types that they
// give them, so each claim is read when it is needed, and a claim that nobody needs
// can have any type.
type claims map[string]json.RawMessage

// text returns a claim that is a text that is not empty.
func (c claims) text(name string) (text string, ok bool) {
	err := json.Unmarshal(c[name], &text)
	return text, err == nil && text != ""
}

// texts returns a claim that is a text or a list of texts. It leaves out empty texts,
// and everything that is not text.
func (c claims) texts(name string) (texts []string) {
	if one, ok := c.text(name); ok {
		return []string{one}
	}
	var list []any
	if json.Unmarshal(c[name], &list) != nil {
		return nil
	}
	for _, element := range list {
		if text, ok := element.(string); ok && text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// words returns the words of a claim, which is a text with spaces between them, or a
// list of such texts.
func (c claims) words(name string) (words []string) {
	for _, text := range c.texts(name) {
		words = append(words, strings.Fields(text)...)
	}
	return words
}

// latest bounds an instant in a claim, in seconds since 1970: the year 9999.
const latest = 253_402_300_799

// instant returns a claim that is a number of seconds since 1970, or a text with one.
func (c claims) instant(name string) (at time.Time, ok bool) {
	var number json.Number
	if json.Unmarshal(c[name], &number) != nil {
		return at, false
	}
	seconds, err := number.Float64()
	if err != nil || seconds < 0 {
		return at, false
	}
	return time.Unix(int64(min(seconds, latest)), 0), true
}

// has reports whether the token has a claim with that name, other than null.
func (c claims) has(name string) bool {
	return c[name] != nil && string(c[name]) != "null"
}

// sameAddress reports whether two addresses differ at most in a final slash.
func sameAddress(a, b string) bool {
	return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}
