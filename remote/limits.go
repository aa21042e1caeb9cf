package remote

import (
	"sync"

	"golang.org/x/time/rate"
)

// limits hold each caller to its requests a second and its calls at once. The
// caller without a name is not held to a rate. It is safe for concurrent use.
type limits struct {
	mu      sync.Mutex
	callers map[string]*usage
}

// usage is what one caller is using.
type usage struct {
	rate    *rate.Limiter
	calls   int
	streams int
}

func newLimits() *limits { return &limits{callers: map[string]*usage{}} }

// of returns the usage of c, held to what c may use now. The caller holds mu.
func (l *limits) of(c Caller) *usage {
	u := l.callers[c.Name]
	if u == nil {
		l.forgetIdle()
		u = &usage{rate: rate.NewLimiter(rate.Inf, 0)}
		l.callers[c.Name] = u
	}
	if limit := rate.Limit(c.Requests); c.Name != "" && u.rate.Limit() != limit {
		u.rate = rate.NewLimiter(limit, max(1, int(2*limit)))
	}
	return u
}

// mostUsages is how many callers are remembered that use nothing.
const mostUsages = 10_000

// forgetIdle forgets the callers that use nothing, if there are many: an issuer
// may have any number. The caller holds mu.
func (l *limits) forgetIdle() {
	if len(l.callers) < mostUsages {
		return
	}
	for name, u := range l.callers {
		if u.calls == 0 && u.streams == 0 {
			delete(l.callers, name)
		}
	}
}

// request takes one request of c, and returns false if it is one too many.
func (l *limits) request(c Caller) bool {
	l.mu.Lock()
	r := l.of(c).rate
	l.mu.Unlock()
	return r.Allow()
}

// call takes a place for a call of c, until done. It returns nil if c has as
// many as it may.
func (l *limits) call(c Caller) (done func()) {
	return l.take(c, c.Calls, func(u *usage) *int { return &u.calls })
}

// stream takes a place for a stream of c, until done.
func (l *limits) stream(c Caller, most int) (done func()) {
	return l.take(c, most, func(u *usage) *int { return &u.streams })
}

func (l *limits) take(c Caller, most int, of func(*usage) *int) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := of(l.of(c))
	if most > 0 && *n >= most {
		return nil
	}
	*n++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		*n--
	})
}
