package plan

import "time"

// maxChunks bounds the chunks of one plan, and so the time to count them.
const maxChunks = 1_000_000

// Chunk is one chunk of a plan, half-open.
type Chunk struct {
	Index      int // from 0
	Start, End time.Time
}

// Hours returns the elapsed time of the chunk, in hours.
func (p Chunk) Hours() float64 { return p.End.Sub(p.Start).Hours() }

// Plan is a range that is cut into chunks. The chunks tile the range: the first
// starts where the range starts, each ends where the next starts, the last ends
// where the range ends, and none is empty. In a plan of several windows the
// chunks tile each window. A Plan is immutable and safe for concurrent use. It
// keeps one of every stride chunks and cuts the others again when they are read.
type Plan struct {
	granularity Granularity // zero: cut by size
	parts       []part      // one for each window
	whole       [2]bool     // whether the range starts, and ends, on a boundary of chunks
}

// Cut describes how to cut a range.
type Cut struct {
	Granularity Granularity
	Calendar    Calendar
	// FromStart counts hours, days, weeks, months and quarters from the start of
	// the range, at its time of day, instead of cutting where those of the
	// calendar begin. Elapsed time always counts from the start.
	FromStart bool
}

// Split cuts r into chunks. Days, weeks, months and quarters begin at midnight
// in the zone: at the first one if midnight occurs twice, and at the first
// instant after the gap if clocks skip midnight. A date that does not exist gets
// no chunk. Hours begin when the clock of the zone shows a full hour or is
// changed.
//
// It fails with an *Error if a side of r is open, r is empty, or there would be
// more than a million chunks.
func Split(r Range, cut Cut) (*Plan, error) {
	c, zone := cut.Granularity, cut.Calendar.Zone
	if err := closed(r); err != nil {
		return nil, err
	}
	if (c == Granularity{}) {
		return nil, reject("chunk", "", "a plan needs a chunk; %s", granularitiesValid)
	}
	about := float64(r.End.Unix()-r.Start.Unix()) / c.nominal().Seconds()
	if about > 1.2*maxChunks {
		return nil, tooMany(c, about)
	}
	start, end := r.Start.In(zone), r.End.In(zone)
	counted := cut.FromStart || c.unit == ""
	next := func(i int, at place) place {
		if !counted {
			return place{start: c.next(at.start, cut.Calendar.Week)}
		}
		var next time.Time
		for n := i + 1; next.IsZero() || !next.After(at.start); n++ {
			next = c.fromStart(start, n)
		}
		return place{start: next}
	}
	p := &Plan{granularity: c}
	chunks, last := newPart(place{start: start}, end, next)
	if chunks.count > maxChunks {
		return nil, tooMany(c, about)
	}
	p.parts = []part{chunks}
	p.whole[0] = counted || c.next(start.Add(-time.Nanosecond), cut.Calendar.Week).Equal(start)
	p.whole[1] = last.Equal(end)
	return p, nil
}

// tooMany returns the error about a plan of about about chunks.
func tooMany(c Granularity, about float64) *Error {
	return reject("chunk", c.String(), "the range has about %.0f chunks of this length, and a plan has at most %d; "+
		"take longer chunks or a shorter range", about, maxChunks)
}

// Each cuts every range of w with split and joins the chunks in one plan. An
// empty set gives an empty plan.
func (w Windows) Each(split func(Range) (*Plan, error)) (*Plan, error) {
	all := &Plan{whole: [2]bool{true, true}}
	for _, r := range w {
		p, err := split(r)
		if err != nil {
			return nil, err
		}
		all.granularity = p.granularity
		if len(w) == 1 {
			return p, nil
		}
		count := all.Count()
		for _, chunks := range p.parts {
			chunks.first += count
			all.parts = append(all.parts, chunks)
		}
		if count = all.Count(); count > maxChunks {
			return nil, tooMany(all.granularity, float64(count))
		}
	}
	return all, nil
}

// Count returns the number of chunks of p.
func (p *Plan) Count() int {
	if len(p.parts) == 0 {
		return 0
	}
	last := p.parts[len(p.parts)-1]
	return last.first + last.count
}

// Page returns up to limit chunks from index offset. Their times are in the zone
// of the plan. The result is never nil, and empty beyond the last chunk.
func (p *Plan) Page(offset, limit int) []Chunk {
	chunks := []Chunk{}
	if offset = max(0, offset); limit <= 0 {
		return chunks
	}
	for chunk := range p.Chunks(offset) {
		if chunks = append(chunks, chunk); len(chunks) == limit {
			break
		}
	}
	return chunks
}
