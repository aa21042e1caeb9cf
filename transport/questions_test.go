package transport

import (
	"encoding/json"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// TestWhoIsAsked declares capabilities in every way. Only a client that shows forms, speaks a
// version that has questions and receives more than answers is asked.
func TestWhoIsAsked(t *testing.T) {
	for _, test := range []struct {
		declared, session, request string // capabilities, and protocol versions
		mute, asks                 bool
	}{
		{`{}`, "2025-11-25", "", false, false},
		{`{"sampling":{}}`, "2025-11-25", "", false, false},
		{`{"elicitation":{}}`, "2025-11-25", "", false, true},
		{`{"elicitation":{}}`, "2025-11-25", "", true, false},
		{`{"elicitation":{"form":{}}}`, "2025-06-18", "", false, true},
		{`{"elicitation":{"url":{}}}`, "2025-11-25", "", false, false},
		{`{"elicitation":{"url":{},"form":{}}}`, "2025-11-25", "", false, true},
		{`{"elicitation":{}}`, "2025-03-26", "", false, false},
		{`{"elicitation":{}}`, "2024-11-05", "", false, false},
		{`{"elicitation":{}}`, "", "", false, true}, // opened at another replica
		{`{"elicitation":{}}`, "", "2026-07-28", true, true},
		{`{}`, "", "2026-07-28", false, false},
	} {
		v := &conversation{}
		if test.session != "" {
			v.version.Store(test.session)
		}
		c := &call{conversation: v, message: message{version: test.request}, mute: test.mute}
		var declared mcp.ClientCapabilities
		if err := json.Unmarshal([]byte(test.declared), &declared); err != nil {
			t.Fatal(err)
		}
		c.SetClientCapabilities(declared)
		next := &call{conversation: v, message: message{version: test.request}, mute: test.mute}
		if asks := c.GetClientCapabilities().Elicitation != nil; asks != test.asks {
			t.Errorf("%+v: %v", test, asks)
		}
		if asks := next.GetClientCapabilities().Elicitation != nil; asks != (test.asks && test.request == "") {
			t.Errorf("%+v, the next call: %v", test, asks)
		}
	}
}

// TestParseAnswer reads answers of every shape. Only an answer to a question is passed on, with
// one of the three actions or none.
func TestParseAnswer(t *testing.T) {
	for raw, want := range map[string]sharedAnswer{
		`{"id":"question-1","result":{"action":"accept","content":{}}}`:   {"question-1", "accept"},
		`{"id":"question-1","result":{"action":"decline"}}`:               {"question-1", "decline"},
		`{"id":"question-1","result":{"action":"cancel","content":null}}`: {"question-1", "cancel"},
		`{"id":"question-1","result":{"action":"Accept"}}`:                {"question-1", ""},
		`{"id":"question-1","result":{"action":true}}`:                    {"question-1", ""},
		`{"id":"question-1","result":["accept"]}`:                         {"question-1", ""},
		`{"id":"question-1","error":{"code":-32601}}`:                     {"question-1", ""},
		`{"id":"other-1","result":{"action":"accept"}}`:                   {},
		`{"id":1,"result":{"action":"accept"}}`:                           {},
		`{"result":{"action":"accept"}}`:                                  {},
	} {
		if got, ok := parseAnswer(json.RawMessage(raw)); ok != (want.ID != "") || ok && got != want {
			t.Errorf("%s is read as %+v, %v", raw, got, ok)
		}
	}
}
