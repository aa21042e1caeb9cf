package client

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

// apiRequest is an ExportRequest in the form that is sent, with the lower camel
// case of the official examples.
type apiRequest struct {
	SegmentID        string        `json:"segmentId"`
	Type             Type          `json:"type"`
	Format           Format        `json:"format"`
	TimeRange        apiRange      `json:"timeRange"`
	SegmentTimeRange *apiRange     `json:"segmentTimeRange,omitempty"`
	Timezone         string        `json:"timezone,omitempty"`
	Now              string        `json:"now,omitempty"`
	Fields           []string      `json:"fields,omitempty"`
	EventDetails     *eventDetails `json:"eventDetails,omitempty"`
}

// apiRange is a TimeRange in the form that is sent: an open side is an empty
// string, not a missing one.
type apiRange struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// eventDetails is sent only with exports of events.
type eventDetails struct {
	Scope Scope `json:"scope"`
}

// toAPI returns r in the form that is sent.
func (r ExportRequest) toAPI() apiRequest {
	kind, scope := r.TypeAndScope()
	w := apiRequest{
		SegmentID: rawID(r.SegmentID),
		Type:      kind,
		Format:    cmp.Or(r.Format, FormatNDJSON),
		TimeRange: apiRange(r.TimeRange),
		Timezone:  r.Timezone,
		Now:       r.Now,
		Fields:    r.Fields,
	}
	if r.SegmentTimeRange != nil {
		window := apiRange(*r.SegmentTimeRange)
		w.SegmentTimeRange = &window
	}
	if scope != "" {
		w.EventDetails = &eventDetails{Scope: scope}
	}
	return w
}

// CreateSegmentExport starts an export and returns the id of its operation.
//
// The call is not idempotent, and the API has no idempotency key, so it is retried
// only after a 429 or if the request cannot have left this machine. Uncertain is
// set in the error if an export may exist despite it: after no answer, 5xx, or a
// 2xx without an id. A 2xx whose body reports an error is a rejection. With
// CodeUnusableID an export exists that nothing can find.
func (c *Client) CreateSegmentExport(ctx context.Context, r ExportRequest) (operationID string, err error) {
	k := write("create segment export", r.toAPI(), "segments", "v1", "exports")
	k.needs = "operationId"
	a, err := c.do(ctx, k)
	if err != nil {
		if failed, ok := err.(*Error); ok {
			failed.Uncertain = failed.maybeCreated()
		}
		return "", err
	}
	id := a.id("operationId")
	if id == "" {
		return "", &Error{
			Op: k.op, Status: a.status, Code: CodeUnusableID, Uncertain: true,
			Message: fmt.Sprintf("the export was accepted, but its id of %d bytes cannot be used", len(a.raw("operationId"))),
		}
	}
	return id, nil
}

// Link is a signed URL of an export's file. Anyone who has it can fetch the file
// for about five minutes, so printing and logging omit the signature.
type Link struct {
	URL     string
	Expires time.Time
}

// String returns the URL without its query, which contains the signature.
func (l Link) String() string {
	u, err := url.Parse(l.URL)
	if err != nil {
		return "[link]"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// Shareable reports whether a link may be shown as one: it is an https address, or the
// API is on this machine and so is the file.
func (c *Client) Shareable(l Link) bool {
	u, err := url.Parse(l.URL)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && c.Loopback() && loopback(u.Hostname())
}

func (l Link) GoString() string     { return l.String() }
func (l Link) LogValue() slog.Value { return slog.StringValue(l.String()) }

// ExportResults returns a fresh link to the file of a completed export. The link may
// be any text on one line: package download decides which ones it follows.
func (c *Client) ExportResults(ctx context.Context, exportID string) (Link, error) {
	k := read("get export results", "search", "v1", "exports", exportID, "results")
	k.needs = "location"
	a, err := c.do(ctx, k)
	if err != nil {
		return Link{}, err
	}
	link := Link{URL: a.fileLink("location"), Expires: a.time("expires")}
	if link.URL == "" {
		return Link{}, &Error{
			Op: k.op, Status: a.status, Code: CodeIncomplete, Message: "the link to the file cannot be used",
		}
	}
	return link, nil
}
