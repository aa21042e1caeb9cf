package plan

import (
	_ "embed"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

//go:embed testdata/hard.txt
var hard string

// TestHardCases cuts the ranges in testdata/hard.txt and compares the boundaries.
func TestHardCases(t *testing.T) {
	cases := 0
	for block := range strings.SplitSeq(hard, "\n\n") {
		var lines []string
		for line := range strings.Lines(block) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			cases++
			checkHard(t, lines[0], lines[1:])
		}
	}
	t.Logf("%d cases", cases)
}

// checkHard cuts the range that words describe, and compares the boundaries of the
// chunks, or the error, with want.
func checkHard(t *testing.T, words string, want []string) {
	t.Helper()
	p, err := cutWords(t, strings.Fields(words))
	if reason, rejected := strings.CutPrefix(want[0], "error: "); rejected {
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want an error with %q", words, err, reason)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", words, err)
		return
	}
	got := []string{Stamp(p.Page(0, 1)[0].Start)}
	for _, chunk := range p.Page(0, p.Count()) {
		got = append(got, Stamp(chunk.End))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", words, diff)
	}
}

// cutWords cuts a range that four words describe: zone, start, end, granularity.
func cutWords(t *testing.T, words []string) (*Plan, error) {
	t.Helper()
	c := Calendar{zone(t, words[0]), time.Monday}
	r, err := Resolve(words[1], words[2], c, time.Time{})
	if err != nil {
		return nil, err
	}
	chunk, err := ParseGranularity(words[3])
	if err != nil {
		return nil, err
	}
	return Split(r, Cut{Granularity: chunk, Calendar: c})
}
