package client

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock is the API's clock, as its answers tell it. It does not jump when that
// of this machine is set.
type clock struct{ last atomic.Pointer[reading] }

// reading is a Date header, cut to the second, and when it arrived.
type reading struct{ date, at time.Time }

func (c *clock) set(h http.Header, at time.Time) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		c.last.Store(&reading{date: date, at: at})
	}
}

// Clock returns the time of the API's clock, up to a second early. ok is false
// before the first answer.
func (c *Client) Clock() (now time.Time, ok bool) {
	r := c.clock.last.Load()
	if r == nil {
		return time.Time{}, false
	}
	return r.date.Add(time.Since(r.at)), true
}
