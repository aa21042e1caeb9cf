package sandbox

import (
	"encoding/json"
	"testing"
)

func TestKnownField(t *testing.T) {
	tests := []struct {
		name               string
		events, individual bool
	}{
		{"EventStart", true, false},
		{"IndvId", true, true},
		{"UserVars", false, true},
		{"NumSessions", false, true},
		{"EventTargetSelectorTok", true, false},
		{"EventMobileSourceFile", true, false},
		{"user_*", true, true},
		{"page_*", true, true},
		{"evt_order.total_real", true, true},
		{"user_tags_strs", true, true},
		{"user_plan", false, false},
		{"evt__str", false, false},
		{"evt_x*", false, false},
		{"eventstart", false, false},
		{"EventTimeToInteractive", true, false},
		{"PageAgent", true, false},
		{"", false, false},
	}
	for _, test := range tests {
		if got := knownField(test.name, eventRows); got != test.events {
			t.Errorf("%q of events: %v", test.name, got)
		}
		if got := knownField(test.name, individualRows); got != test.individual {
			t.Errorf("%q of individuals: %v", test.name, got)
		}
	}
}

func TestDecimal(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 4000: "4", 8540: "8.54", 7: "0.007", 12050: "12.05"} {
		if got := string(decimal([]byte("="), n, 3)); got != "="+want {
			t.Errorf("%d thousandths are %s, want %s", n, got, want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for _, text := range []string{"", "plain", "a\"b\\c/d", "x\ny\r\t\x00\x1f\x7f", "ש 🎂 \u202e\u2028"} {
		var back string
		if err := json.Unmarshal(quoted(nil, text), &back); err != nil || back != text {
			t.Errorf("%q became %q: %v", text, back, err)
		}
	}
}
