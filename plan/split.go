package plan

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
)

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
// does, and none is empty. It does not change and is safe for concurrent use.
type Plan struct {
	chunk  Chunk
	bounds []time.Time // of the pieces: one more than there are pieces
	whole  [2]bool     // the first piece starts, the last ends, on a boundary of its own
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
	switch {
	case r.Start.IsZero():
		return nil, refuse("start", "", "a plan needs a start: Fullstory does not tell where the data begin")
	case r.End.IsZero():
		return nil, refuse("end", "", "a plan needs an end; for all until this moment write now")
	case !r.Start.Before(r.End):
		return nil, refuse("end", "", "the end must be after the start")
	case c == Chunk{}:
		return nil, refuse("chunk", "", "a plan needs a chunk; %s", chunksValid)
	}
	about := float64(r.End.Unix()-r.Start.Unix()) / c.nominal().Seconds()
	if about > 1.2*maxChunks {
		return nil, tooMany(c, about)
	}
	start, end := r.Start.In(zone), r.End.In(zone)
	p := &Plan{chunk: c, bounds: make([]time.Time, 1, int(about*1.01)+3)}
	p.bounds[0] = start
	counted := cut.FromStart || c.unit == ""
	for last := start; last.Before(end); {
		if p.Count() == maxChunks {
			return nil, tooMany(c, about)
		}
		var next time.Time
		if counted {
			for n := len(p.bounds); next.IsZero() || !next.After(last); n++ {
				next = c.fromStart(start, n)
			}
		} else {
			next = c.next(last, cut.Calendar.Week)
		}
		if !next.Before(end) {
			p.whole[1] = next.Equal(end)
			next = end
		}
		p.bounds = append(p.bounds, next)
		last = next
	}
	p.whole[0] = counted || c.next(start.Add(-time.Nanosecond), cut.Calendar.Week).Equal(start)
	return p, nil
}

func tooMany(c Chunk, about float64) *Error {
	return refuse("chunk", c.String(), "the range has about %.0f chunks of this length, and a plan has at most %d; take longer chunks or a shorter range", about, maxChunks)
}

// Count returns the number of pieces, at least one.
func (p *Plan) Count() int { return len(p.bounds) - 1 }

// Page returns up to limit pieces from offset on, none beyond the last. Their
// times are in the zone of the plan.
func (p *Plan) Page(offset, limit int) []Piece {
	pieces := []Piece{}
	for i := max(0, offset); i < min(p.Count(), offset+limit); i++ {
		pieces = append(pieces, Piece{Index: i, Start: p.bounds[i], End: p.bounds[i+1]})
	}
	return pieces
}

// Note tells of something uneven in a plan.
type Note struct {
	Index  int     // of the piece in which it falls
	Hours  float64 // of the piece, or of the day when Date is set
	Date   string  // the day of 23, 25 or other than 24 hours; empty: a clipped piece
	Reason string  // a sentence
}

// Uneven returns what is uneven, in order: a first or last piece that the range
// clips, and each day of other than 24 hours in the range, whatever the chunks.
func (p *Plan) Uneven() []Note {
	notes := []Note{}
	last := p.Count() - 1
	if !p.whole[0] {
		notes = append(notes, p.clipped(0, "starts"))
	}
	notes = append(notes, p.unevenDays()...)
	if !p.whole[1] && (last > 0 || p.whole[0]) {
		notes = append(notes, p.clipped(last, "ends"))
	}
	return notes
}

func (p *Plan) clipped(i int, side string) Note {
	piece := p.Page(i, 1)[0]
	at := piece.Start
	if side == "ends" {
		at = piece.End
	}
	inside := "a " + p.chunk.unit
	switch p.chunk.unit {
	case "":
		inside = "a chunk of " + p.chunk.String()
	case "hour":
		inside = "an hour"
	}
	return Note{Index: i, Hours: piece.Hours(), Reason: fmt.Sprintf("the range %s at %s, inside %s", side, at.Format(time.RFC3339Nano), inside)}
}

// unevenDays walks the changes of the zone's clock inside the range. Each may
// alter the day before it, the day it begins, or both.
func (p *Plan) unevenDays() []Note {
	var notes []Note
	start, end := p.bounds[0], p.bounds[len(p.bounds)-1]
	noted := "" // the last day
	for change := nextChange(start.Add(-time.Nanosecond)); !change.IsZero() && !change.After(end); change = nextChange(change) {
		before := change.Add(-time.Nanosecond)
		for _, at := range []time.Time{before, change} {
			y, m, d := at.Date()
			begins, ends := startOf(y, m, d, at.Location()), startOf(y, m, d+1, at.Location())
			hours, date := ends.Sub(begins).Hours(), at.Format(time.DateOnly)
			if hours != 24 && date != noted && begins.Before(end) && ends.After(start) {
				noted = date
				reason := fmt.Sprintf("%s has %v hours in %s: %s", date, math.Round(hours*100)/100, at.Location(), changeText(change))
				notes = append(notes, Note{Index: p.index(at), Hours: hours, Date: date, Reason: reason})
			}
		}
		if skipped := wall(change).Sub(wall(before)); skipped > 24*time.Hour && start.Before(change) && change.Before(end) {
			date := change.Format(time.DateOnly)
			reason := fmt.Sprintf("in %s %s, so that a date is missing before %s", change.Location(), changeText(change), date)
			notes = append(notes, Note{Index: p.index(change), Hours: 24, Date: date, Reason: reason})
		}
	}
	return notes
}

// index returns which piece t is in; one before the first is in the first.
func (p *Plan) index(t time.Time) int {
	return sort.Search(p.Count()-1, func(i int) bool { return p.bounds[i+1].After(t) })
}

// changeText says in words how clocks are set at change.
func changeText(change time.Time) string {
	before := change.Add(-time.Nanosecond)
	by, way := wall(change).Sub(wall(before))-time.Nanosecond, "forward"
	if by < 0 {
		by, way = -by, "back"
	}
	said := strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(by.String())
	return fmt.Sprintf("clocks go %s by %s at %s", way, said, change.Format(time.RFC3339))
}
