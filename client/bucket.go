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

// The parts of bulk work and of interactive requests in the rate.
const (
	// bulkReserve is how many tokens bulk work leaves for interactive requests.
	bulkReserve = 1
	// bulkShare is the part of the rate that bulk work gets at least, whatever
	// interactive requests do; see Bucket.share.
	bulkShare = 0.3
	// bulkMemory is how long after a request of bulk work its share is kept for it:
	// bulk work sends its next request when it has the answer to the last one.
	bulkMemory = 5 * time.Second
	// bulkMost is how many tokens are kept for bulk work.
	bulkMost = 5

	// crowdGap is the longest pause between two interactive requests that wait in the
	// same crowd, crowdLeast how long a crowd lasts before Crowded reports it.
	crowdGap   = 2 * time.Second
	crowdLeast = 2 * time.Second
)

// Bucket is a token bucket whose rate adapts to what the API accepts. It limits
// the requests of one account. It starts at 5 requests per second with a burst of
// 20. Each second without a 429 adds one request per second, up to 50. A 429
// halves the rate, at most once a second. A Retry-After of up to pauseLimit stops
// all requests for that long.
//
// While bulk work sends requests, its share of the new tokens is kept for it, and
// interactive requests have the rest. What bulk work does not use, they get as well.
//
// A Bucket is a plain value, so that processes that work for the same account can
// store and share it. The zero value is a bucket in its initial state. Versions before
// bulkShare drop the fields from Bulk on, which only delays their effect.
type Bucket struct {
	Pace   float64   `json:"pace"`            // requests per second
	Tokens float64   `json:"tokens"`          // requests that may be sent now; below 0: waiters hold future tokens
	At     time.Time `json:"at"`              // when Pace and Tokens were computed
	Halved time.Time `json:"halved,omitzero"` // when a 429 last halved Pace
	Paused time.Time `json:"paused,omitzero"` // no request is sent before this time

	Bulk      float64   `json:"bulk,omitzero"`       // tokens that only bulk work takes
	BulkUntil time.Time `json:"bulk_until,omitzero"` // until then its share is kept for bulk work
	BulkFor   int       `json:"bulk_for,omitzero"`   // named callers whose bulk work that is
	People    int       `json:"people,omitzero"`     // named callers whose interactive requests wait
	Crowd     time.Time `json:"crowd,omitzero"`      // since when interactive requests wait without a gap
	CrowdAt   time.Time `json:"crowd_at,omitzero"`   // when one last had to wait beside bulk work
}

// advance updates b to the time now. If the clock was set back, b stops growing
// until the clock catches up, and does not lose tokens.
func (b *Bucket) advance(now time.Time) {
	if b.At.IsZero() || b.Pace <= 0 {
		b.Pace, b.Tokens, b.At = paceStart, paceBurst, now
	}
	if passed := now.Sub(b.At).Seconds(); passed > 0 {
		b.fill(now, b.Pace*passed)
		b.Pace = min(paceMost, b.Pace+paceGrow*passed)
	}
	b.At = now
	if b.Paused.Sub(now) > pauseLimit {
		b.Paused = time.Time{} // the clock was set back since
	}
	if b.BulkUntil.Sub(now) > 2*bulkMemory+delay(1, bulkShare*paceLeast) {
		b.BulkUntil = time.Time{} // likewise
	}
}

// share returns the part of the rate that is kept for bulk work: that of the callers whose
// work it is among all, but at least bulkShare. So a single caller that calls a lot takes
// little from the bulk work of many. Without names there is nobody to be fair to, and
// interactive requests go first.
func (b *Bucket) share() float64 {
	return max(bulkShare, float64(b.BulkFor)/float64(max(1, b.BulkFor+b.People)))
}

// fill adds the tokens of the time from b.At to now: to those of bulk work its share
// of the time until b.BulkUntil, to the others the rest and what bulk work has left.
func (b *Bucket) fill(now time.Time, tokens float64) {
	part := float64(min(now.Sub(b.At), max(0, b.BulkUntil.Sub(b.At)))) / float64(now.Sub(b.At))
	kept := tokens * part * b.share()
	b.Bulk += kept
	left := max(0, b.Bulk-bulkMost)
	if part < 1 {
		left = b.Bulk // bulk work has stopped
	}
	b.Bulk -= left
	b.Tokens = min(paceBurst, b.Tokens+tokens-kept+left)
}

// request is a request that needs a token.
type request struct {
	bulk    bool
	callers int           // with a name: whose bulk work it is, or whose interactive requests wait
	maxWait time.Duration // of an interactive request
}

// take takes a token for one request. If taken is true, the caller may send the
// request after wait; otherwise it must call take again after wait. Bulk work takes
// tokens that are available now: those kept for it, and others as long as bulkReserve
// of them are left. An interactive request reserves the next token, unless that takes
// longer than r.maxWait, so it never waits behind bulk work.
func (b *Bucket) take(now time.Time, r request) (wait time.Duration, taken bool) {
	b.advance(now)
	if pause := b.Paused.Sub(now); pause > 0 {
		return pause, false
	}
	if r.bulk {
		return b.takeForBulk(now, r)
	}
	pace := b.Pace
	if b.BulkUntil.After(now) {
		b.People = r.callers
		pace *= 1 - b.share()
	}
	if wait = delay(1-b.Tokens, pace); wait > 0 {
		b.crowd(now)
	}
	if wait > r.maxWait {
		return wait, false
	}
	b.Tokens--
	return wait, true
}

// takeForBulk is take for bulk work, without a pause.
func (b *Bucket) takeForBulk(now time.Time, r request) (wait time.Duration, taken bool) {
	if b.BulkFor = r.callers; now.Sub(b.CrowdAt) > crowdGap {
		b.People = 0
	}
	switch share := b.share(); {
	case b.Bulk >= 1:
		b.Bulk--
	case b.Tokens >= 1+bulkReserve:
		b.Tokens--
	default:
		wait = delay(1-b.Bulk, b.Pace*share)
		if share < 1 {
			wait = min(wait, delay(1+bulkReserve-b.Tokens, b.Pace*(1-share)))
		}
	}
	b.BulkUntil = now.Add(wait + bulkMemory)
	return wait, wait == 0
}

// delay returns the time in which a number of tokens are added, at least a nanosecond
// for a positive number.
func delay(tokens, pace float64) time.Duration {
	if tokens <= 0 {
		return 0
	}
	return max(1, time.Duration(tokens/pace*float64(time.Second)))
}

// crowd records that an interactive request waits for a token at now, while bulk work
// sends requests as well.
func (b *Bucket) crowd(now time.Time) {
	if !b.BulkUntil.After(now) {
		return
	}
	if since := now.Sub(b.CrowdAt); since < 0 || since > crowdGap {
		b.Crowd = now
	}
	b.CrowdAt = now
}

// Crowded reports whether interactive requests have used up their part of the rate for
// a while, so that bulk work has only its share of it, which is in requests per second.
func (b Bucket) Crowded(now time.Time) (share float64, crowded bool) {
	since := now.Sub(b.CrowdAt)
	return b.Pace * b.share(), since < crowdGap && b.CrowdAt.Sub(b.Crowd) >= crowdLeast && b.BulkUntil.After(now)
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
	b.Tokens, b.Bulk = min(b.Tokens, 0), min(b.Bulk, 0) // the saved burst was more than the API accepts
}
