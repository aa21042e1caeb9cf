package plan

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWindows compares sets of windows with sets of hours.
func TestWindows(t *testing.T) {
	day := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	hour := func(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }
	draw := func(t *rapid.T, name string) (ranges []Range, hours [48]bool) {
		for range rapid.IntRange(0, 8).Draw(t, name) {
			from, to := rapid.IntRange(0, 47).Draw(t, "from"), rapid.IntRange(0, 47).Draw(t, "to")
			ranges = append(ranges, Range{hour(from), hour(to)})
			for h := from; h < to; h++ {
				hours[h] = true
			}
		}
		return ranges, hours
	}
	check := func(t *rapid.T, w Windows, want [48]bool) {
		var length time.Duration
		for h, in := range want {
			if in {
				length += time.Hour
			}
			got := false
			for _, r := range w {
				got = got || !hour(h).Before(r.Start) && hour(h).Before(r.End)
			}
			if got != in {
				t.Fatalf("hour %d: %v, want %v in %v", h, got, in, w)
			}
		}
		if w.Length() != length {
			t.Fatalf("length %v, want %v", w.Length(), length)
		}
		for i, r := range w {
			if !r.Start.Before(r.End) || i > 0 && !w[i-1].End.Before(r.Start) {
				t.Fatalf("not in order: %v", w)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, inA := draw(t, "a")
		b, inB := draw(t, "b")
		check(t, NewWindows(a...), inA)
		var rest [48]bool
		for h := range rest {
			rest[h] = inA[h] && !inB[h]
		}
		check(t, NewWindows(a...).Without(NewWindows(b...)), rest)
	})
	if w := NewWindows(Range{}, Range{Start: day}, Range{End: day}, Range{hour(2), hour(1)}); len(w) != 0 || w.Length() != 0 {
		t.Errorf("ranges that are none: %v", w)
	}
}
