package client

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestPlain checks what a host that renders Markdown, and a person, may see of a text.
func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"Checkout [beta] (2026): a -> b & c < d":   "Checkout [beta] (2026): a -> b & c < d",
		"![x](https://evil.example/?q)":            "! [x] (https: //evil.example/?q)",
		"[click]\u200b(//evil.example)":            "[click] (//evil.example)",
		"[a][b] [b]: x":                            "[a] [b] [b] : x",
		"<img src=x> </a> <!-- --> <?x":            "< img src=x> < /a> < !-- --> < ?x",
		"<https://evil.example>":                   "< https: //evil.example>",
		"see WWW.evil.example, (www.a) xwww.b":     "see WWW .evil.example, (www .a) xwww.b",
		`https:\/\/evil.example www\.evil`:         `https: \/\/evil.example www \.evil`,
		"&#x202e;a &lt;b&gt; &zwj; AT&T; R&D":      "& #x202e;a & lt;b& gt; & zwj; AT& T; R&D",
		"ana@example.com":                          "ana@example.com",
		"a\u3164b\u115f\u1160\uffa0\u17b4\u17b5":   "ab",
		"a\u034f\u180b\u180f\ufe0f\U000e0101b":     "ab",
		"a\u2800\U00016fe4\ufffcb":                 "ab",
		"\U000e0041\U000e007fa\ue000\ufdd0\uffffb": "ab",
		"a\u0085\u2028b\u00a0c\u3000d":             "a b c d",
		"new \U0001fae9":                           "new \ufffd",
		"\u0301a" + strings.Repeat("\u0301", 100):  "a" + strings.Repeat("\u0301", 4),
		"a \u20e3b":  "a b",
		"שָׁ֣לֹום":   "שָׁ֣לֹום",
		"日本語 हिन्दी": "日本語 हिन्दी",
	} {
		if got := Plain(in, 200); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// dangerous returns what is wrong with a text that came from the API, or "".
func dangerous(s string) string {
	marks := 0
	for _, r := range s {
		if unicode.In(r, unicode.Mn, unicode.Me) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point,
			unicode.Variation_Selector, unicode.Noncharacter_Code_Point), strings.ContainsRune("\u2800\ufffc", r):
			return fmt.Sprintf("has U+%04X", r)
		case marks > 4:
			return "has many marks on one character"
		}
	}
	for _, markup := range []string{"](", "][", "]:", "![", "<a", "<i", "<h", "</", "<!", "://", "&#", "&lt;"} {
		if strings.Contains(strings.ToLower(s), markup) {
			return "has " + markup
		}
	}
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	return ""
}

// TestPlainProperties checks Plain over random text of pieces that are dangerous.
func TestPlainProperties(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		"a", "b", " ", "\n", "]", "(", ")", "[", "!", "<", "img", "/", ":", "//", "https", "www", ".", "\\", "&", "#", ";",
		"lt", "\u200b", "\u202e", "\u0301", "\u3164", "\u2800", "\xff", "\x00", "\x1b[", "é", "😀", "\ufe0f", "\U000e0061",
	})
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOf(pieces).Draw(t, "pieces"), "")
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		out := Plain(in, limit)
		if wrong := dangerous(out); wrong != "" {
			t.Fatalf("%q became %q, which %s", in, out, wrong)
		}
		if again := Plain(out, limit); again != out {
			t.Fatalf("%q became %q, and that %q", in, out, again)
		}
		if n := utf8.RuneCountInString(out); n > limit+1 {
			t.Fatalf("%q has %d characters, want at most %d and …", out, n, limit)
		}
	})
}
