package auth

import (
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Limits enforce the requests per second, the calls at once and the streams of each
// caller, by name. A caller without a name has no limit of requests. Limits are safe for
// concurrent use; use NewLimits.
type Limits struct {
	mu      sync.Mutex
	callers map[string]*usage
}

// usage is what one caller uses now.
type usage struct {
	rate    *rate.Limiter
	calls   int
	streams int
	bodies  int
	kept    atomic.Int64 // bytes that its streams keep
}

// NewLimits returns limits of which nothing is used.
func NewLimits() *Limits { return &Limits{callers: map[string]*usage{}} }

// of returns the usage of c, with the present limit of c. The lock must be held.
func (l *Limits) of(c Caller) *usage {
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

// mostUsages is from how many callers on those that use nothing are forgotten.
const mostUsages = 10_000

// forgetIdle forgets the callers that use nothing, if there are many, since an
// issuer may have any number. The lock must be held.
func (l *Limits) forgetIdle() {
	if len(l.callers) < mostUsages {
		return
	}
	for name, u := range l.callers {
		if u.calls == 0 && u.streams == 0 && u.bodies == 0 && u.kept.Load() == 0 {
			delete(l.callers, name)
		}
	}
}

// Request counts one request of c. It returns false if c exceeds its rate.
func (l *Limits) Request(c Caller) bool {
	l.mu.Lock()
	r := l.of(c).rate
	l.mu.Unlock()
	return r.Allow()
}

// Call reserves one of the c.Calls calls of c until done is called, more than once
// without harm. It returns nil if all are in use.
func (l *Limits) Call(c Caller) (done func()) {
	return l.take(c, c.Calls, func(u *usage) *int { return &u.calls })
}

// Stream reserves one of most streams of c, any number if most is 0, in the same
// way.
func (l *Limits) Stream(c Caller, most int) (done func()) {
	return l.take(c, most, func(u *usage) *int { return &u.streams })
}

// Body counts one of most bodies of c that are being read, any number if most is 0, in the
// same way.
func (l *Limits) Body(c Caller, most int) (done func()) {
	return l.take(c, most, func(u *usage) *int { return &u.bodies })
}

// Kept returns the count of the bytes that the streams of c keep.
func (l *Limits) Kept(c Caller) *atomic.Int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &l.of(c).kept
}

func (l *Limits) take(c Caller, most int, of func(*usage) *int) (done func()) {
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
