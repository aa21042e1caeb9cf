package plan

import (
	"iter"
	"slices"
	"sort"
	"time"
)

// stride is how many chunks of a part are cut again at most to find one of them.
const stride = 128

// place is where a chunk starts, with what is needed to cut from there on.
type place struct {
	start     time.Time
	sum, cuts float64 // only of a cut by size, see SplitBySize
}

// part is the chunks of one window. It keeps the place of each stride-th chunk.
type part struct {
	first, count int // index of the first chunk in the plan; number of chunks
	places       []place
	end          time.Time // of the last chunk
	next         func(i int, at place) place
}

// newPart cuts what is between from and end. next returns the place after chunk i of the
// part, which starts at the given one; it is called again whenever chunks are read, and
// must return the same. The last chunk ends at end; last is where next would have ended it.
// newPart gives up after maxChunks, with one more as the count.
func newPart(from place, end time.Time, next func(i int, at place) place) (p part, last time.Time) {
	p = part{end: end, next: next}
	at := from
	for ; at.start.Before(end) && p.count <= maxChunks; p.count++ {
		if p.count%stride == 0 {
			p.places = append(p.places, at)
		}
		at = next(p.count, at)
	}
	return p, at.start
}

// Chunks returns the chunks of p from index offset on. Their times are in the zone of the
// plan.
func (p *Plan) Chunks(offset int) iter.Seq[Chunk] {
	return func(yield func(Chunk) bool) {
		i := sort.Search(len(p.parts), func(i int) bool { return p.parts[i].first+p.parts[i].count > offset })
		for ; i < len(p.parts); i++ {
			if !p.parts[i].chunks(max(0, offset-p.parts[i].first), yield) {
				return
			}
		}
	}
}

// chunks yields the chunks of p from the one on that has index from in p. It returns false
// if yield does.
func (p part) chunks(from int, yield func(Chunk) bool) bool {
	at := p.places[from/stride]
	for i := from / stride * stride; i < p.count; i++ {
		next := p.next(i, at)
		if i == p.count-1 {
			next.start = p.end
		}
		if i >= from && !yield(Chunk{Index: p.first + i, Start: at.start, End: next.start}) {
			return false
		}
		at = next
	}
	return true
}

// After returns the first chunk of p that ends after t. ok is false if there is none.
func (p *Plan) After(t time.Time) (chunk Chunk, ok bool) {
	i := sort.Search(len(p.parts), func(i int) bool { return p.parts[i].end.After(t) })
	if i == len(p.parts) {
		return chunk, false
	}
	in := p.parts[i]
	later := sort.Search(len(in.places), func(i int) bool { return in.places[i].start.After(t) })
	in.chunks(max(0, later-1)*stride, func(c Chunk) bool {
		chunk, ok = c, c.End.After(t)
		return !ok
	})
	return chunk, ok
}

// Equal reports whether p and other, which are of the same windows, have the same chunks.
func (p *Plan) Equal(other *Plan) bool {
	return slices.EqualFunc(p.parts, other.parts, part.equal)
}

// equal is Equal for one window.
func (p part) equal(other part) bool {
	if p.count != other.count {
		return false
	}
	if !slices.EqualFunc(p.places, other.places, func(a, b place) bool { return a.start.Equal(b.start) }) {
		return false // mostly decided here
	}
	at, its := p.places[0], other.places[0]
	for i := range p.count - 1 {
		if at, its = p.next(i, at), other.next(i, its); !at.start.Equal(its.start) {
			return false
		}
	}
	return p.end.Equal(other.end)
}
