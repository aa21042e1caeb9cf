package plan

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
)

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
	if last < 0 {
		return notes
	}
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
	return Note{Index: i, Hours: piece.Hours(), Reason: fmt.Sprintf("the range %s at %s, inside %s", side, Stamp(at), inside)}
}

// unevenDays walks the changes of the zone's clock inside the range. Each may
// alter the day before it, the day it begins, or both.
func (p *Plan) unevenDays() []Note {
	var notes []Note
	start, end := p.pieces[0].Start, p.pieces[p.Count()-1].End
	noted := "" // the last day
	for change := nextChange(start.Add(-time.Nanosecond)); !change.IsZero() && !change.After(end); change = nextChange(change) {
		before := change.Add(-time.Nanosecond)
		for _, at := range []time.Time{before, change} {
			y, m, d := at.Date()
			begins, ends := startOf(y, m, d, at.Location()), startOf(y, m, d+1, at.Location())
			hours, date := ends.Sub(begins).Hours(), at.Format(time.DateOnly)
			if i, ok := p.first(begins, ends); ok && hours != 24 && date != noted {
				noted = date
				reason := fmt.Sprintf("%s has %v hours in %s: %s", date, math.Round(hours*100)/100, at.Location(), changeText(change))
				if now := p.index(at); now >= 0 {
					i = now
				}
				notes = append(notes, Note{Index: i, Hours: hours, Date: date, Reason: reason + p.fixedDays(change)})
			}
		}
		if skipped := wall(change).Sub(wall(before)); skipped > 24*time.Hour && start.Before(change) && change.Before(end) {
			date := change.Format(time.DateOnly)
			reason := fmt.Sprintf("in %s %s, so that a date is missing before %s", change.Location(), changeText(change), date)
			notes = append(notes, Note{Index: max(0, p.index(change)), Hours: 24, Date: date, Reason: reason})
		}
	}
	return notes
}

// index returns which piece t is in, or -1.
func (p *Plan) index(t time.Time) int {
	i := sort.Search(p.Count(), func(i int) bool { return p.pieces[i].End.After(t) })
	if i == p.Count() || t.Before(p.pieces[i].Start) {
		return -1
	}
	return i
}

// first returns the first piece that overlaps a range.
func (p *Plan) first(start, end time.Time) (i int, ok bool) {
	i = sort.Search(p.Count(), func(i int) bool { return p.pieces[i].End.After(start) })
	return i, i < p.Count() && p.pieces[i].Start.Before(end)
}

// fixedDays says how chunks of elapsed days differ from those of the calendar
// after a change of the clock; it is empty for other chunks.
func (p *Plan) fixedDays(change time.Time) string {
	const day = 24 * time.Hour
	if p.chunk.unit != "" || p.chunk.length == 0 || p.chunk.length%day != 0 {
		return ""
	}
	return fmt.Sprintf("; %s counts 24 hours a day and keeps to them, so later chunks begin at another time of day than earlier ones; chunk day follows midnights", p.chunk)
}

// changeText says in words how clocks are set at change.
func changeText(change time.Time) string {
	before := change.Add(-time.Nanosecond)
	by, way := wall(change).Sub(wall(before))-time.Nanosecond, "forward"
	if by < 0 {
		by, way = -by, "back"
	}
	said := strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(by.String())
	text := fmt.Sprintf("clocks go %s by %s at %s", way, said, Stamp(change))
	if before.IsDST() == change.IsDST() {
		text += ", which is no daylight saving but another time zone from then on"
	}
	return text
}
