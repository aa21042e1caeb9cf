package profile

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"fullstory-export-mcp/client"
)

func unmarshal(text string, into any) error { return json.Unmarshal([]byte(text), into) }

// lines draws the rows of a file.
func lines() *rapid.Generator[[]string] {
	values := rapid.OneOf(
		numbers(),
		rapid.Map(rapid.StringN(0, 4, -1), func(s string) string { raw, _ := json.Marshal(s); return string(raw) }),
		rapid.Map(rapid.IntRange(0, 300), func(n int) string { return fmt.Sprintf(`"v%d"`, n) }),
		rapid.SampledFrom([]string{
			`null`, `""`, `[]`, `{}`, `[1]`, `{"a":1}`, `true`, `false`, `"\ud800"`, `"2026-10-01T00:00:00Z"`,
			`"2026-10-01T00:00:00.000Z"`, `"2026-10-01T02:00:00+02:00"`, `"2027-01-01"`, `1`, `2`, `3`, `"click"`,
			`"` + strings.Repeat("x", 199) + `é1"`, `"` + strings.Repeat("x", 199) + `é2"`,
		}),
	)
	names := rapid.SampledFrom([]string{
		"a", "evt_a_int", "evt_a_date", "evt_a_reals", "EventType", "EventModFrustrated", "EventModError", "UserId",
		"SessionId",
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		var members []string
		for range rapid.IntRange(1, 6).Draw(t, "members") {
			members = append(members, fmt.Sprintf("%q:%s", names.Draw(t, "name"), values.Draw(t, "value")))
		}
		return "{" + strings.Join(members, ",") + "}"
	}), 0, 60)
}

// TestAdd compares the sum of the profiles of two files with that of both in one: what is
// exact is equal, also the sketches, and the bounds of frequent values hold.
func TestAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := lines().Draw(t, "a"), lines().Draw(t, "b")
		of := func(rows []string) Profile { return profiled(t, client.FormatNDJSON, []byte(strings.Join(rows, "\n"))) }
		first, second, both := of(a), of(b), of(append(append([]string{}, a...), b...))
		sum := Profile{}
		sum.Add(first)
		sum.Add(second)
		if sum.Files != 2 || sum.Source != nil {
			t.Errorf("%d files, %v", sum.Files, sum.Source)
		}
		r := newRecount()
		for _, row := range append(a, b...) {
			var members map[string]json.RawMessage
			if err := unmarshal(row, &members); err != nil {
				t.Fatal(err)
			}
			r.add(t, members)
		}
		r.check(t, sum)
		r.check(t, both)
		if diff := cmp.Diff(bare(t, both), bare(t, sum)); diff != "" {
			t.Errorf("both files, and their sum: %s", diff)
		}
	})
}

// bare returns the JSON of what is exact in a profile.
func bare(t *rapid.T, p Profile) string {
	p.Source, p.Files = nil, 1
	for i := range p.Columns {
		p.Columns[i].Top, p.Columns[i].OthersAtMost = nil, 0
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "},", "},\n")
}
