package client

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock estimates the API's clock from the Date headers of its answers. It
// measures the time since an answer with the monotonic clock, so it does not jump
// if the clock of this machine is set. It is safe for concurrent use.
type clock struct{ last atomic.Pointer[reading] }

// reading is a Date header, in whole seconds, and the local time at which it
// arrived: by the monotonic clock and by the wall clock.
type reading struct{ date, at, wall time.Time }

// set records the Date of an answer that arrived at the local time at.
func (c *clock) set(h http.Header, at time.Time) {
	if date := dateOf(h); !date.IsZero() {
		c.last.Store(&reading{date: date, at: at, wall: at.Round(0)})
	}
}

// clockJump is the least difference of the times since an answer, by the wall clock and by
// the monotonic clock, from which that answer does not tell the time any more.
const clockJump = time.Minute

// now returns the current time of the API's clock. ok is false before the first answer, and
// after this machine slept or its clock was set: while it sleeps, the monotonic clock of many
// systems stands still.
func (c *clock) now() (now time.Time, ok bool) {
	r := c.last.Load()
	if r == nil {
		return time.Time{}, false
	}
	passed := time.Since(r.at)
	if (time.Now().Round(0).Sub(r.wall) - passed).Abs() > clockJump {
		return time.Time{}, false
	}
	return r.date.Add(passed), true
}

// dateOf returns the Date of an answer, or the zero time.
func dateOf(h http.Header) time.Time {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return plausible(date)
}

// Clock returns the current time of the API's clock, up to a second early because
// Date headers are truncated. ok is false before the first answer, and after this machine
// slept or its clock was set until the next one.
func (c *Client) Clock() (now time.Time, ok bool) { return c.clock.now() }
