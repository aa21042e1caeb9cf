package plan

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// someHours returns random ranges within two days, and the hours that they contain.
func someHours(t *rapid.T, hour func(int) time.Time, name string) (ranges []Range, hours [48]bool) {
	for range rapid.IntRange(0, 8).Draw(t, name) {
		from, to := rapid.IntRange(0, 47).Draw(t, "from"), rapid.IntRange(0, 47).Draw(t, "to")
		ranges = append(ranges, Range{hour(from), hour(to)})
		for h := from; h < to; h++ {
			hours[h] = true
		}
	}
	return ranges, hours
}

// checkWindows checks that w contains exactly the hours in want, and is in order.
func checkWindows(t *rapid.T, w Windows, hour func(int) time.Time, want [48]bool) {
	var length time.Duration
	for h, in := range want {
		if in {
			length += time.Hour
		}
		at := hour(h)
		got := slices.ContainsFunc(w, func(r Range) bool { return !at.Before(r.Start) && at.Before(r.End) })
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

// TestWindows compares the operations on windows with those on sets of hours.
func TestWindows(t *testing.T) {
	day := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	hour := func(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }
	rapid.Check(t, func(t *rapid.T) {
		a, inA := someHours(t, hour, "a")
		b, inB := someHours(t, hour, "b")
		checkWindows(t, NewWindows(a...), hour, inA)
		var rest [48]bool
		for h := range rest {
			rest[h] = inA[h] && !inB[h]
		}
		checkWindows(t, NewWindows(a...).Without(NewWindows(b...)), hour, rest)
	})
	w := NewWindows(Range{}, Range{Start: day}, Range{End: day}, Range{hour(2), hour(1)})
	if len(w) != 0 || w.Length() != 0 {
		t.Errorf("invalid ranges are kept: %v", w)
	}
}
