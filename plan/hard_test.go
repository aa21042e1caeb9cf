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

// TestHardCases cuts what testdata/hard.txt has.
func TestHardCases(t *testing.T) {
	cases := 0
	for block := range strings.SplitSeq(hard, "\n\n") {
		var lines, want []string
		for line := range strings.Lines(block) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		if len(lines) == 0 {
			continue
		}
		cases++
		want = lines[1:]
		p, err := cutWords(t, strings.Fields(lines[0]))
		if reason, refused := strings.CutPrefix(want[0], "error: "); refused {
			if err == nil || !strings.Contains(err.Error(), reason) {
				t.Errorf("%s: %v, want an error with %q", lines[0], err, reason)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", lines[0], err)
			continue
		}
		got := []string{Stamp(p.pieces[0].Start)}
		for _, piece := range p.pieces {
			got = append(got, Stamp(piece.End))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", lines[0], diff)
		}
	}
	t.Logf("%d cases", cases)
}

// cutWords cuts by the words zone, start, end and chunk.
func cutWords(t *testing.T, words []string) (*Plan, error) {
	t.Helper()
	c := Calendar{zone(t, words[0]), time.Monday}
	r, err := Resolve(words[1], words[2], c, time.Time{})
	if err != nil {
		return nil, err
	}
	chunk, err := ParseChunk(words[3])
	if err != nil {
		return nil, err
	}
	return Split(r, Cut{Chunk: chunk, Calendar: c})
}
