package sandbox

import (
	"context"
	"math"
)

const (
	// worldStart is when the shop opened, 2020-01-01 in Unix milliseconds. There are
	// no earlier events.
	worldStart = int64(1_577_836_800_000)
	// maxSession is the maximum length of a session, in milliseconds. The events of a
	// window come only from sessions that began at most this long before it.
	maxSession = 2 * hourMs
	// meanEvents is the measured number of events of an average session. It converts
	// events an hour to sessions an hour.
	meanEvents = 31.0
)

// world is a web shop with its visitors, computed from seed and time. Nothing is
// stored: a window has the same events however often, in whatever order and in
// whatever parts it is requested. Sessions begin in hour buckets; everything about
// the i-th session of an hour is drawn from the seed, the hour and i.
type world struct {
	seed    uint64
	density float64 // events an hour on average
	people  int64
	volume  *volumeProfile
	late    bool // rows become available some time after they happened
}

// newWorld returns a shop with density events an hour on average; 0 means 600. Its
// population grows with the density, so that people return at any density.
func newWorld(seed uint64, density float64) *world {
	if density <= 0 {
		density = 600
	}
	return &world{seed: seed, density: density, people: int64(math.Ceil(density*12)) + 20, volume: newVolumeProfile()}
}

// sessions implements source. It draws every session that can reach into the span, and
// reuses one session for all of them. The cheap checks come first: time, then person,
// then the simulation of the events.
func (w *world) sessions(ctx context.Context, in span, now int64, wanted func(*person) bool,
	visit func(*session) error) error {
	in.from, in.to = max(in.from, worldStart), min(in.to, now)
	if in.from >= in.to {
		return nil
	}
	s := session{person: &person{}, pages: make([]page, 0, maxPages)}
	for h := max(in.from-maxSession, worldStart) / hourMs; h*hourMs < in.to; h++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range w.sessionsInHour(h) {
			w.drawSession(h, i, &s)
			if s.start >= in.to || s.start+s.limit <= in.from {
				continue
			}
			w.drawVisitor(w.drawInhabitant(&s.draw), &s)
			if wanted != nil && !wanted(s.person) {
				continue
			}
			describePerson(&s)
			simulate(&s)
			if s.hideFuture(now, w.late); len(s.events) == 0 {
				continue
			}
			if err := visit(&s); err != nil {
				return err
			}
		}
	}
	return nil
}

// sessionsInHour returns the number of sessions that begin in the hour h, counted
// from the Unix epoch.
func (w *world) sessionsInHour(h int64) int64 {
	r := seeded(w.seed, 'h', uint64(h))
	busy := 0.8 + float64(r.below(401))/1000 // hours vary by ±20 %
	mean := w.density / meanEvents * w.volume.at(h) * busy
	whole := math.Floor(mean)
	if r.below(1_000_000) < int64((mean-whole)*1_000_000) {
		whole++
	}
	return int64(whole)
}

// drawSession draws the id, start and limit of the i-th session of an hour: all that
// decides whether it can have events in a window.
func (w *world) drawSession(h, i int64, s *session) {
	s.draw = seeded(w.seed, 's', uint64(h), uint64(i))
	s.start = h*hourMs + s.draw.below(hourMs)
	// Most visits are short and a few are long: the 16 slices are equally likely.
	minutes := [17]int64{1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 28, 36, 50, 80, 120}
	slice := s.draw.below(16)
	s.limit = s.draw.between(minutes[slice]*minuteMs, minutes[slice+1]*minuteMs)
	s.id = s.draw.id()
}

// drawInhabitant draws the number of an inhabitant. Low numbers are more likely, so
// that some people return often.
func (w *world) drawInhabitant(r *random) int64 { return r.below(r.below(w.people) + 1) }

// hideFuture removes the events at or after now and, with late, those that are not
// available at now. Without late it does not change the array of the events, which
// records shares between queries.
func (s *session) hideFuture(now int64, late bool) {
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
	// normalDelay is the time in milliseconds after which most rows are available,
	// and maxDelay the maximum for late ones (Fullstory's help on the freshness of
	// exports).
	normalDelay = 30 * minuteMs
	maxDelay    = 24 * hourMs
	// latePercent is the share of rows that are late.
	latePercent = 3
)

// delay returns the milliseconds until the i-th event of a session is available.
func delay(session int64, i int) int64 {
	r := seeded('l', uint64(session), uint64(i))
	if r.percent(latePercent) {
		return r.between(normalDelay, maxDelay)
	}
	return normalDelay
}

func (w *world) eventColumns() []column[*event] { return worldEventColumns() }

func (w *world) userColumns() []column[*person] { return worldUserColumns() }
