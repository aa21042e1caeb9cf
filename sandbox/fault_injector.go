package sandbox

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// faultInjector decides what goes wrong. It counts requests from the moment its
// faults were set. It is safe for concurrent use.
type faultInjector struct {
	seed uint64

	mu     sync.Mutex // guards everything below
	faults Faults
	counts []faultCount // one for each fault of the script, by its index
	random *rand.Rand
	levels map[string]level // only of keys whose role a fault changed
}

// faultCount counts for one fault of the script.
type faultCount struct {
	seen  int       // requests or exports at its place and of its segment
	first time.Time // when the fault first happened; zero: not yet
}

func newFaultInjector(f Faults, seed uint64) *faultInjector {
	b := &faultInjector{seed: seed}
	b.set(f)
	return b
}

// set replaces the faults, and resets the counts, the roles and the random stream.
func (b *faultInjector) set(f Faults) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults, b.counts, b.levels = f, make([]faultCount, len(f.Script)), map[string]level{}
	b.random = rand.New(rand.NewPCG(b.seed, 0xfa017))
}

func (b *faultInjector) get() Faults {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faults
}

// at counts one request or export at a place, for a segment or for none (nil), and
// returns the fault that happens to it, or nil.
func (b *faultInjector) at(place string, of *segment) *Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.scripted(place, of); f != nil {
		return f
	}
	return b.drawn(place, of)
}

// scripted counts the event for every fault of the script, including those after
// the one that happens, and returns the first that happens now, or nil. The caller
// holds mu.
func (b *faultInjector) scripted(place string, of *segment) (happens *Fault) {
	now := time.Now()
	for i := range b.faults.Script {
		f, count := b.faults.Script[i], &b.counts[i]
		if !covers(f.On, place) || !concerns(f.Segment, of) {
			continue
		}
		count.seen++
		if happens != nil || f.Nth != 0 && f.Nth != count.seen {
			continue
		}
		if count.first.IsZero() {
			count.first = now
		}
		if f.remaining = time.Duration(f.For) - now.Sub(count.first); f.For == 0 {
			f.remaining = 0
		} else if f.remaining <= 0 {
			continue
		}
		happens = &f
	}
	return happens
}

// drawn returns the first fault of the rates that happens by chance, or nil. The
// caller holds mu.
func (b *faultInjector) drawn(place string, of *segment) *Fault {
	var names []string
	for name := range b.faults.Rates {
		names = append(names, name)
	}
	slices.Sort(names) // map order is random; a seed must mean the same faults
	for _, name := range names {
		where, effect, segment := readRate(name)
		if !slices.Contains(effects[effect].on, place) || !concerns(segment, of) {
			continue
		}
		if where == "" && !appliesByDefault(effect, place) || where != "" && !covers(where, place) {
			continue
		}
		if b.random.Float64() < b.faults.Rates[name] {
			return &Fault{On: place, Do: effect}
		}
	}
	return nil
}

// covers reports whether a fault on where applies to a place.
func covers(where, place string) bool {
	return where == place || where == onAny && slices.Contains(requestPlaces, place)
}

// concerns reports whether a fault for the segment with this id or name, or for all
// (""), applies to a segment.
func concerns(name string, of *segment) bool { return name == "" || of != nil && of.hasName(name) }

// appliesByDefault reports whether a rate without a place applies to this one. A
// fault of requests applies to downloads, and a fault of files to whole exports,
// only if the rate names the place.
func appliesByDefault(effect, place string) bool {
	on := effects[effect].on
	if slices.Contains(on, onMe) {
		return place != onDownload
	}
	return place == on[0] || !slices.Contains(on, onDownload)
}

// level returns the current level of a key that had the level usual at first.
func (b *faultInjector) level(key string, usual level) level {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l, ok := b.levels[key]; ok {
		return l
	}
	return usual
}

// demote changes the level of a key to that of a role, standard if the role is
// unknown, until the faults are set again.
func (b *faultInjector) demote(key, role string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.levels[key] = max(standard, roleLevel(role))
}
