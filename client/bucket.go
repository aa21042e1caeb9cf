package client

import "time"

// The pace of requests, a rate that adapts. Fullstory does not publish its rate
// limits; it answers 429 to a request beyond one.
const (
	paceStart = 5   // requests per second
	paceBurst = 20  // requests at once after a pause
	paceMost  = 50  // requests per second
	paceLeast = 0.5 // requests per second
	paceGrow  = 1   // gain for each second without a 429, in requests per second
)

// pauseLimit is the longest pause of a whole account. A longer Retry-After is not
// about the rate of requests, but about the one request that it answers.
const pauseLimit = time.Minute

// bulkReserve is how many tokens bulk work leaves for interactive requests.
const bulkReserve = 1

// Bucket is a token bucket whose rate adapts to what the API accepts. It limits
// the requests of one account. It starts at 5 requests per second with a burst of
// 20. Each second without a 429 adds one request per second, up to 50. A 429
// halves the rate, at most once a second. A Retry-After of up to pauseLimit stops
// all requests for that long.
//
// A Bucket is a plain value, so that processes that work for the same account can
// store and share it. The zero value is a bucket in its initial state.
type Bucket struct {
	Pace   float64   `json:"pace"`            // requests per second
	Tokens float64   `json:"tokens"`          // requests that may be sent now; below 0: waiters hold future tokens
	At     time.Time `json:"at"`              // when Pace and Tokens were computed
	Halved time.Time `json:"halved,omitzero"` // when a 429 last halved Pace
	Paused time.Time `json:"paused,omitzero"` // no request is sent before this time
}

// advance updates b to the time now. If the clock was set back, b stops growing
// until the clock catches up, and does not lose tokens.
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
		b.Paused = time.Time{} // the clock was set back since
	}
}

// take takes a token for one request. If taken is true, the caller may send the
// request after wait; otherwise it must call take again after wait. Bulk work
// takes only tokens that are available now, and leaves bulkReserve of them. An
// interactive request reserves the next token, unless that takes longer than
// maxWait, so it never waits behind bulk work.
func (b *Bucket) take(now time.Time, bulk bool, maxWait time.Duration) (wait time.Duration, taken bool) {
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
	if wait > 0 && (bulk || wait > maxWait) {
		return wait, false
	}
	b.Tokens--
	return wait, true
}

// throttled adapts b to a 429 whose Retry-After is after, or 0 without one. A
// Retry-After beyond pauseLimit does not pause the bucket.
func (b *Bucket) throttled(now time.Time, after time.Duration) {
	b.advance(now)
	if until := now.Add(after); after <= pauseLimit && until.After(b.Paused) {
		b.Paused = until
	}
	if since := now.Sub(b.Halved); since >= 0 && since < time.Second {
		return
	}
	b.Halved = now
	b.Pace = max(paceLeast, b.Pace/2)
	b.Tokens = min(b.Tokens, 0) // the saved burst was more than the API accepts
}
