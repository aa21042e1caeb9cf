package client

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Wire is an ExportRequest as it is sent, in the lower camel case of the
// official examples.
type Wire struct {
	SegmentID        string        `json:"segmentId"`
	Type             Type          `json:"type"`
	Format           Format        `json:"format"`
	TimeRange        WireRange     `json:"timeRange"`
	SegmentTimeRange *WireRange    `json:"segmentTimeRange,omitempty"`
	Timezone         string        `json:"timezone,omitempty"`
	Now              string        `json:"now,omitempty"`
	Fields           []string      `json:"fields,omitempty"`
	EventDetails     *EventDetails `json:"eventDetails,omitempty"`
}

// WireRange is a TimeRange as it is sent: an open side is an empty string.
type WireRange struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// EventDetails is sent with exports of events alone.
type EventDetails struct {
	Scope Scope `json:"scope"`
}

// Wire returns r as it is sent. TypePages and TypeSessions become TypeEvent
// with their scope, which is how the current API spells them.
func (r ExportRequest) Wire() Wire {
	w := Wire{
		SegmentID: r.SegmentID,
		Type:      r.Type,
		Format:    cmp.Or(r.Format, FormatNDJSON),
		TimeRange: WireRange(r.TimeRange),
		Timezone:  r.Timezone,
		Now:       r.Now,
		Fields:    r.Fields,
	}
	if r.SegmentTimeRange != nil {
		window := WireRange(*r.SegmentTimeRange)
		w.SegmentTimeRange = &window
	}
	scope := r.Scope
	switch r.Type {
	case TypePages:
		w.Type, scope = TypeEvent, ScopePages
	case TypeSessions:
		w.Type, scope = TypeEvent, ScopeSessions
	case TypeIndividual:
		scope = ""
	}
	if scope != "" {
		w.EventDetails = &EventDetails{Scope: scope}
	}
	return w
}

// CreateSegmentExport starts an export and returns the id of its operation.
//
// The call is not idempotent and has no idempotency key, so it is repeated only
// after a 429 or when the request cannot have left. A failure after which an
// export may exist all the same has Uncertain set.
func (c *Client) CreateSegmentExport(ctx context.Context, r ExportRequest) (operationID string, err error) {
	const op = "create segment export"
	o, _, err := c.do(ctx, write(op, r.Wire(), "segments", "v1", "exports"))
	if failed, ok := err.(*Error); ok {
		failed.Uncertain = failed.maybeCreated()
	}
	if err != nil {
		return "", err
	}
	if id := o.text("operationId"); isToken(id) {
		return id, nil
	}
	says := cmp.Or(o.text("error"), o.object("error").text("message"), "the answer names no operation")
	return "", &Error{Op: op, Status: http.StatusOK, Message: c.scrub(says), Uncertain: o.text("error") == ""}
}

// maybeCreated tells whether an export may exist although its create failed.
func (e *Error) maybeCreated() bool {
	return e.sent && (e.Status == 0 || e.Status >= 500)
}

// Link is a signed address of an export's file. Whoever has it can fetch the
// file for about five minutes, so it does not show when it is printed.
type Link struct {
	URL     string
	Expires time.Time
}

func (l Link) String() string {
	u, err := url.Parse(l.URL)
	if err != nil {
		return "[link]"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

func (l Link) GoString() string     { return l.String() }
func (l Link) LogValue() slog.Value { return slog.StringValue(l.String()) }

// ExportResults returns a fresh link to the file of a completed export.
func (c *Client) ExportResults(ctx context.Context, exportID string) (Link, error) {
	const op = "get export results"
	o, _, err := c.do(ctx, read(op, "search", "v1", "exports", exportID, "results"))
	if err != nil {
		return Link{}, err
	}
	l := Link{URL: o.text("location"), Expires: o.time("expires")}
	if l.URL == "" {
		return Link{}, &Error{Op: op, Status: http.StatusBadGateway, Message: "the answer holds no link"}
	}
	return l, nil
}
