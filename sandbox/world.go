package sandbox

import (
	"context"
	"math"
)

const (
	// worldStart is when the shop opened, 2020-01-01: nothing was before.
	worldStart = int64(1_577_836_800_000)
	// longestSession is how long a session lasts at most, so that the events of a
	// window come from sessions that began at most so long before it.
	longestSession = 2 * hourMs
	// meanEvents is how many events an average session has, as measured; with
	// it the events an hour become sessions an hour.
	meanEvents = 31.0
)

// world is a web shop with its visitors, computed from (seed, instant):
// nothing is stored, and a window asked again, in any order, in pieces or
// whole, has the same events. Sessions begin in hour buckets; everything about
// the i-th session of an hour is drawn from the seed, the hour and i.
type world struct {
	seed    uint64
	density float64 // events an hour on average
	people  int64
	rhythm  *rhythm
	late    bool // rows arrive some time after they happened
}

// newWorld opens a shop with density events an hour on average; 0 means 600.
// Its population grows with the density, so that people come back at any size.
func newWorld(seed uint64, density float64) *world {
	if density <= 0 {
		density = 600
	}
	return &world{seed: seed, density: density, people: int64(math.Ceil(density*12)) + 20, rhythm: newRhythm()}
}

func (w *world) sessions(ctx context.Context, in span, now int64, wanted func(*person) bool, visit func(*session) error) error {
	in.from, in.to = max(in.from, worldStart), min(in.to, now)
	if in.from >= in.to {
		return nil
	}
	s := session{person: &person{}, pages: make([]page, 0, maxPages)}
	for h := max(in.from-longestSession, worldStart) / hourMs; h*hourMs < in.to; h++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range w.count(h) {
			w.begin(h, i, &s)
			if s.start >= in.to || s.start+s.limit <= in.from {
				continue
			}
			w.visitor(w.frequent(&s.draw), &s)
			if wanted != nil && !wanted(s.person) {
				continue
			}
			introduce(&s)
			tell(&s)
			if s.hideFrom(now, w.late); len(s.events) == 0 {
				continue
			}
			if err := visit(&s); err != nil {
				return err
			}
		}
	}
	return nil
}

// count is the number of sessions that begin in an hour.
func (w *world) count(h int64) int64 {
	r := seeded(w.seed, 'h', uint64(h))
	busy := 0.8 + float64(r.below(401))/1000 // some hours are luckier than others
	mean := w.density / meanEvents * w.rhythm.at(h) * busy
	whole := math.Floor(mean)
	if r.below(1_000_000) < int64((mean-whole)*1_000_000) {
		whole++
	}
	return int64(whole)
}

// begin draws what must be known of a session to see whether it matters.
func (w *world) begin(h, i int64, s *session) {
	s.draw = seeded(w.seed, 's', uint64(h), uint64(i))
	s.start = h*hourMs + s.draw.below(hourMs)
	// Most visits are short and a few are long: sixteen slices of equal chance.
	minutes := [17]int64{1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 28, 36, 50, 80, 120}
	slice := s.draw.below(16)
	s.limit = s.draw.between(minutes[slice]*minuteMs, minutes[slice+1]*minuteMs)
	s.id = s.draw.id()
}

// frequent picks an inhabitant; low numbers come again and again.
func (w *world) frequent(r *random) int64 { return r.below(r.below(w.people) + 1) }

// hideFrom removes the events that have not happened yet, and with late those
// that have not arrived.
func (s *session) hideFrom(now int64, late bool) {
	if !late {
		for len(s.events) > 0 && s.events[len(s.events)-1].at >= now {
			s.events = s.events[:len(s.events)-1]
		}
		return
	}
	arrived := s.events[:0]
	for i := range s.events {
		if e := s.events[i]; e.at+delay(s.id, i) < now {
			arrived = append(arrived, e)
		}
	}
	s.events = arrived
}

const (
	// usualDelay is how long most rows take to arrive, and longestDelay how long
	// the late ones at most (Fullstory's help on the freshness of exports).
	usualDelay   = 30 * minuteMs
	longestDelay = 24 * hourMs
	// latePercent is how many rows are late.
	latePercent = 3
)

// delay is how long the i-th event of a session takes to arrive.
func delay(session int64, i int) int64 {
	r := seeded('l', uint64(session), uint64(i))
	if r.percent(latePercent) {
		return r.between(usualDelay, longestDelay)
	}
	return usualDelay
}

func (w *world) eventColumns() []column[*event] { return worldEventColumns() }

func (w *world) userColumns() []column[*person] { return worldUserColumns() }
