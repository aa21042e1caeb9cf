package plan

import (
	"errors"
	"strings"
	"testing"
)

func TestParseGranularity(t *testing.T) {
	for text, want := range map[string]string{
		"day": "day", " Week ": "week", "PT6H": "PT6H", "pt90m": "PT1H30M", "P1D": "P1D", "P7D": "P7D", "P2W": "P14D",
		"P1DT12H": "P1DT12H", "PT36H": "P1DT12H", "PT60S": "PT1M", "PT90S": "PT1M30S",
	} {
		c, err := ParseGranularity(text)
		if err != nil || c.String() != want {
			t.Errorf("%s: got %v, %v", text, c, err)
			continue
		}
		if again, err := ParseGranularity(c.String()); err != nil || again != c {
			t.Errorf("%s does not survive a round trip: %v, %v", c, again, err)
		}
	}
	for text, says := range map[string]string{
		"": "not a chunk", "fortnight": "not a chunk", "P": "not a chunk", "PT": "not a chunk", "P1DT": "not a chunk",
		"6h": "did you mean PT6H?", "90m": "did you mean PT1H30M?", "1s": "not a chunk; valid",
		"days": "did you mean day?", "Daily": "did you mean day?", "monthly": "did you mean month?",
		"P1M": "use month or quarter", "P1Y": "use month or quarter", "PT30S": "at least a minute",
		"PT0H":          "at least a minute",
		"P99999999999D": "at most 292 years", "-P1D": "not a chunk", "P1Y2M10DT2H": "use month or quarter",
		"PT1H1D": "not a chunk", "P1.5D": "not a chunk",
	} {
		var rejected *Error
		if c, err := ParseGranularity(text); !errors.As(err, &rejected) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, %v, want %s", text, c, err, says)
		}
	}
}
