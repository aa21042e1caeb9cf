package client

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"
)

// Segment is a saved group of people. The API does not return its definition.
type Segment struct {
	ID, Name string
	Creator  string    // email address; empty for a built-in segment
	Created  time.Time // zero for a built-in segment
	URL      string    // of the segment's page in the app
}

// SegmentQuery selects the segments to list. The zero value selects the first page
// of all.
type SegmentQuery struct {
	Creator string // exact email address of the creator; empty: any
	Limit   int    // at most 100; 0: the API's default of 20
	Cursor  string // Next of the previous page, whose query had the same Creator
}

// SegmentPage is one page of segments. Next is empty on the last page.
type SegmentPage struct {
	Segments []Segment
	Next     string
}

// Segments returns one page of segments. The API does not promise an order.
func (c *Client) Segments(ctx context.Context, q SegmentQuery) (SegmentPage, error) {
	k := read("list segments", "segments", "v1")
	k.query = url.Values{}
	set(k.query, "creator", q.Creator)
	a, err := c.page(ctx, k, q.Limit, q.Cursor)
	if err != nil {
		return SegmentPage{}, err
	}
	p := SegmentPage{Next: a.text("nextPaginationToken")}
	for _, s := range a.objects("segments") {
		p.Segments = append(p.Segments, segment(s))
	}
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
	return segment(a.object), nil
}

// segment converts a segment of an answer.
func segment(o object) Segment {
	return Segment{
		ID: o.text("id"), Name: o.text("name"), Creator: o.text("creator"), Created: o.time("created"), URL: o.text("url"),
	}
}

// page reads one page of a list, of at most limit objects; 0: the API's default. While
// the answer is too large, it asks for a tenth as many.
func (c *Client) page(ctx context.Context, k call, limit int, cursor string) (reply, error) {
	set(k.query, "paginationToken", cursor)
	for {
		if limit > 0 {
			k.query.Set("limit", strconv.Itoa(limit))
		}
		a, err := c.do(ctx, k)
		failed, _ := errors.AsType[*Error](err)
		if failed == nil || failed.Code != CodeTooLarge || limit == 1 {
			return a, err
		}
		limit = max(1, cmp.Or(limit, 100)/10)
	}
}

// set adds key to q unless value is empty.
func set(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}
