package exports

import (
	"context"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

// check returns the preflight.Check for requests of a, by Fullstory's clock.
func (a *Account) check(ctx context.Context, zone string) (preflight.Check, error) {
	role, err := a.role(ctx)
	now, skew := a.clock()
	return preflight.Check{Client: a.segments(), Zone: zone, Now: now, Role: role, Skew: skew,
		UnknownField: a.unknownField(ctx), Budget: a.Budget}, err
}

// hear returns the owner and role of the key as Me does, and asks Fullstory also if its
// clock is not known: before its first answer, and after this machine slept.
func (a *Account) hear(ctx context.Context) (client.Me, error) {
	if me, ok := a.cachedMe(); ok && a.heard() {
		return me, nil
	}
	return a.askMe(ctx)
}

// heard reports whether Fullstory's clock is known.
func (a *Account) heard() bool {
	_, heard := a.Client.Clock()
	return heard
}

// Clock returns the time by Fullstory's clock, or by this machine's if that is not known.
// All times that a caller reads are compared with it. The ledger's own bookkeeping, such as
// when a bulk export was recorded, is by this machine's clock.
func (a *Account) Clock() time.Time {
	now, _ := a.clock()
	return now
}

// clock returns the time by Fullstory's clock, and by how much this machine's is ahead
// of it. If Fullstory's is not known, it returns this machine's time and 0.
func (a *Account) clock() (now time.Time, skew time.Duration) {
	if a.Sandbox {
		return a.Now(), 0
	}
	now, ok := a.Client.Clock()
	if !ok {
		return a.Now(), 0
	}
	return now, a.Now().Sub(now)
}

// now returns the time by Fullstory's clock, or by the account's if that is not known.
func (e *Exports) now() time.Time {
	if now, ok := e.o.Client.Clock(); ok {
		return now
	}
	return e.o.Now()
}

// shown returns an instant of this machine's clock as Fullstory's shows it; the zero time
// stays zero.
func (e *Exports) shown(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return e.now().Add(time.Until(t))
}
