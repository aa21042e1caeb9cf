package plan

import (
	"slices"
	"time"
)

// Windows is a set of instants, as half-open ranges in ascending order that
// neither overlap nor touch. No range has an open side. The zero value is the
// empty set.
type Windows []Range

// NewWindows returns the union of ranges. It ignores empty, inverted and open
// ranges.
func NewWindows(ranges ...Range) Windows {
	var sorted []Range
	for _, r := range ranges {
		if !r.Start.IsZero() && r.Start.Before(r.End) {
			sorted = append(sorted, r)
		}
	}
	slices.SortFunc(sorted, func(a, b Range) int { return a.Start.Compare(b.Start) })
	var w Windows
	for _, r := range sorted {
		if last := len(w) - 1; last >= 0 && !w[last].End.Before(r.Start) {
			if r.End.After(w[last].End) {
				w[last].End = r.End
			}
			continue
		}
		w = append(w, r)
	}
	return w
}

// Without returns the instants of w that are not in other. It walks both sets
// once.
func (w Windows) Without(other Windows) Windows {
	var rest Windows
	next := 0
	for _, r := range w {
		for next < len(other) && !other[next].End.After(r.Start) {
			next++
		}
		for i := next; i < len(other) && other[i].Start.Before(r.End); i++ {
			if r.Start.Before(other[i].Start) {
				rest = append(rest, Range{r.Start, other[i].Start})
			}
			if r.Start = other[i].End; !r.Start.Before(r.End) {
				break
			}
		}
		if r.Start.Before(r.End) {
			rest = append(rest, r)
		}
	}
	return rest
}

// Length returns the total elapsed time of w.
func (w Windows) Length() time.Duration {
	var sum time.Duration
	for _, r := range w {
		sum += r.End.Sub(r.Start)
	}
	return sum
}
