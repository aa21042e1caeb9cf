package transport

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCleaned(t *testing.T) {
	for text, want := range map[string]string{
		"plain é 日本":              "plain é 日本",
		"a\x1b[31m\u202eb\nc\xff": "a?[31m?b?c" + "\ufffd",
		strings.Repeat("é", 60):   strings.Repeat("é", 50) + "…",
	} {
		if got := cleaned(text, 100); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestEscapedID answers with the same id, and without characters that are not visible.
func TestEscapedID(t *testing.T) {
	for _, id := range []string{`1`, `"é"`, `"` + "a\u202eb\U000e0041\u200b" + `\u001b"`, "null"} {
		got := message{id: json.RawMessage(id)}.idOrNull()
		var before, after any
		if json.Unmarshal([]byte(id), &before) != nil || json.Unmarshal(got, &after) != nil || before != after {
			t.Errorf("%q became %q", id, got)
		}
		if strings.ContainsAny(string(got), "\u202e\U000e0041\u200b") {
			t.Errorf("%q", got)
		}
	}
	long := `{"jsonrpc":"2.0","id":"` + strings.Repeat("a", longestID) + `","method":"ping"}`
	if _, rejected := parseMessage([]byte(long)); rejected == nil {
		t.Error("an id of any length is accepted")
	}
}
