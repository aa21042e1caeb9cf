package plan

import (
	"math"
	"time"
)

const (
	// shortestSized is the least length of a chunk that is cut by size. The profile
	// has no finer detail than an hour, so shorter chunks would be guesses.
	shortestSized = 15 * time.Minute
	// grid is the step of the cuts: chunks end on multiples of it, in UTC.
	grid = 5 * time.Minute
)

// longestSized is the longest range that may be cut by size. It bounds the walk
// over the range in steps of grid to about ten million.
const longestSized = 100 * 366 * 24 * time.Hour

// SplitBySize cuts r into chunks of about rows rows each, as profile predicts
// them: busy times get short chunks, quiet times long ones. rows is more than 0.
// Chunks end on multiples of five minutes and last at least fifteen, unless r is
// shorter. To avoid a small remainder, rows are distributed evenly, so a chunk
// may be predicted to have up to half more or a third less than rows. It fails
// with an *Error if a side of r is open, r is empty or longer than 100 years, or
// there would be more than a million chunks.
func SplitBySize(r Range, profile *Profile, rows float64) (*Plan, error) {
	if err := closed(r); err != nil {
		return nil, err
	}
	if r.End.Sub(r.Start) > longestSized {
		return nil, reject("start", "", "a range that is cut by size is at most 100 years long; give a later start")
	}
	total := 0.0
	profile.walk(r, time.Hour, func(_, _ time.Time, more float64) { total += more })
	if about := min(total/rows, r.End.Sub(r.Start).Minutes()/15); about > maxChunks {
		return nil, reject("target_rows", "", "the range has about %.0f chunks of this size, and a plan has at most "+
			"%d; take larger chunks or a shorter range", about, maxChunks)
	}
	count := max(1, math.Round(total/rows))
	goal := total / count
	// Cut where the running sum is nearest to a multiple of goal. Errors do not add
	// up: if one chunk has too many rows, the next has fewer.
	next := func(_ int, at place) place {
		for from := at.start; from.Before(r.End); {
			to, more := profile.step(from, r.End, grid)
			if at.cuts < count && at.sum+more/2 > at.cuts*goal && from.Sub(at.start) >= shortestSized &&
				r.End.Sub(from) >= shortestSized {
				for at.cuts*goal < at.sum+more/2 {
					at.cuts++
				}
				return place{from.In(profile.zone), at.sum, at.cuts}
			}
			at.sum += more
			from = to
		}
		return place{start: r.End}
	}
	chunks, _ := newPart(place{r.Start.In(profile.zone), 0, 1}, r.End.In(profile.zone), next)
	return &Plan{parts: []part{chunks}, whole: [2]bool{true, true}}, nil
}

// closed returns an *Error if r has an open side or is empty.
func closed(r Range) error {
	switch {
	case r.Start.IsZero():
		return reject("start", "", "a plan needs a start: Fullstory does not report when the data begin")
	case r.End.IsZero():
		return reject("end", "", "the start is an instant, so give an end too; for everything up to this moment write now")
	case !r.Start.Before(r.End):
		return reject("end", "", "the end must be after the start")
	}
	return nil
}
