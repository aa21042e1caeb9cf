package plan

import (
	"math"
	"time"
)

const (
	// quarter is the least length of a chunk that is cut by size, and grid what
	// the ends of such chunks are multiples of.
	quarter = 15 * time.Minute
	grid    = 5 * time.Minute
)

// longestSized is the longest range that is cut by size.
const longestSized = 100 * 366 * 24 * time.Hour

// SplitBySize cuts r into chunks of about so many rows each, as rhythm lets
// expect them: short ones where much is going on, long ones where little is.
// They end on multiples of five minutes and last at least fifteen, but for a
// range that is shorter. So that no small one is left over, each may have up to half more
// or a third less than rows, which is more than 0. It fails as Split does.
func SplitBySize(r Range, rhythm *Rhythm, rows float64) (*Plan, error) {
	if err := closed(r); err != nil {
		return nil, err
	}
	if r.End.Sub(r.Start) > longestSized {
		return nil, refuse("start", "", "a range that is cut by size is at most 100 years long; give a later start")
	}
	total := 0.0
	rhythm.walk(r, time.Hour, func(_, _ time.Time, more float64) { total += more })
	if about := min(total/rows, r.End.Sub(r.Start).Minutes()/15); about > maxChunks {
		return nil, refuse("target_rows", "", "the range has about %.0f chunks of this size, and a plan has at most %d; take larger chunks or a shorter range", about, maxChunks)
	}
	chunks := max(1, math.Round(total/rows))
	goal := total / chunks
	p := &Plan{whole: [2]bool{true, true}}
	start, sum, cuts := r.Start.In(rhythm.zone), 0.0, 1.0
	rhythm.walk(r, grid, func(from, to time.Time, more float64) {
		// A cut lies where the sum so far is nearest to a multiple of the goal,
		// so that what one chunk has too much the next has too little.
		if cuts < chunks && sum+more/2 > cuts*goal && from.Sub(start) >= quarter && r.End.Sub(from) >= quarter {
			from = from.In(rhythm.zone)
			p.pieces = append(p.pieces, Range{start, from})
			start = from
			for cuts*goal < sum+more/2 {
				cuts++
			}
		}
		sum += more
	})
	p.pieces = append(p.pieces, Range{start, r.End.In(rhythm.zone)})
	return p, nil
}

// closed refuses a range that cannot be cut.
func closed(r Range) error {
	switch {
	case r.Start.IsZero():
		return refuse("start", "", "a plan needs a start: Fullstory does not tell where the data begin")
	case r.End.IsZero():
		return refuse("end", "", "a plan needs an end; for all until this moment write now")
	case !r.Start.Before(r.End):
		return refuse("end", "", "the end must be after the start")
	}
	return nil
}
