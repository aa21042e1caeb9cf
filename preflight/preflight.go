// Package preflight checks an export request before it is sent: it looks up the
// segment, turns time expressions into instants, and gives notice of what would
// surprise even an expert. It only reads from Fullstory.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// Check is the context in which a request is checked. It is a value for one call,
// because Now is fixed, and has no state of its own.
type Check struct {
	Client Segments
	Zone   string        // zone of dates if the request has none; empty means UTC
	Now    time.Time     // time of the call by Fullstory's clock; relative dates depend on it
	Role   client.Role   // role of the key; empty: not known
	Skew   time.Duration // this machine's clock minus Fullstory's
	// UnknownField is what Fullstory does with a field that does not exist; empty: not known.
	UnknownField FieldRule
	Budget       *Budget // nil: UsualBudget
}

// Rows is what a row of an export represents.
type Rows string

// The two kinds of rows.
const (
	Events      Rows = "events"
	Individuals Rows = "individuals"
)

// Export is a request that is ready to be sent.
type Export struct {
	Request  client.ExportRequest // instants in UTC, segment by id, every default filled in
	Segment  client.Segment
	Range    plan.Range // Request.TimeRange as instants
	Rows     Rows
	Today    string   // date in the zone of Request, if its ranges were given relative to it; else ""
	Warnings []Notice // about an export in one file; never nil, blockers first

	subject Subject
}

// Chunked returns the notices about the export in the given number of files. size is
// the estimated size of all files in megabytes; 0: not known.
func (e Export) Chunked(files int, size float64, sizing Sizing) []Notice {
	s := e.subject
	s.Cut, s.Files, s.Size, s.Sizing = true, files, size, sizing
	return Lint(s)
}

// reject returns the error of a request that is rejected before it is sent. The
// message says what is wrong with the argument and every way to correct it.
func reject(field, format string, args ...any) error {
	return &plan.Error{Field: field, Message: fmt.Sprintf(format, args...)}
}

// Resolve returns r in a form that is ready to be sent, with notices about it. A
// blocker among them is not an error of Resolve; see Blocked. Resolve fails with a
// *plan.Error, or with an error of the client if the segment cannot be looked up.
func (c Check) Resolve(ctx context.Context, r client.ExportRequest) (Export, error) {
	if err := Contradictions(r); err != nil {
		return Export{}, err
	}
	if r.Timezone == "" {
		r.Timezone = c.Zone
	}
	if r.Timezone == "" {
		r.Timezone = "UTC"
	}
	zone, err := plan.Zone(r.Timezone)
	if err != nil {
		return Export{}, c.alsoWrong(ctx, r, time.UTC, err)
	}
	r.Timezone = zone.String()
	calendar := plan.Calendar{Zone: zone, Week: time.Monday}

	now, err := c.pin(r.Now)
	if err != nil {
		return Export{}, err
	}
	r.Now = instant(now)
	today := Today(now, zone, &r.TimeRange, r.SegmentTimeRange)
	window, err := ResolveRange("time_range", r.TimeRange, calendar, now)
	if err != nil {
		return Export{}, c.alsoWrong(ctx, r, nil, err)
	}
	r.TimeRange = inUTC(window)
	var own bool
	if r.SegmentTimeRange, own, err = segmentWindow(r, calendar, now); err != nil {
		return Export{}, err
	}
	segment, err := FindSegment(ctx, c.Client, r.SegmentID)
	if err != nil {
		return Export{}, err
	}
	r.SegmentID = segment.ID

	e := Export{Segment: segment, Range: window, Rows: RowsOf(r.Type), Today: today}
	e.subject = Subject{Request: r, Own: own, Range: window, Role: c.Role, Now: c.Now, Skew: c.Skew,
		UnknownField: c.UnknownField, Budget: c.Budget}
	e.Warnings = Lint(e.subject)
	if segment.ID == Everyone && r.SegmentTimeRange == nil && !own {
		same := r.TimeRange // everyone's own window would silently leave out rows
		r.SegmentTimeRange = &same
	}
	e.Request = r
	return e, nil
}

