package client

import "time"

// The pace of requests. Fullstory publishes no limits; it answers 429 when one
// is passed.
const (
	paceStart = 5   // requests a second
	paceBurst = 20  // requests at once after a rest
	paceMost  = 50  // requests a second
	paceLeast = 0.5 // requests a second
	paceGrow  = 1   // requests a second more, each second without a 429
)

// pauseLimit bounds what a Retry-After can ask for.
const pauseLimit = time.Hour

// bulkReserve is how many tokens bulk work leaves for a person.
const bulkReserve = 1

// Bucket is how many requests an account may send: a token bucket that learns.
// It starts at 5 requests a second with a burst of 20, gains one request a
// second each second up to 50, and is halved by a 429, at most once a second. A
// Retry-After stops it for as long as it says.
//
// It is a plain value, so that the processes that share an account can share
// it. The zero value is at its start.
type Bucket struct {
	Pace   float64   `json:"pace"`   // requests a second
	Tokens float64   `json:"tokens"` // requests that may be sent at once; below 0: promised already
	At     time.Time `json:"at"`     // of Pace and Tokens
	Halved time.Time `json:"halved,omitzero"`
	Paused time.Time `json:"paused,omitzero"` // until when nothing is sent
}

// advance brings b to now. A clock that was set back only stops its growth.
func (b *Bucket) advance(now time.Time) {
	if b.At.IsZero() || b.Pace <= 0 {
		b.Pace, b.Tokens, b.At = paceStart, paceBurst, now
	}
	if passed := now.Sub(b.At).Seconds(); passed > 0 {
		b.Tokens = min(paceBurst, b.Tokens+b.Pace*passed)
		b.Pace = min(paceMost, b.Pace+paceGrow*passed)
	}
	b.At = now
	if b.Paused.Sub(now) > pauseLimit {
		b.Paused = time.Time{} // written before the clock was set back
	}
}

// take takes a token. When it is taken, the request may be sent after wait;
// otherwise it is to be asked for again after wait. Bulk work takes only what
// is there at once, and leaves some; a person is promised the next one, unless
// that comes later than patience.
func (b *Bucket) take(now time.Time, bulk bool, patience time.Duration) (wait time.Duration, taken bool) {
	b.advance(now)
	if pause := b.Paused.Sub(now); pause > 0 {
		return pause, false
	}
	need := 1.0
	if bulk {
		need += bulkReserve
	}
	if b.Tokens < need {
		wait = time.Duration((need - b.Tokens) / b.Pace * float64(time.Second))
	}
	if wait > 0 && (bulk || wait > patience) {
		return wait, false
	}
	b.Tokens--
	return wait, true
}

// slow takes in a 429 that asks to wait for after; 0 means it does not say.
func (b *Bucket) slow(now time.Time, after time.Duration) {
	b.advance(now)
	if until := now.Add(min(after, pauseLimit)); until.After(b.Paused) {
		b.Paused = until
	}
	if since := now.Sub(b.Halved); since >= 0 && since < time.Second {
		return
	}
	b.Halved = now
	b.Pace = max(paceLeast, b.Pace/2)
	b.Tokens = min(b.Tokens, 0) // what was saved up for a burst was a wrong guess
}
