package plan

import "time"

// maxChunks is the most chunks of one plan.
const maxChunks = 1_000_000

// Piece is one chunk of a plan, half-open.
type Piece struct {
	Index      int // from 0
	Start, End time.Time
}

// Hours returns the elapsed time of the piece.
func (p Piece) Hours() float64 { return p.End.Sub(p.Start).Hours() }

// Plan is a range cut into chunks that tile it: the first starts where the
// range does, each ends where the next starts, the last ends where the range
// does, and none is empty. A plan of several windows does so in each. It does
// not change and is safe for concurrent use.
type Plan struct {
	chunk  Chunk // zero: cut by size
	pieces []Range
	whole  [2]bool // the first piece starts, the last ends, on a boundary of its own
}

// Cut says how a range is cut.
type Cut struct {
	Chunk    Chunk
	Calendar Calendar
	// FromStart counts days, weeks, months and quarters from the start of the
	// range, at the time of day that it has, instead of cutting where the
	// calendar's own begin. Elapsed time always counts from the start.
	FromStart bool
}

// Split cuts r into chunks. Days, weeks, months and quarters begin at midnights
// of the zone. Of a midnight that comes twice the first counts; where midnight
// is missing, the first instant after; a date that is missing is no chunk. Hours
// begin where the clock of the zone shows a full hour, and where it is set.
//
// It fails with an *Error when a side of r is open, r is empty, or the chunks
// would be more than a million.
func Split(r Range, cut Cut) (*Plan, error) {
	c, zone := cut.Chunk, cut.Calendar.Zone
	if err := closed(r); err != nil {
		return nil, err
	}
	if (c == Chunk{}) {
		return nil, refuse("chunk", "", "a plan needs a chunk; %s", chunksValid)
	}
	about := float64(r.End.Unix()-r.Start.Unix()) / c.nominal().Seconds()
	if about > 1.2*maxChunks {
		return nil, tooMany(c, about)
	}
	start, end := r.Start.In(zone), r.End.In(zone)
	p := &Plan{chunk: c, pieces: make([]Range, 0, int(about*1.01)+3)}
	counted := cut.FromStart || c.unit == ""
	for last := start; last.Before(end); {
		if p.Count() == maxChunks {
			return nil, tooMany(c, about)
		}
		var next time.Time
		if counted {
			for n := p.Count() + 1; next.IsZero() || !next.After(last); n++ {
				next = c.fromStart(start, n)
			}
		} else {
			next = c.next(last, cut.Calendar.Week)
		}
		if !next.Before(end) {
			p.whole[1] = next.Equal(end)
			next = end
		}
		p.pieces = append(p.pieces, Range{last, next})
		last = next
	}
	p.whole[0] = counted || c.next(start.Add(-time.Nanosecond), cut.Calendar.Week).Equal(start)
	return p, nil
}

func tooMany(c Chunk, about float64) *Error {
	return refuse("chunk", c.String(), "the range has about %.0f chunks of this length, and a plan has at most %d; take longer chunks or a shorter range", about, maxChunks)
}

// Each cuts every range of w with split, and puts the pieces into one plan. An
// empty set gives an empty plan.
func (w Windows) Each(split func(Range) (*Plan, error)) (*Plan, error) {
	all := &Plan{whole: [2]bool{true, true}}
	for _, r := range w {
		p, err := split(r)
		if err != nil {
			return nil, err
		}
		all.chunk = p.chunk
		if len(w) == 1 {
			return p, nil
		}
		if all.pieces = append(all.pieces, p.pieces...); len(all.pieces) > maxChunks {
			return nil, tooMany(all.chunk, float64(len(all.pieces)))
		}
	}
	return all, nil
}

// Count returns the number of pieces.
func (p *Plan) Count() int { return len(p.pieces) }

// Longest returns the elapsed time of the longest piece.
func (p *Plan) Longest() time.Duration {
	var longest time.Duration
	for _, r := range p.pieces {
		longest = max(longest, r.End.Sub(r.Start))
	}
	return longest
}

// Page returns up to limit pieces from offset on, none beyond the last. Their
// times are in the zone of the plan.
func (p *Plan) Page(offset, limit int) []Piece {
	pieces := []Piece{}
	for i := max(0, offset); i < min(p.Count(), offset+limit); i++ {
		pieces = append(pieces, Piece{Index: i, Start: p.pieces[i].Start, End: p.pieces[i].End})
	}
	return pieces
}
