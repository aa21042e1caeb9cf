package bulk

import (
	"encoding/json"
	"sync"
	"time"
)

const (
	windowStart = 8
	windowLeast = 2
	windowMost  = 64
	// gain is how much more has to be done in a time for a wider window to be
	// worth it.
	gain = 1.1
	// patience is how many times the pace is measured before a wider window is
	// tried again.
	patience = 10
	// tooLong is how long an export may take before fewer are in flight: it may
	// have waited for the others.
	tooLong = 30 * time.Minute
)

// window is how many exports of an account are in flight at once. Fullstory
// tells no bound, so it is found out: the window widens while more is done in
// the same time, and stays where that ends. How long each takes would not tell,
// because windows of a night and of a day differ by much. A 429 to a create
// halves it. It is safe for concurrent use.
type window struct {
	mu      sync.Mutex
	size    float64
	growing bool
	pace    float64 // exports a second, when last measured
	held    int     // measurements since the window stopped growing
	before  float64 // size before a try to widen it; 0: none is under way
	halved  time.Time

	n     int // exports done since began
	began time.Time
}

// saved is what is kept of a window.
type saved struct {
	Size float64 `json:"size"`
}

func newWindow(kept string) *window {
	w := &window{size: windowStart, growing: true}
	var s saved
	if json.Unmarshal([]byte(kept), &s) == nil && s.Size >= windowLeast {
		w.size, w.growing = min(s.Size, windowMost), false
	}
	return w
}

// exports returns how many may be in flight.
func (w *window) exports() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int(w.size)
}

// saved returns what is to be kept.
func (w *window) saved() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, _ := json.Marshal(saved{Size: w.size})
	return string(text)
}

// done takes in at now that an export was completed, which took so long at
// Fullstory, while so many were in flight.
func (w *window) done(now time.Time, took time.Duration, inFlight int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case took > tooLong && inFlight > windowLeast:
		w.size, w.growing, w.n = max(windowLeast, w.size*0.8), false, 0
	case inFlight < int(w.size)-1: // it is not the window that holds things up
		w.n = 0
	case w.n == 0:
		w.n, w.began = 1, now
	case w.n < max(2*windowStart, 2*int(w.size)):
		w.n++
	case now.After(w.began):
		w.measured(float64(w.n) / now.Sub(w.began).Seconds())
		w.n, w.began = 1, now
	}
}

// measured takes in how many exports a second were done.
func (w *window) measured(pace float64) {
	better := pace > w.pace*gain
	w.pace = pace
	switch {
	case w.growing && better:
		w.size, w.before = min(windowMost, w.size*1.5), 0
	case w.growing:
		if w.before > 0 {
			w.size = w.before
		}
		w.growing, w.held, w.before = false, 0, 0
	default:
		if w.held++; w.held >= patience {
			w.before = w.size
			w.growing, w.size = true, min(windowMost, w.size*1.25)
		}
	}
}

// refused takes in a create that was refused for coming too fast.
func (w *window) refused(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if since := now.Sub(w.halved); since >= 0 && since < time.Second {
		return
	}
	w.halved, w.growing, w.n = now, false, 0
	w.size = max(windowLeast, w.size/2)
}
