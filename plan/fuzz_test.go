package plan

import (
	"testing"
	"time"
)

// FuzzExpressions resolves arbitrary text: Resolve never panics, and a range that
// it returns is not empty and survives a round trip through RFC 3339.
func FuzzExpressions(f *testing.F) {
	for _, seed := range []string{"2026-10-01", "2026-Q3", "2026-W53", "now-30d/d", "2026-10-01/P1DT12H", "last_7_days",
		"03/04/2026", "P1D/now", "2026-10-01T00:00:00+02:00"} {
		f.Add(seed, "")
		f.Add("2026-01-01", seed)
	}
	berlin, err := Zone("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	c := Calendar{berlin, time.Monday}
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, start, end string) {
		r, err := Resolve(start, end, c, now)
		if err != nil {
			return
		}
		if !r.Start.IsZero() && !r.End.IsZero() && !r.Start.Before(r.End) {
			t.Fatalf("%q to %q is %v", start, end, r)
		}
		write := func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.UTC().Format(time.RFC3339Nano)
		}
		again, err := Resolve(write(r.Start), write(r.End), c, now)
		if err != nil || !again.Start.Equal(r.Start) || !again.End.Equal(r.End) {
			t.Fatalf("%q to %q is %v, which reads back as %v, %v", start, end, r, again, err)
		}
	})
}

// FuzzGranularities checks that each valid granularity survives a round trip
// through String.
func FuzzGranularities(f *testing.F) {
	for _, seed := range []string{"day", "PT6H", "P1DT12H", "P2W", "PT90S", "P1M", "6h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseGranularity(text)
		if err != nil {
			return
		}
		if again, err := ParseGranularity(c.String()); err != nil || again != c {
			t.Fatalf("%q is %s, which reads back as %v, %v", text, c, again, err)
		}
	})
}
