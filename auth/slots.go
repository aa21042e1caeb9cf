package auth

import (
	"context"
	"slices"
	"sync"
)

// Slots are a number of slots that callers share. A free one goes to the caller that
// holds the fewest, among those the one that waits for longest. Slots are safe for
// concurrent use; use NewSlots.
type Slots struct {
	all int

	mu      sync.Mutex
	used    int
	held    map[string]int // by name of the caller; none is 0
	waiting []*waiter      // oldest first
}

// waiter is a request that waits for a slot.
type waiter struct {
	caller string
	most   int
	given  chan struct{} // closed when it has a slot
}

// NewSlots returns a number of free slots.
func NewSlots(all int) *Slots { return &Slots{all: all, held: map[string]int{}} }

// Take waits until one of at most most slots of a caller is free for it; most 0 is any
// number. The caller has the slot until release is called, more than once without
// harm. Take fails when ctx ends.
func (s *Slots) Take(ctx context.Context, caller string, most int) (release func(), err error) {
	w := &waiter{caller: caller, most: most, given: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.give()
	s.mu.Unlock()
	release = sync.OnceFunc(func() { s.free(caller) })
	select {
	case <-w.given:
		return release, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(s.waiting, w)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 { // it was given meanwhile
		release()
	}
	return nil, ctx.Err()
}

// free ends the use of a slot.
func (s *Slots) free(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if s.held[caller]--; s.held[caller] == 0 {
		delete(s.held, caller)
	}
	s.give()
}

// give gives the free slots to those that wait. s.mu must be held.
func (s *Slots) give() {
	for s.used < s.all {
		next := -1
		for i, w := range s.waiting {
			held := s.held[w.caller]
			if (w.most == 0 || held < w.most) && (next < 0 || held < s.held[s.waiting[next].caller]) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := s.waiting[next]
		s.waiting = slices.Delete(s.waiting, next, next+1)
		s.used++
		s.held[w.caller]++
		close(w.given)
	}
}