// alsoWrong adds to the error of an argument of r those of arguments that Resolve had not read
// yet, so that a caller can correct all at once: the segment and, with a zone to read it in,
// time_range.
func (c Check) alsoWrong(ctx context.Context, r client.ExportRequest, zone *time.Location, first error) error {
	found := []error{first}
	add := func(err error) {
		if _, wrong := errors.AsType[*plan.Error](err); wrong {
			found = append(found, err)
		}
	}
	if zone != nil {
		_, err := ResolveRange("time_range", r.TimeRange, plan.Calendar{Zone: zone, Week: time.Monday}, c.Now)
		add(err)
	}
	_, err := FindSegment(ctx, c.Client, r.SegmentID)
	add(err)
	if len(found) == 1 {
		return first
	}
	return errors.Join(found...)
}

// pin returns the instant on which relative dates depend: the caller's now, or the
// time of the call, truncated to the millisecond.
func (c Check) pin(now string) (time.Time, error) {
	if now == "" {
		return c.Now.UTC().Truncate(time.Millisecond), nil
	}
	t, err := time.Parse(time.RFC3339, now)
	if err != nil {
		return time.Time{}, reject("now",
			"%q is not an RFC 3339 instant such as 2026-10-01T00:00:00Z; leave it out to use the time of this call", now)
	}
	return t.UTC(), nil
}

// ResolveRange returns the instants of the range r, which was given as the argument
// field. It fails with a *plan.Error whose Field is the path of the faulty side,
// such as time_range.start.
func ResolveRange(field string, r client.TimeRange, c plan.Calendar, now time.Time) (plan.Range, error) {
	w, err := plan.Resolve(r.Start, r.End, c, now)
	if err != nil {
		return plan.Range{}, In(field, err)
	}
	return w, nil
}

// In returns err with field as a prefix of its Field, if err is a *plan.Error about
// start or end: time_range.start for start. It returns any other error unchanged.
func In(field string, err error) error {
	var failed *plan.Error
	if !errors.As(err, &failed) || failed.Field != "start" && failed.Field != "end" {
		return err
	}
	named := *failed
	named.Field = field + "." + failed.Field
	return &named
}

// inUTC returns r as a TimeRange in the form that is sent.
func inUTC(r plan.Range) client.TimeRange {
	return client.TimeRange{Start: instant(r.Start), End: instant(r.End)}
}

// instant returns t in the form that the API accepts; "", an open side, for the
// zero time.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// RowsOf returns what a row of an export of type t represents.
func RowsOf(t client.Type) Rows {
	if t == client.TypeIndividual {
		return Individuals
	}
	return Events
}

// Contradictions returns a *plan.Error if r contradicts itself or names impossible
// columns. Its Message lists the valid requests that were probably meant.
func Contradictions(r client.ExportRequest) error {
	implied := map[client.Type]client.Scope{client.TypePages: client.ScopePages, client.TypeSessions: client.ScopeSessions}
	switch want := implied[r.Type]; {
	case r.Type == client.TypeIndividual && r.Scope != "":
		return reject("scope", "TYPE_INDIVIDUAL has no scope. For one row per person, leave `scope` out. For all events of "+
			"each matching person, use TYPE_EVENT with SCOPE_INDIVIDUALS.")
	case want != "" && r.Scope != "" && r.Scope != want:
		return reject("scope",
			"%s means TYPE_EVENT with %s, but `scope` is %s. Use %s without `scope`, or TYPE_EVENT with %s.",
			r.Type, want, r.Scope, r.Type, r.Scope)
	}
	var twice []string
	for i, f := range r.Fields {
		if f == "" || strings.ContainsFunc(f, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return reject("fields", "name %d is %q, which cannot be a column. Use names such as UserId, or leave `fields` out.",
				i+1, f)
		}
		if slices.Contains(r.Fields[:i], f) && !slices.Contains(twice, f) {
			twice = append(twice, f)
		}
	}
	if len(twice) > 0 {
		return reject("fields", "duplicate_fields: %s named more than once, which the API rejects. Name each field once.",
			strings.Join(twice, ", "))
	}
	return nil
}
