package exports

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"fullstory-export-mcp/client"
)

// passing reports whether err is a failure of Fullstory that passes: it throttles, it fails,
// or it did not answer in time. The same read may succeed later.
func passing(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return false
	}
	switch e.Kind() {
	case client.Throttled:
		return true
	case client.Unreachable:
		return e.Code != client.CodeCertificate && !errors.Is(err, context.Canceled)
	case client.ServiceFailed, client.NotTheAPI:
		return e.Status >= 500
	}
	return false
}

// worthWaiting reports whether a call that can wait for left may succeed after a failure
// that passes.
func worthWaiting(err error, left time.Duration) bool {
	return passing(err) && left > 0 && client.RetryAfter(err) < left
}

// What a caller waits before a retry, where Fullstory does not say it.
const (
	throttledPause = 10 * time.Second // after a 429 without Retry-After
	queuePause     = 5 * time.Second  // after other requests of the account went first
	networkPause   = 10 * time.Second // after no answer
	failurePause   = time.Minute      // after a failure that the text calls safe to retry in a minute
)

// RetryAfterSeconds returns after how many seconds the same call may succeed; 0 if that is
// not known, or a retry does not help.
func (e Explanation) RetryAfterSeconds() int {
	wait := e.After
	if wait == 0 && e.Retry == RetrySafeLater {
		wait = failurePause
	}
	return int(math.Ceil(wait.Seconds()))
}

// acceptsAgain says when Fullstory accepts requests again that it throttled at an instant
// of its clock. It is "" if one of the two is not known.
func acceptsAgain(at time.Time, after time.Duration) string {
	if at.IsZero() || after <= 0 {
		return ""
	}
	until, layout := at.UTC().Add(after).Round(time.Second), "15:04:05"
	if after > 12*time.Hour {
		layout = time.DateTime
	}
	return fmt.Sprintf("It accepts requests again at %s UTC.", until.Format(layout))
}
