package client

import (
	"encoding/json"
	"sync"
	"time"
)

const (
	// LimitStart is the initial limit, in exports.
	LimitStart = 8
	// limitLeast and limitMost bound the limit.
	limitLeast = 2
	limitMost  = 64
	// minGain is the factor by which the throughput must grow for a higher limit
	// to be kept; less is noise.
	minGain = 1.1
	// probeAfter is how many measurements pass before a higher limit is tried
	// again.
	probeAfter = 10
	// tooLong is how long an export may take before the limit is lowered, because
	// the export may have waited behind the others.
	tooLong = 30 * time.Minute
)

// ConcurrencyLimit is how many exports of an account may run at once. Fullstory
// does not publish a bound, so the limit adapts: it grows while more exports
// complete in the same time, and stays when a higher limit no longer helps.
// Throughput decides, not the duration of single exports, which differs too much
// between windows of the night and of the day. A 429 to a create halves the limit.
// It is safe for concurrent use.
type ConcurrencyLimit struct {
	mu       sync.Mutex
	size     float64   // the limit in exports; Exports returns its integer part
	growing  bool      // whether a good measurement raises the limit
	pace     float64   // exports per second at the last measurement
	steady   int       // measurements since the limit stopped growing
	previous float64   // size before the current probe of a higher limit; 0: no probe is under way
	halved   time.Time // when a 429 last halved the limit

	n     int       // exports that completed since began
	began time.Time // start of the current measurement
}

// savedLimit is the form in which the ledger stores a limit.
type savedLimit struct {
	Size float64 `json:"size"`
}

// NewConcurrencyLimit returns the limit that Saved returned as saved, or the
// initial limit if saved is empty or invalid. A saved limit does not grow at once.
func NewConcurrencyLimit(saved string) *ConcurrencyLimit {
	l := &ConcurrencyLimit{size: LimitStart, growing: true}
	var s savedLimit
	if json.Unmarshal([]byte(saved), &s) == nil && s.Size >= limitLeast {
		l.size, l.growing = min(s.Size, limitMost), false
	}
	return l
}

// Exports returns how many exports may run at once.
func (l *ConcurrencyLimit) Exports() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.size)
}

// Saved returns the limit as text for the ledger; see NewConcurrencyLimit.
func (l *ConcurrencyLimit) Saved() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, _ := json.Marshal(savedLimit{Size: l.size})
	return string(text)
}

// Done records that an export completed at now after it ran for took at Fullstory,
// while inFlight exports were running, itself included. Only a full limit is
// measured: with fewer exports in flight, something else is the bottleneck.
func (l *ConcurrencyLimit) Done(now time.Time, took time.Duration, inFlight int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case took > tooLong && inFlight > limitLeast:
		l.size, l.growing, l.n = max(limitLeast, l.size*0.8), false, 0
	case inFlight < int(l.size)-1: // the limit is not the bottleneck
		l.n = 0
	case l.n == 0:
		l.n, l.began = 1, now
	case l.n < max(2*LimitStart, 2*int(l.size)):
		l.n++
	case now.After(l.began):
		l.adapt(float64(l.n) / now.Sub(l.began).Seconds())
		l.n, l.began = 1, now
	}
}

// adapt changes the limit after a measurement of pace, in exports per second. The
// limit grows while that pays. A probe of a higher limit that does not pay is
// undone. The caller holds l.mu.
func (l *ConcurrencyLimit) adapt(pace float64) {
	better := pace > l.pace*minGain
	l.pace = pace
	switch {
	case l.growing && better:
		l.size, l.previous = min(limitMost, l.size*1.5), 0
	case l.growing:
		if l.previous > 0 {
			l.size = l.previous
		}
		l.growing, l.steady, l.previous = false, 0, 0
	default:
		if l.steady++; l.steady >= probeAfter {
			l.previous = l.size
			l.growing, l.size = true, min(limitMost, l.size*1.25)
		}
	}
}

// Throttled halves the limit after a 429 to a create, at most once a second.
func (l *ConcurrencyLimit) Throttled(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := now.Sub(l.halved); since >= 0 && since < time.Second {
		return
	}
	l.halved, l.growing, l.n = now, false, 0
	l.size = max(limitLeast, l.size/2)
}
