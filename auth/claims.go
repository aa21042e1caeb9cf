package auth

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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

// issuedPrefix begins the names of the callers of an issuer, and of no other caller.
const issuedPrefix = "oauth:"

// mostName bounds the claim sub, in bytes as name writes it. OpenID Connect allows 255
// ASCII characters.
const mostName = 255

// name returns the name of the caller that the claim sub identifies. It has characters of
// ASCII alone, none of them a control: others, quotes and backslashes are written as Go
// escapes them, so that different claims have different names.
func (c claims) name() (string, error) {
	subject, ok := c.text("sub")
	if !ok {
		return "", rejected(kindClaim, "its claim sub is missing or not a text")
	}
	if strings.ContainsRune(subject, utf8.RuneError) { // texts that are not UTF-8 cannot be told apart
		return "", rejected(kindClaim, "its claim sub has characters that are not valid")
	}
	quoted := strconv.QuoteToASCII(subject)
	name := quoted[1 : len(quoted)-1]
	if len(name) > mostName {
		return "", rejected(kindClaim, "its claim sub is longer than 255 characters")
	}
	return issuedPrefix + name, nil
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
