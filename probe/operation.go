package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/client"
)

// The delays between two looks at the operations.
const (
	firstPoll = 250 * time.Millisecond
	lastPoll  = 10 * time.Second
)

// listOperations returns the first page of operations, and whether there are more.
func (p *prober) listOperations(ctx context.Context) (list []map[string]json.RawMessage, more bool, err error) {
	a, err := p.ask(ctx, client.RawRequest{
		Op: "probe the list of operations", Method: http.MethodGet, Path: []string{"operations", "v1"},
		Query: url.Values{"type": {"SEARCH_EXPORT"}, "limit": {"100"}},
	})
	return a.list("operations"), a.text("nextPaginationToken") != "", err
}

func cancelRequest(operation string) client.RawRequest {
	return client.RawRequest{
		Op: "probe a cancel", Method: http.MethodPost, Path: []string{"operations", "v1", operation, "cancel"},
	}
}

// cancel cancels an operation that has just been created, and checks its state afterwards.
func (p *prober) cancel(ctx context.Context, operation string) error {
	if operation == "" {
		p.skip("there was no export to cancel", "cancel", "cancelled_state")
		return nil
	}
	a, err := p.ask(ctx, cancelRequest(operation))
	if err != nil {
		return err
	}
	empty := a.Status == http.StatusOK && len(a.members) == 0
	p.check("cancel", empty, "%d, %d keys in all", a.Status, len(a.members))
	if a.Status/100 != 2 {
		p.skip("the cancel was rejected", "cancelled_state")
		return nil
	}
	o, err := p.await(ctx, operation)
	state := o.text("state")
	switch {
	case err != nil:
		return err
	case state == "PENDING":
		p.skip("the operation was still PENDING at the end", "cancelled_state")
	case state == "COMPLETED":
		p.skip("the export was complete before its cancel", "cancelled_state")
	default:
		p.check("cancelled_state", state == "FAILED", "%s", word(state))
		if bareWord.MatchString(state) {
			p.report.CancelledState = state
		}
	}
	return nil
}

// await reads an operation until its state is another one than PENDING, for longestWait.
func (p *prober) await(ctx context.Context, operation string) (answer, error) {
	end := time.Now().Add(longestWait)
	for delay := firstPoll; ; delay = min(2*delay, lastPoll) {
		o, err := p.get(ctx, "probe an operation", "operations", "v1", operation)
		if err != nil {
			return o, err
		}
		if state := o.text("state"); o.Status == http.StatusOK && state != "PENDING" {
			p.running = slices.DeleteFunc(p.running, func(id string) bool { return id == operation })
			return o, nil
		}
		if time.Now().After(end) {
			return o, nil
		}
		p.checkOperation(o)
		if err := wait(ctx, delay); err != nil {
			return o, err
		}
	}
}

// checkOperation looks at an operation of an export that was not cancelled.
func (p *prober) checkOperation(o answer) {
	kind, state := o.text("type"), o.text("state")
	p.check("operation_type", kind == "SEARCH_EXPORT", "%s", word(kind))
	if known := slices.Contains([]string{"PENDING", "COMPLETED", "FAILED"}, state); !known ||
		p.found["states"].Verdict != Differs {
		p.check("states", known, "%s", word(state))
	}
	raw := o.members["estimatePctComplete"]
	var percent float64
	err := json.Unmarshal(raw, &percent)
	if p.found["percent"].Verdict != Differs && raw != nil {
		p.check("percent", err == nil && percent >= 0 && percent <= 100, "a %s", kindOf(raw))
	}
	created := o.text("createdAt")
	_, err = time.Parse(time.RFC3339Nano, created)
	p.check("operation_times", err == nil && strings.HasSuffix(created, "Z"), "%s", layoutOf(created))
}

// layoutOf returns a time with each digit as 0.
func layoutOf(text string) string {
	if len(text) > 40 {
		return "a long text"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '0'
		case strings.ContainsRune("TZ:.+- ", r):
			return r
		}
		return '?'
	}, text)
}
