package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/download"
)

// Options say how a probe reaches Fullstory. Progress and Throttle may be left out.
type Options struct {
	Ask  func(context.Context, client.RawRequest) (client.RawAnswer, error)
	Look func(ctx context.Context, link, method string, header http.Header, most int64) (download.Look, error)
	Now  func() time.Time // the API's clock
	Hour time.Time        // start of the hour that is exported; its rows should have settled

	// Created is called with each accepted export before the next request is sent.
	Created func(ctx context.Context, operation string, request json.RawMessage) error
	// Progress is called with what the probe does next.
	Progress func(text string)
	// Throttle sends throttleBurst requests at once, to see how the API throttles.
	Throttle bool
}

const (
	// MaxCreates is the most creates that a probe sends, the rejected ones included.
	MaxCreates = 8
	// longestWait is how long a probe waits for its exports.
	longestWait = 30 * time.Minute
	// cleanUpTime is how long an interrupted probe takes to cancel its exports.
	cleanUpTime = 5 * time.Second
)

// prober carries out one probe. It is for one goroutine.
type prober struct {
	Options
	found   map[string]Finding
	creates int
	running []string // operations that were created and have not been seen to end
	report  Report
	made    made
	sample  sample // of the first export
}

// Run probes the API. It cancels the exports that have not ended when it returns. It fails
// if ctx ends or Created fails, and then the report has what was found until then. A request
// without an answer only leaves its assumptions unchecked.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	p := &prober{Options: o, found: map[string]Finding{}}
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"Asking about the key", p.askKey},
		{"Asking for what does not exist", p.askMissing},
		{"Listing segments", p.listSegments},
		{"Creating exports of an hour of everyone", p.makeExports},
		{"Waiting for the exports", p.lookAtExports},
		{"Sending many requests at once", p.throttle},
	}
	p.skip("no request was throttled; --throttle sends "+strconv.Itoa(throttleBurst)+" at once", "retry_after")
	if !o.Throttle {
		steps = steps[:len(steps)-1]
	}
	var err error
	for _, step := range steps {
		o.Progress(step.what)
		if err = step.do(ctx); ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		var fatal *createdError
		if errors.As(err, &fatal) {
			break
		}
		err = nil // an answer is missing, and what it would show stays unchecked
	}
	p.cleanUp(ctx)
	p.report.Creates = p.creates
	for _, a := range assumptions {
		f, ok := p.found[a.id]
		if !ok {
			f = Finding{Verdict: NotChecked, Found: "the answer that shows it did not come"}
		}
		f.ID, f.Assumption = a.id, a.text
		p.report.Findings = append(p.report.Findings, f)
	}
	return p.report, err
}

// createdError is an error of Options.Created.
type createdError struct{ err error }

func (e *createdError) Error() string { return e.err.Error() }
func (e *createdError) Unwrap() error { return e.err }

// check records whether an assumption holds, and what was found.
func (p *prober) check(id string, holds bool, format string, args ...any) {
	v := Differs
	if holds {
		v = Holds
	}
	p.found[id] = Finding{Verdict: v, Found: fmt.Sprintf(format, args...)}
}

// skip records why assumptions were not checked, unless something was found about them.
func (p *prober) skip(why string, ids ...string) {
	for _, id := range ids {
		if _, ok := p.found[id]; !ok {
			p.found[id] = Finding{Verdict: NotChecked, Found: why}
		}
	}
}

// cleanUp cancels the exports that have not ended, also after ctx has ended.
func (p *prober) cleanUp(ctx context.Context) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer stop()
	for _, id := range p.running {
		_, _ = p.ask(ctx, cancelRequest(id)) // it ends without its cancel, too
	}
}
