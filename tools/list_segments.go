package tools

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

type segmentsIn struct {
	Query   string `json:"query,omitempty" jsonschema:"maxLength=500" jsonschema_description:"Part of a name, an id, or a pasted segment URL. Left out: all."`
	Creator string `json:"creator,omitempty" jsonschema:"maxLength=200" jsonschema_description:"Email of the segment's creator, exactly."`
	Limit   int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,default=20" jsonschema_description:"Most segments to return."`
	Cursor  string `json:"cursor,omitempty" jsonschema:"maxLength=2000" jsonschema_description:"next_cursor of an earlier answer, with the same query and creator."`
}

type segmentsOut struct {
	Summary    string       `json:"summary"`
	Segments   []segmentRow `json:"segments"`
	HasMore    bool         `json:"has_more"`
	NextCursor string       `json:"next_cursor,omitempty"`
	Next       string       `json:"next,omitempty"`
}

type segmentRow struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Creator string `json:"creator,omitempty"`
	Created string `json:"created,omitempty" jsonschema_description:"Absent for built-in segments."`
	URL     string `json:"url,omitempty"`
}

func listSegments(account func(context.Context) (*Account, error)) Tool[segmentsIn, segmentsOut] {
	return Tool[segmentsIn, segmentsOut]{
		Name:        "list_segments",
		Title:       "List segments",
		Description: "Lists the organisation's segments (saved groups of people): id, name, creator, created, link. An export needs a segment's id or exact name; the built-in everyone covers all people. The API tells nothing of a segment's criteria or size.",
		Effect:      Read,
		Call: func(ctx context.Context, in segmentsIn) (segmentsOut, error) {
			a, err := account(ctx)
			if err != nil {
				return segmentsOut{}, err
			}
			page, err := findSegments(ctx, a.Client, in)
			if err != nil {
				return segmentsOut{}, err
			}
			return segmentsResult(page, in), nil
		},
	}
}

// findSegments returns one page: of the API's own list, or, with a query, of
// the segments that fit it.
func findSegments(ctx context.Context, c *client.Client, in segmentsIn) (client.SegmentPage, error) {
	if in.Query == "" {
		return c.Segments(ctx, client.SegmentQuery{Creator: in.Creator, Limit: in.Limit, Cursor: in.Cursor})
	}
	if in.Cursor == "" {
		id, isURL := preflight.SegmentURL(in.Query)
		if !isURL {
			id = in.Query
		}
		s, err := preflight.SegmentByID(ctx, c, id)
		if err != nil {
			return client.SegmentPage{}, err
		}
		if s != nil && (in.Creator == "" || s.Creator == in.Creator) {
			return client.SegmentPage{Segments: []client.Segment{*s}}, nil
		}
	}
	return filterSegments(ctx, c, in)
}

// filterSegments walks the API's list until in.Limit segments fit the query.
// Its cursor is the API's with the number of fitting segments of that page
// that were given before.
func filterSegments(ctx context.Context, c *client.Client, in segmentsIn) (client.SegmentPage, error) {
	var found client.SegmentPage
	given, cursor, _ := strings.Cut(in.Cursor, ".")
	number, _ := strconv.Atoi(given)
	skip := max(0, number)
	for {
		page, err := c.Segments(ctx, client.SegmentQuery{Creator: in.Creator, Limit: 100, Cursor: cursor})
		if err != nil {
			return client.SegmentPage{}, err
		}
		fits := slices.DeleteFunc(page.Segments, func(s client.Segment) bool {
			return !strings.Contains(strings.ToLower(s.Name), strings.ToLower(in.Query))
		})
		fits = fits[min(skip, len(fits)):]
		take := min(len(fits), in.Limit-len(found.Segments))
		found.Segments = append(found.Segments, fits[:take]...)
		if take < len(fits) {
			found.Next = fmt.Sprintf("%d.%s", skip+take, cursor)
			return found, nil
		}
		if page.Next == "" || page.Next == cursor {
			return found, nil
		}
		cursor, skip = page.Next, 0
		if len(found.Segments) == in.Limit {
			found.Next = "0." + cursor
			return found, nil
		}
	}
}

// segmentLimit is the most segments of a result, whatever the API lists.
const segmentLimit = 100

func segmentsResult(page client.SegmentPage, in segmentsIn) segmentsOut {
	out := segmentsOut{Segments: []segmentRow{}, HasMore: page.Next != "", NextCursor: page.Next}
	for _, s := range page.Segments[:min(len(page.Segments), segmentLimit)] {
		row := segmentRow{ID: clean(s.ID, 100), Name: clean(s.Name, 120), Creator: clean(s.Creator, 80)}
		if strings.HasPrefix(s.URL, "https://") {
			row.URL = clean(s.URL, 150)
		}
		if !s.Created.IsZero() {
			row.Created = s.Created.UTC().Format(time.RFC3339)
		}
		out.Segments = append(out.Segments, row)
	}
	switch n := len(out.Segments); {
	case n == 0 && in.Query != "":
		out.Summary = "No segment fits the query."
		out.Next = "Call list_segments without query, or use the segment everyone."
	case n == 0:
		out.Summary = "The organisation lists no segments."
		out.Next = "Use the built-in segment everyone."
	case out.HasMore:
		out.Summary = counted(n, "segment") + ", and there are more."
		out.Next = "Call again with next_cursor for more, or give a query."
	default:
		out.Summary = counted(n, "segment") + "."
		out.Next = "Plan with plan_time_chunks or export with create_segment_export, giving the id."
	}
	if slices.ContainsFunc(out.Segments, func(s segmentRow) bool { return s.ID == preflight.Everyone }) {
		out.Summary += " everyone is all people."
	}
	return out
}
