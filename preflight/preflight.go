// Package preflight makes sure of an export request before it is sent: it
// finds the segment that is meant, turns time expressions into instants, and
// says what would surprise an expert. Nothing here changes anything at
// Fullstory.
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

// Check is what a request is checked against. A Check is a value to be used
// for one call; it holds no state.
type Check struct {
	Client *client.Client
	Zone   string      // zone of dates when the request names none; empty means UTC
	Now    time.Time   // the instant "now" of the call, pinned into the request
	Role   client.Role // role of the key; empty when it is not known
}

// Rows says what a row of an export is.
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
	Warnings []Warning // never nil
}

// Refusal is a request that contradicts itself. Field is the argument at
// fault; Message says what is wrong and every way to put it right.
type Refusal struct{ Field, Message string }

func (r *Refusal) Error() string { return r.Field + ": " + r.Message }

// Resolve returns r ready to be sent, with what should be known beforehand.
// It fails with a *Refusal, a *plan.Error, a *SegmentError, or an error of the
// client when the segment cannot be looked up.
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
		return Export{}, err
	}
	r.Timezone = zone.String()
	calendar := plan.Calendar{Zone: zone, Week: time.Monday}

	now, err := c.pin(r.Now)
	if err != nil {
		return Export{}, err
	}
	r.Now = instant(now)
	window, err := ResolveRange("time_range", r.TimeRange, calendar, now)
	if err != nil {
		return Export{}, err
	}
	r.TimeRange = wire(window)
	if r.SegmentTimeRange != nil {
		w, err := ResolveRange("segment_time_range", *r.SegmentTimeRange, calendar, now)
		if err != nil {
			return Export{}, err
		}
		of := wire(w)
		r.SegmentTimeRange = &of
	}
	segment, err := FindSegment(ctx, c.Client, r.SegmentID)
	if err != nil {
		return Export{}, err
	}
	r.SegmentID = segment.ID

	e := Export{Segment: segment, Range: window, Rows: rowsOf(r.Type)}
	e.Warnings = Lint(Subject{Request: r, Range: window, Role: c.Role, Now: c.Now})
	if segment.ID == Everyone && r.SegmentTimeRange == nil {
		same := r.TimeRange // its own window would cut the export silently
		r.SegmentTimeRange = &same
	}
	e.Request = r
	return e, nil
}

// pin returns the instant at which relative dates stand still: the caller's,
// or the time of the call to the millisecond.
func (c Check) pin(now string) (time.Time, error) {
	if now == "" {
		return c.Now.UTC().Truncate(time.Millisecond), nil
	}
	t, err := time.Parse(time.RFC3339, now)
	if err != nil {
		return time.Time{}, &Refusal{"now", fmt.Sprintf("%q is not an RFC 3339 instant such as 2026-10-01T00:00:00Z; leave it out to pin the time of this call", now)}
	}
	return t.UTC(), nil
}

// ResolveRange returns the instants that the range in the argument field means.
// It fails with a *plan.Error that names the side in full.
func ResolveRange(field string, r client.TimeRange, c plan.Calendar, now time.Time) (plan.Range, error) {
	w, err := plan.Resolve(r.Start, r.End, c, now)
	if err != nil {
		return plan.Range{}, In(field, err)
	}
	return w, nil
}

// In returns err with the side that it names, start or end, as one of the
// argument field.
func In(field string, err error) error {
	var refused *plan.Error
	if !errors.As(err, &refused) || refused.Field != "start" && refused.Field != "end" {
		return err
	}
	named := *refused
	named.Field = field + "." + refused.Field
	return &named
}

func wire(r plan.Range) client.TimeRange {
	return client.TimeRange{Start: instant(r.Start), End: instant(r.End)}
}

// instant writes t as the API wants it; a zero t is an open side.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func rowsOf(t client.Type) Rows {
	if t == client.TypeIndividual {
		return Individuals
	}
	return Events
}

// Contradictions fails with a *Refusal when r cannot be meant, naming each way
// to say what may be meant instead.
func Contradictions(r client.ExportRequest) error {
	implied := map[client.Type]client.Scope{client.TypePages: client.ScopePages, client.TypeSessions: client.ScopeSessions}
	switch want := implied[r.Type]; {
	case r.Type == client.TypeIndividual && r.Scope != "":
		return &Refusal{"scope", "TYPE_INDIVIDUAL has no scope. For one row a person, leave scope out. For all events of each matching person, use TYPE_EVENT with SCOPE_INDIVIDUALS."}
	case want != "" && r.Scope != "" && r.Scope != want:
		return &Refusal{"scope", fmt.Sprintf("%s means TYPE_EVENT with %s, and %s was given. Use %s without scope, or TYPE_EVENT with %s.", r.Type, want, r.Scope, r.Type, r.Scope)}
	}
	var twice []string
	for i, f := range r.Fields {
		if f == "" || strings.ContainsFunc(f, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return &Refusal{"fields", fmt.Sprintf("name %d is %q, which cannot be a column. Name columns such as UserId, or leave fields out.", i+1, f)}
		}
		if slices.Contains(r.Fields[:i], f) && !slices.Contains(twice, f) {
			twice = append(twice, f)
		}
	}
	if len(twice) > 0 {
		return &Refusal{"fields", fmt.Sprintf("duplicate_fields: %s named more than once, which the API refuses. Name each field once.", strings.Join(twice, ", "))}
	}
	return nil
}
