package plan

import (
	"slices"
	"strings"
)

// Relative reports whether an expression, or a side of the interval that it is, depends on
// the time at which it is read: now, date math, or a word such as today or last_7_days.
func Relative(text string) bool {
	text = strings.TrimSpace(text)
	if mathForm().MatchString(text) {
		return true
	}
	if first, second, interval := strings.Cut(text, "/"); interval {
		return Relative(first) || Relative(second)
	}
	word := strings.ToLower(text)
	return slices.Contains(words, word) || lastDaysForm().MatchString(word)
}
