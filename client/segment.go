package client

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Segment is a saved group of people. The API does not tell what defines it.
type Segment struct {
	ID, Name string
	Creator  string    // email; empty for a built-in one
	Created  time.Time // zero for a built-in one
	URL      string    // in the app
}

// SegmentQuery says which segments to list. The zero value is the first page.
type SegmentQuery struct {
	Creator string // only those of this email, exactly
	Limit   int    // at most 100; 0: the API's default of 20
	Cursor  string // Next of the page before, with the same Creator
}

// SegmentPage is one page of segments. An empty Next means the last one.
type SegmentPage struct {
	Segments []Segment
	Next     string
}

// Segments lists segments, in no promised order.
func (c *Client) Segments(ctx context.Context, q SegmentQuery) (SegmentPage, error) {
	k := read("list segments", "segments", "v1")
	k.query = page(q.Limit, q.Cursor)
	set(k.query, "creator", q.Creator)
	o, _, err := c.do(ctx, k)
	if err != nil {
		return SegmentPage{}, err
	}
	p := SegmentPage{Next: o.text("nextPaginationToken")}
	for _, s := range o.objects("segments") {
		p.Segments = append(p.Segments, segment(s))
	}
	return p, nil
}

// Segment returns the segment with that id; an unknown one is a 404.
func (c *Client) Segment(ctx context.Context, id string) (Segment, error) {
	o, _, err := c.do(ctx, read("get segment", "segments", "v1", id))
	if err != nil {
		return Segment{}, err
	}
	return segment(o), nil
}

func segment(o object) Segment {
	return Segment{ID: o.text("id"), Name: o.text("name"), Creator: o.text("creator"), Created: o.time("created"), URL: o.text("url")}
}

// page is the query of a page of a list.
func page(limit int, cursor string) url.Values {
	q := url.Values{}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	set(q, "paginationToken", cursor)
	return q
}

func set(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}
