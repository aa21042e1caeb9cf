package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCallersFile reads files that are right, and wrong in one way each.
func TestCallersFile(t *testing.T) {
	hash := strings.Repeat("a", 64)
	other := strings.Repeat("b", 64)
	entry := func(name, hash, more string) string {
		return `{"name":"` + name + `","token_sha256":"` + hash + `"` + more + `}`
	}
	for content, want := range map[string]string{
		`{"callers":[` + entry("anna", hash, `,"account":"emea","read_only":true,"requests_per_second":5,`+
			`"calls_at_once":2,"sessions":3`) + `]}`: "",
		`{"callers":[]}`: "",
		`{"callers":[` + entry("anna", hash, "") + `,` + entry("anna", other, "") + `]}`: "listed twice",
		`{"callers":[` + entry("anna", hash, "") + `,` + entry("bert", hash, "") + `]}`:  "token of another",
		`{"callers":[` + entry("anna", hash, `,"account":"emea"`) + `,` +
			entry("bert", other, "") + `]}`: "either each caller names its account",
		`{"callers":[` + entry("anna", hash, `,"account":"../emea"`) + `]}`:  "account",
		`{"callers":[` + entry("anna", hash, `,"account":"key_file"`) + `]}`: "account",
		`{"callers":[` + entry("an na", hash, "") + `]}`:                     "name",
		`{"callers":[` + entry("anna", "secret", "") + `]}`:                  "SHA-256",
		`{"callers":[` + entry("anna", hash, `,"calls_at_once":-1`) + `]}`:   "negative",
		`{"callers":[` + entry("anna", hash, `,"readonly":true`) + `]}`:      "readonly",
		`{"callers":`: "unexpected EOF",
		``:            "EOF",
		`{"callers":[]} {"callers":[` + entry("anna", hash, "") + `]}`: "after the end",
		`{"callers":[` + entry("anna", hash, `,"links":true`) + `,` +
			entry("scraper", other, `,"metrics":true`) + `]}`: "",
		`{"callers":[` + entry("scraper", other, `,"metrics":true`) + `,` +
			entry("anna", hash, `,"account":"emea"`) + `]}`: "",
		`{"callers":[` + entry("scraper", other, `,"metrics":true,"account":"emea"`) + `]}`: "cannot have account",
		`{"callers":[` + entry("scraper", other, `,"metrics":true,"links":true`) + `]}`:     "cannot have account or links",
		`{"callers":[]}` + strings.Repeat(" ", mostCallers):                                 "larger than",
	} {
		path := filepath.Join(t.TempDir(), "callers.json")
		os.WriteFile(path, []byte(content), 0o600)
		_, err := OpenCallers(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
}

// TestLimits uses up what a caller may.
func TestLimits(t *testing.T) {
	l := NewLimits()
	c := Caller{Name: "anna", Requests: 5, Calls: 2}.limited()
	allowed := 0
	for range 100 {
		if l.Request(c) {
			allowed++
		}
	}
	if allowed < 10 || allowed > 12 {
		t.Errorf("%d requests at once, of 10", allowed)
	}
	if !l.Request(Caller{Name: "bert"}.limited()) {
		t.Error("another caller is limited too")
	}
	first, second := l.Call(c), l.Call(c)
	if first == nil || second == nil || l.Call(c) != nil {
		t.Error("not two calls at once")
	}
	first()
	first()
	if l.Call(c) == nil || l.Call(c) != nil {
		t.Error("a place that was given back twice counts twice")
	}
}
