package client

import (
	"context"
	"slices"
	"sync"
)

// queue gives turns to requests, one at a time: to the callers that wait in rotation,
// and to the requests of one caller in their order. So a caller with a thousand
// requests delays one of another by one turn. It is safe for concurrent use. The zero
// value is ready to use.
type queue struct {
	mu      sync.Mutex
	taken   bool                       // a request has the turn
	caller  string                     // whose it is
	waiting map[string][]chan struct{} // by caller; a channel is closed when its request has the turn
	order   []string                   // callers that wait, the next one first
	changed chan struct{}              // closed by the next recheck; nil if none waits for it
}

// enter waits for the turn of a request of caller. The request has it until leave is
// called. enter fails when ctx ends, or with the error of fits, which is called before
// the wait and after each recheck with the number of requests that go first.
func (q *queue) enter(ctx context.Context, caller string, fits func(ahead int) error) (leave func(), err error) {
	q.mu.Lock()
	if !q.taken {
		q.taken, q.caller = true, caller
		q.mu.Unlock()
		return q.leave, nil
	}
	turn := q.join(caller)
	for {
		err, changed := fits(q.ahead(caller, turn)), q.change()
		q.mu.Unlock()
		if err == nil {
			select {
			case <-turn:
				return q.leave, nil
			case <-ctx.Done():
				err = ctx.Err()
			case <-changed:
			}
		}
		q.mu.Lock()
		if err != nil {
			defer q.mu.Unlock()
			q.withdraw(caller, turn)
			return nil, err
		}
	}
}

// join adds a request of caller to those that wait. q.mu must be held.
func (q *queue) join(caller string) (turn chan struct{}) {
	if q.waiting == nil {
		q.waiting = map[string][]chan struct{}{}
	}
	if len(q.waiting[caller]) == 0 {
		q.order = append(q.order, caller)
	}
	turn = make(chan struct{})
	q.waiting[caller] = append(q.waiting[caller], turn)
	return turn
}

// ahead returns how many requests have their turns before that of turn, if no others
// come: the present one, those of its caller before it, and as many of each other
// caller. q.mu must be held.
func (q *queue) ahead(caller string, turn chan struct{}) int {
	own := max(0, slices.Index(q.waiting[caller], turn))
	n := 1 + own
	for other, waiting := range q.waiting {
		if other != caller {
			n += min(len(waiting), own+1)
		}
	}
	return n
}

// callers returns how many callers with a name wait or have the turn.
func (q *queue) callers() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, name := range q.order {
		if name != "" && name != q.caller {
			n++
		}
	}
	if q.taken && q.caller != "" {
		n++
	}
	return n
}

// change returns a channel that the next recheck closes. q.mu must be held.
func (q *queue) change() <-chan struct{} {
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	return q.changed
}

// recheck has every request that waits call its fits again.
func (q *queue) recheck() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// withdraw removes a request that no longer waits. If it has the turn already, that
// passes on. q.mu must be held.
func (q *queue) withdraw(caller string, turn chan struct{}) {
	i := slices.Index(q.waiting[caller], turn)
	if i < 0 {
		q.pass()
		return
	}
	q.waiting[caller] = slices.Delete(q.waiting[caller], i, i+1)
	if len(q.waiting[caller]) == 0 {
		delete(q.waiting, caller)
		q.order = slices.DeleteFunc(q.order, func(name string) bool { return name == caller })
	}
}

// leave ends the present turn.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pass()
}

// pass gives the turn to the next request. q.mu must be held.
func (q *queue) pass() {
	if len(q.order) == 0 {
		q.taken = false
		return
	}
	caller := q.order[0]
	turn := q.waiting[caller][0]
	q.caller = caller
	q.order = q.order[1:]
	if q.waiting[caller] = q.waiting[caller][1:]; len(q.waiting[caller]) > 0 {
		q.order = append(q.order, caller)
	} else {
		delete(q.waiting, caller)
	}
	close(turn)
}
