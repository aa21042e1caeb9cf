package client

import (
	"slices"
	"time"
)

const (
	// pollsPerExport is how many times an export of median duration is polled.
	pollsPerExport = 4
	// minInterval and maxInterval bound the time between two polls.
	minInterval = 500 * time.Millisecond
	maxInterval = 30 * time.Second
)

// Cadence is the interval at which running operations are polled. It adapts to
// how long operations take. The zero value has no measurements yet. It is not
// safe for concurrent use.
type Cadence struct {
	took  []time.Duration // durations of the last 20 completed operations
	pause time.Duration   // the last interval without any measurement
}

// Done records how long operations took, in the order in which they completed.
func (c *Cadence) Done(took ...time.Duration) {
	c.took = append(c.took, took...)
	c.took = c.took[max(0, len(c.took)-20):]
}

// Next returns how long to wait before the next poll. Without measurements the
// interval grows by a quarter with each call, up to half of maxInterval.
func (c *Cadence) Next() time.Duration {
	if len(c.took) == 0 {
		c.pause = min(maxInterval/2, max(minInterval, c.pause*5/4))
		return c.pause
	}
	sorted := slices.Sorted(slices.Values(c.took))
	return min(maxInterval, max(minInterval, sorted[len(sorted)/2]/pollsPerExport))
}
