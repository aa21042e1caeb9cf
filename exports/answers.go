package exports

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// answerLife is how long an answer about segments is used for equal questions.
	answerLife = 5 * time.Second
	// mostAnswers is how many answers of a kind are kept.
	mostAnswers = 1000
	// flightLimit bounds a request whose caller has no deadline.
	flightLimit = 20 * time.Second
)

// answers share Fullstory's answers among calls: equal questions at the same time are one
// request, and its answer may be used for later ones. A failure is shared by the calls
// that wait for it, and not kept. The zero value is ready; it is safe for concurrent use.
type answers[T any] struct {
	mu      sync.Mutex
	flights map[string]*flight[T] // by question: under way, or answered
}

// flight is one request.
type flight[T any] struct {
	asked time.Time     // when the request was made
	done  chan struct{} // closed when the fields below are set
	value T
	err   error
	bug   any       // what ask panicked with
	until time.Time // the answer may be used until then

	last  T    // the last answer to the question, of this request or an earlier one
	known bool // there is one
}

// last returns the last answer to a question, however old; false if there is none.
func (a *answers[T]) last(question string) (value T, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flights[question]; f != nil {
		return f.last, f.known
	}
	return value, false
}

// get returns the answer to a question: one that came less than life ago, that of a
// request under way, or that of a new request by ask. It fails when ctx ends. The request
// continues then, because others may wait for it.
func (a *answers[T]) get(
	ctx context.Context, question string, life time.Duration, ask func(context.Context) (T, error),
) (value T, err error) {
	value, _, err = a.since(ctx, time.Time{}, question, life, ask)
	return value, err
}

// since does the same with no answer to a request made before an instant. asked is when
// the request of the answer was made.
func (a *answers[T]) since(
	ctx context.Context, instant time.Time, question string, life time.Duration, ask func(context.Context) (T, error),
) (value T, asked time.Time, err error) {
	for {
		f, own := a.flight(ctx, instant, question, life, ask)
		select {
		case <-f.done:
		case <-ctx.Done():
			return value, f.asked, ctx.Err()
		}
		if f.bug != nil {
			panic(f.bug) // reported like any other of this call
		}
		if own || ctx.Err() != nil || !errors.Is(f.err, context.DeadlineExceeded) {
			return f.value, f.asked, f.err
		}
		// The call that asked had less time than this one.
	}
}

// flight returns a flight of a question, and whether it is a new one. None that began
// before an instant is returned.
func (a *answers[T]) flight(
	ctx context.Context, instant time.Time, question string, life time.Duration, ask func(context.Context) (T, error),
) (f *flight[T], own bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flights[question]; f != nil && !f.over(time.Now()) && !f.asked.Before(instant) {
		return f, false
	}
	f = &flight[T]{asked: time.Now(), done: make(chan struct{})}
	if before := a.flights[question]; before != nil {
		f.last, f.known = before.last, before.known
	}
	a.forget()
	a.flights[question] = f
	deadline, limited := ctx.Deadline()
	if !limited {
		deadline = time.Now().Add(flightLimit)
	}
	detached, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	go func() {
		defer cancel()
		a.answer(f, life, func() (T, error) { return ask(detached) })
	}()
	return f, true
}

// answer sets the answer of a flight.
func (a *answers[T]) answer(f *flight[T], life time.Duration, ask func() (T, error)) {
	defer func() {
		f.bug = recover()
		a.mu.Lock()
		defer a.mu.Unlock()
		if f.err == nil && f.bug == nil {
			f.until, f.last, f.known = time.Now().Add(life), f.value, true
		}
		close(f.done)
	}()
	f.value, f.err = ask()
}

// over reports whether a flight has ended and its answer is not to be used any more.
func (f *flight[T]) over(now time.Time) bool {
	select {
	case <-f.done:
		return !now.Before(f.until)
	default:
		return false
	}
}

// forget drops answers if there are many: those that are too old, or else all that are not
// under way. a.mu must be held.
func (a *answers[T]) forget() {
	if a.flights == nil {
		a.flights = map[string]*flight[T]{}
	}
	for _, at := range []time.Time{time.Now(), time.Now().Add(answerLife)} {
		if len(a.flights) < mostAnswers {
			return
		}
		for question, f := range a.flights {
			if f.over(at) {
				delete(a.flights, question)
			}
		}
	}
}
