package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"fullstory-export-mcp/client"
)

const (
	// tries is how often a request is sent that is throttled or, if it only reads, fails.
	tries = 5
	// firstDelay is the delay after the first try; each later one is twice as long.
	firstDelay = time.Second
)

// answer is an answer of the API and, if its body is an object, the members of that.
type answer struct {
	client.RawAnswer
	members map[string]json.RawMessage
}

// text returns a member that is a text; "" if it is anything else.
func (a answer) text(key string) string { return textOf(a.members[key]) }

func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// list returns the objects in a member that is a list.
func (a answer) list(key string) []map[string]json.RawMessage {
	var items []map[string]json.RawMessage
	if json.Unmarshal(a.members[key], &items) != nil {
		return nil
	}
	return items
}

// ask sends a request. It is sent again after a 429 and, if it only reads, after 5xx or
// without an answer. It fails without an answer. One that writes is not given up when ctx
// ends: the id of an accepted export would be lost, and it could not be cancelled.
func (p *prober) ask(ctx context.Context, q client.RawRequest) (answer, error) {
	send := ctx
	if q.Method != http.MethodGet {
		send = context.WithoutCancel(ctx)
	}
	for try, delay := 1, firstDelay; ; try, delay = try+1, 2*delay {
		if err := ctx.Err(); err != nil {
			return answer{}, err
		}
		raw, err := p.Ask(send, q)
		if raw.Status == http.StatusTooManyRequests {
			p.checkThrottled(raw.Header)
			delay = max(delay, client.ParseRetryAfter(raw.Header))
		}
		reads := q.Method == http.MethodGet
		again := raw.Status == http.StatusTooManyRequests || reads && (err != nil || raw.Status >= 500)
		if !again || try == tries {
			a := answer{RawAnswer: raw}
			_ = json.Unmarshal(raw.Body, &a.members) // nil if it is not an object
			return a, err
		}
		if err := wait(ctx, delay); err != nil {
			return answer{}, err
		}
	}
}

// get asks for a path.
func (p *prober) get(ctx context.Context, op string, path ...string) (answer, error) {
	return p.ask(ctx, client.RawRequest{Op: op, Method: http.MethodGet, Path: path})
}

// wait waits, or until ctx ends, which is its error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkThrottled looks at the header of a 429.
func (p *prober) checkThrottled(h http.Header) {
	after := h.Get("Retry-After")
	seconds, err := strconv.Atoi(after)
	switch {
	case err == nil:
		p.check("retry_after", seconds > 0, "%d s", seconds)
	case after == "":
		p.check("retry_after", false, "there is none")
	default:
		p.check("retry_after", false, "it is not a whole number")
	}
}

// throttleBurst is how many requests are sent to see a 429.
const throttleBurst = 60

// throttle sends requests at once, which this program does at no other time.
func (p *prober) throttle(ctx context.Context) error {
	q := client.RawRequest{Op: "probe throttling", Method: http.MethodGet, Path: []string{"me"}, AtOnce: true}
	answers := make(chan client.RawAnswer, throttleBurst)
	for range throttleBurst {
		go func() {
			a, _ := p.Ask(ctx, q) // an error is an answer of status 0
			answers <- a
		}()
	}
	throttled := false
	for range throttleBurst {
		if a := <-answers; a.Status == http.StatusTooManyRequests {
			p.checkThrottled(a.Header)
			throttled = true
		}
	}
	if !throttled {
		p.found["retry_after"] = Finding{
			Verdict: NotChecked, Found: strconv.Itoa(throttleBurst) + " requests at once were not throttled",
		}
	}
	return nil
}
