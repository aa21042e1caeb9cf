package exports

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

// laterTime bounds each question to Fullstory whose answer is known well enough from
// before, so that a call which needs two of them still has time for its work.
const laterTime = 7 * time.Second

// away is Fullstory while a request that it carries out later is recorded: whether it
// answers at present.
type away struct {
	a        *Account
	segments *sharedSegments
	err      error // why it does not answer; nil if it does
}

// checkLater is check for a request that is recorded now and carried out later. If
// Fullstory throttles, or is away for a while, it goes by what is known from before: the
// key's last role, if there is one, and segments that were seen or exported before. It
// fails if the key is not known at all.
func (a *Account) checkLater(ctx context.Context, zone string) (preflight.Check, *away, error) {
	w := &away{a: a, segments: a.segments()}
	me, err := w.me(ctx)
	now, skew := a.clock()
	return preflight.Check{Client: w, Zone: zone, Now: now, Role: me.Role, Skew: skew,
		UnknownField: a.unknownField(ctx), Budget: a.Budget}, w, err
}

// me returns the owner and role of the key: by Fullstory, else the last ones that it gave,
// else an empty value if the ledger knows the account of the key.
func (w *away) me(ctx context.Context) (client.Me, error) {
	known, ok := w.a.lastMe(ctx)
	if !ok {
		return w.a.hear(ctx)
	}
	me, err := ask(ctx, w, w.a.hear)
	if err == nil && me.Role.TooLow() { // an administrator may just have raised it
		known = me
		me, err = ask(ctx, w, w.a.askMe)
	}
	if w.err != nil {
		return known, nil
	}
	return me, err
}

// ask asks Fullstory for at most laterTime, and sets w.err if it fails in a way that passes.
func ask[T any](ctx context.Context, w *away, question func(context.Context) (T, error)) (T, error) {
	soon, cancel := context.WithTimeout(ctx, laterTime)
	defer cancel()
	answer, err := question(soon)
	switch {
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		w.err = &client.Error{Op: "look up what is exported", Err: context.DeadlineExceeded}
	case passing(err):
		w.err = err
	}
	return answer, err
}

// lastMe returns the last answer about the present key, or an empty one if only the ledger
// knows the key.
func (a *Account) lastMe(ctx context.Context) (client.Me, bool) {
	hash := a.Client.KeyHash()
	if me, ok := a.anyMe(hash); ok {
		return me, true
	}
	if !a.HasLedger() {
		return client.Me{}, false
	}
	l, err := a.Ledger(ctx)
	if err != nil {
		return client.Me{}, false
	}
	id, err := a.owner.read(ctx, l, a.key(hash))
	return client.Me{}, err == nil && id != ""
}

// Segment returns a segment by its id: as Fullstory describes it or, while it is away, as it
// is known from before.
func (w *away) Segment(ctx context.Context, id string) (client.Segment, error) {
	known, ok := w.a.lastSegment(ctx, id)
	if ok && w.err == nil {
		s, err := ask(ctx, w, func(ctx context.Context) (client.Segment, error) { return w.segments.Segment(ctx, id) })
		if w.err == nil {
			return s, err
		}
	}
	if ok {
		return known, nil
	}
	return w.segments.Segment(ctx, id)
}

// Segments returns a page of segments: by Fullstory or, if that fails in a way that passes,
// the one that it gave last.
func (w *away) Segments(ctx context.Context, q client.SegmentQuery) (client.SegmentPage, error) {
	page, err := w.segments.Segments(ctx, q)
	if !passing(err) {
		return page, err
	}
	last, ok := w.a.segmentPages.last(w.a.pageQuestion(q))
	if !ok {
		return page, err
	}
	w.err = err
	return last, nil
}

// Renewed implements preflight.Renewable.
func (w *away) Renewed() preflight.Segments {
	if w.err != nil {
		return nil
	}
	return w.segments.Renewed()
}

// mostBulksRead is how many bulk exports, newest first, are searched for a segment.
const mostBulksRead = 100

// lastSegment returns a segment as it is known without Fullstory: everyone, one that was
// looked up before, or that of an earlier bulk export, without its name.
func (a *Account) lastSegment(ctx context.Context, id string) (client.Segment, bool) {
	if s, ok := a.segment.last(a.segmentQuestion(id)); ok {
		return s, true
	}
	if id == preflight.Everyone {
		return client.Segment{ID: id, Name: "Everyone"}, true
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return client.Segment{}, false
	}
	bulks, err := engine.List(ctx, "", 0, mostBulksRead)
	if err != nil {
		return client.Segment{}, false
	}
	for _, b := range bulks {
		var r client.ExportRequest
		if json.Unmarshal(b.Request, &r) == nil && r.SegmentID == id {
			return client.Segment{ID: id}, true
		}
	}
	return client.Segment{}, false
}

// mayResolve returns an error if the ranges of a request depend on Fullstory's clock, which
// is not known: it would not be known what is exported. nowGiven is set if the caller chose
// the instant that they are relative to.
func (w *away) mayResolve(r client.ExportRequest, nowGiven bool) error {
	if w.err == nil || nowGiven || w.a.Sandbox || w.a.heard() || !preflight.Relative(&r.TimeRange, r.SegmentTimeRange) {
		return nil
	}
	return w.err
}

// text says that work starts later, and why; "" if Fullstory answers.
func (w *away) text() string {
	if w.err == nil {
		return ""
	}
	return "It starts once Fullstory accepts requests; no other call is needed. " + Explain(w.err).Cause
}
