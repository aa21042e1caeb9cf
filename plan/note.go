package plan

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Note describes an irregularity of a plan: a clipped chunk, or a day that does
// not have 24 hours.
type Note struct {
	Index  int     // of the chunk concerned, from 0
	Hours  float64 // elapsed hours of the chunk, or of the day if Date is set
	Date   string  // the irregular day, such as 2026-10-25; empty: a clipped chunk
	Reason string  // a sentence without a full stop
}

// mostNotes bounds the days that are noted. Clocks change twice a year.
const mostNotes = 1000

// Uneven returns the irregularities of p in order: a first chunk that the start
// of the range clips, each day in the range that does not have 24 hours,
// whatever the granularity, and a clipped last chunk. A single chunk that is
// clipped on both sides is noted once. Of more than mostNotes days it notes the
// first. The result is never nil.
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

// clipped returns the note on chunk i, which the range clips. side is starts or
// ends.
func (p *Plan) clipped(i int, side string) Note {
	chunk := p.Page(i, 1)[0]
	at := chunk.Start
	if side == "ends" {
		at = chunk.End
	}
	inside := "a " + p.granularity.unit
	switch p.granularity.unit {
	case "":
		inside = "a chunk of " + p.granularity.String()
	case "hour":
		inside = "an hour"
	}
	reason := fmt.Sprintf("the range %s at %s, inside %s", side, Stamp(at), inside)
	return Note{Index: i, Hours: chunk.Hours(), Reason: reason}
}

// unevenDays returns a note for each day whose length a change of the zone's
// clock alters. A change at midnight may alter the day that ends, the day that
// begins, or both; a change of more than 24 hours skips a date.
func (p *Plan) unevenDays() []Note {
	var notes []Note
	start, end := p.parts[0].places[0].start, p.parts[len(p.parts)-1].end
	noted := "" // the date of the last note: two changes may fall on one day
	change := nextChange(start.Add(-time.Nanosecond))
	for ; !change.IsZero() && !change.After(end) && len(notes) < mostNotes; change = nextChange(change) {
		before := change.Add(-time.Nanosecond)
		for _, at := range []time.Time{before, change} {
			y, m, d := at.Date()
			begins, ends := startOf(y, m, d, at.Location()), startOf(y, m, d+1, at.Location())
			hours, date := ends.Sub(begins).Hours(), at.Format(time.DateOnly)
			if hours == 24 || date == noted {
				continue
			}
			if i, ok := p.first(begins, ends); ok {
				noted = date
				reason := fmt.Sprintf("%s has %v hours in %s: %s", date, math.Round(hours*100)/100, at.Location(),
					changeText(change))
				if now := p.index(at); now >= 0 {
					i = now
				}
				notes = append(notes, Note{Index: i, Hours: hours, Date: date, Reason: reason + p.fixedDays()})
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

// index returns the index of the chunk that contains t, or -1.
func (p *Plan) index(t time.Time) int {
	if chunk, ok := p.After(t); ok && !t.Before(chunk.Start) {
		return chunk.Index
	}
	return -1
}

// first returns the index of the first chunk that overlaps the half-open range
// from start to end.
func (p *Plan) first(start, end time.Time) (i int, ok bool) {
	chunk, ok := p.After(start)
	return chunk.Index, ok && chunk.Start.Before(end)
}

// fixedDays returns a clause that explains how a granularity of elapsed days
// differs from calendar days after a clock change; "" for other granularities.
func (p *Plan) fixedDays() string {
	const day = 24 * time.Hour
	if p.granularity.unit != "" || p.granularity.length == 0 || p.granularity.length%day != 0 {
		return ""
	}
	return fmt.Sprintf("; %s counts days of 24 hours, so later chunks begin at another time of day than earlier "+
		"ones; chunk day follows midnights", p.granularity)
}

// changeText describes the clock change at the instant change, such as "clocks
// go back by 1h at 2026-10-25T02:00:00+01:00".
func changeText(change time.Time) string {
	before := change.Add(-time.Nanosecond)
	by, way := wall(change).Sub(wall(before))-time.Nanosecond, "forward"
	if by < 0 {
		by, way = -by, "back"
	}
	said := strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(by.String())
	text := fmt.Sprintf("clocks go %s by %s at %s", way, said, Stamp(change))
	if before.IsDST() == change.IsDST() {
		text += ", which is not daylight saving time but a permanent change of the zone's offset"
	}
	return text
}
