package client

import (
	"context"
	"net/url"
	"time"
)

// Segment is a saved group of people. The API does not return its definition.
type Segment struct {
	ID, Name string    // Name passed Plain
	Creator  string    // email address; empty for a built-in segment
	Created  time.Time // zero for a built-in segment
	URL      string    // of the segment's page in the app, https; may be empty
}

// SegmentQuery selects the segments to list. The zero value selects the first page
// of all.
type SegmentQuery struct {
	Creator string // exact email address of the creator; empty: any
	Limit   int    // at most 100; 0: the API's default of 20
	Cursor  string // Next of the previous page, whose query had the same Creator
}

// SegmentPage is one page of segments, of at most as many as the query asks for. Next is
// empty on the last page.
type SegmentPage struct {
	Segments []Segment
	Unusable int // segments that are left out, because their id cannot be used
	Next     string
}

const (
	usualSegments   = 20  // on a page, if the query has no limit
	usualOperations = 100 // the same for operations
)

// Segments returns one page of segments. The API does not promise an order.
func (c *Client) Segments(ctx context.Context, q SegmentQuery) (SegmentPage, error) {
	k := read("list segments", "segments", "v1")
	k.query = url.Values{}
	set(k.query, "creator", q.Creator)
	l, err := c.list(ctx, k, "segments", q.Limit, usualSegments, q.Cursor)
	if err != nil {
		return SegmentPage{}, err
	}
	p := SegmentPage{Next: l.next}
	for _, each := range l.items {
		if s := segment(each); s.ID != "" {
			p.Segments = append(p.Segments, s)
		} else {
			p.Unusable++
		}
	}
	c.reportUnusable(ctx, k.op, p.Unusable)
	return p, nil
}

// Segment returns the segment with the given id. An unknown id fails with status
// 404.
func (c *Client) Segment(ctx context.Context, id string) (Segment, error) {
	k := read("get segment", "segments", "v1", id)
	k.needs = "id"
	a, err := c.do(ctx, k)
	if err != nil {
		return Segment{}, err
	}
	s := segment(a.object)
	if s.ID == "" {
		return Segment{}, &Error{
			Op: k.op, Status: a.status, Code: CodeUnusableID, Message: "the id of the segment cannot be used",
		}
	}
	return s, nil
}

// segment converts a segment of an answer.
func segment(o object) Segment {
	return Segment{
		ID: o.id("id"), Name: o.name("name"), Creator: o.name("creator"), Created: o.time("created"), URL: o.webLink("url"),
	}
}

// reportUnusable logs that items of a list are left out.
func (c *Client) reportUnusable(ctx context.Context, op string, n int) {
	if n > 0 && c.unknowns.isNew(op) {
		c.log.WarnContext(ctx, "Fullstory listed items whose id cannot be used; they are left out", "op", op, "items", n)
	}
}

// set adds key to q unless value is empty.
func set(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}
