package tools

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
	"unicode"

	"fullstory-export-mcp/plan"
)

// clean makes text from outside fit for a typed field of a result: control
// characters and those that change direction or are invisible are dropped, and
// it is cut at limit runes.
func clean(s string, limit int) string {
	s = strings.ToValidUTF8(s, "�")
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}

// counted writes a number of things.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// stamp writes an instant of a result; a zero one is empty and left out.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// windowText says a range in words.
func windowText(r plan.Range) string {
	start, end := "the beginning of the data", "the time of the request"
	if !r.Start.IsZero() {
		start = stamp(r.Start)
	}
	if !r.End.IsZero() {
		end = stamp(r.End) + " (excluded)"
	}
	return "from " + start + " to " + end
}

// newID returns a short random id by which a log line can be found.
func newID() string { return strings.ToLower(rand.Text()[:10]) }
