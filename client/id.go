package client

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// idLimit is the most bytes of an id, as this program writes it. Those of Fullstory
	// have less than 100.
	idLimit = 500
	// cursorLimit is the most bytes of a cursor. Tools accept 2,000, and one of them
	// puts a number in front.
	cursorLimit = 1900
	// mostSkipped is the most items of a page that a cursor skips. No answer has more.
	mostSkipped = listAnswer
)

// encodedMark begins an id that is written in base64, and a cursor that begins in the
// middle of a page. No id of Fullstory is known to begin with it.
const encodedMark = "~"

// tokens have the characters of base64, of both alphabets, of email addresses, which
// ids of segments may contain, and of percent-encoding.
var tokens = regexp.MustCompile(`^[A-Za-z0-9=@:/+._~%-]+$`)

// isToken reports whether s has the form of an id, in at most limit bytes, and cannot
// be taken for a link.
func isToken(s string, limit int) bool {
	return len(s) <= limit && tokens.MatchString(s) && withoutMarkup(s) == s
}

// encodeID returns an id of the API as this program writes it everywhere: unchanged if
// it is a token, else in base64. It returns "" for one that cannot be written in limit
// bytes or that was no valid text, which U+FFFD shows. rawID reverses it.
func encodeID(raw string, limit int) string {
	if isToken(raw, limit) && !strings.HasPrefix(raw, encodedMark) {
		return raw
	}
	encoded := encodedMark + base64.RawURLEncoding.EncodeToString([]byte(raw))
	if raw == "" || len(encoded) > limit || !utf8.ValidString(raw) || strings.Contains(raw, "\uFFFD") {
		return ""
	}
	return encoded
}

// rawID returns an id as the API spells it. Text that encodeID cannot have written
// stays as it is.
func rawID(id string) string {
	encoded, ok := strings.CutPrefix(id, encodedMark)
	if !ok {
		return id
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || encodeID(string(raw), cursorLimit) != id {
		return id
	}
	return string(raw)
}

// cursorAfter returns a cursor that begins skip items after cursor.
func cursorAfter(skip int, cursor string) string {
	return encodedMark + strconv.Itoa(skip) + "." + cursor
}

// splitCursor reverses cursorAfter: it returns how many items of a page to skip, and the
// cursor of the page.
func splitCursor(cursor string) (skip int, ofPage string) {
	number, ofPage, ok := strings.Cut(strings.TrimPrefix(cursor, encodedMark), ".")
	skip, err := strconv.Atoi(number)
	if !strings.HasPrefix(cursor, encodedMark) || !ok || err != nil || skip <= 0 || skip > mostSkipped {
		return 0, cursor
	}
	return skip, ofPage
}
