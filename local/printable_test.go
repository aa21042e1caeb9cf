package local

import (
	"strings"
	"testing"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"plain é 日本 🙂\nline":       "plain é 日本 🙂\nline",
		"\x1b[31m\a\r\t":           `\x1b[31m\x07\x0d\x09`,
		"a\u202eb\u200b\u2066":     `a\u202eb\u200b\u2066`,
		"\u00a0\u2800\u3164\u009b": `\u00a0\u2800\u3164\u009b`,
		"\U000e0041\ufe0f\ufeff":   `\U000e0041\ufe0f\ufeff`,
		"\xff\xfe \ufffd":          `\xff\xfe ` + "\ufffd",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	long := Printable(strings.Repeat("\x1b", 1<<20))
	if len(long) > longestPrintable+100 || !strings.HasSuffix(long, " bytes more)") {
		t.Errorf("%d bytes, which end with %q", len(long), long[len(long)-40:])
	}
}
