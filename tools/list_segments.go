package tools

import (
	"context"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/preflight"
)

type segmentsIn struct {
	Query   string `json:"query,omitempty" jsonschema:"maxLength=500" jsonschema_description:"Part of a name, an id, or a segment URL. Left out: all."`
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

func listSegments(accounts Accounts) Tool[segmentsIn, segmentsOut] {
	return Tool[segmentsIn, segmentsOut]{
		Name:  "list_segments",
		Title: "List segments",
		Description: "Lists the organisation's segments (saved groups of people): id, name, creator, created, " +
			"link. An export needs a segment's id or exact name; the built-in everyone covers all people. The API " +
			"returns neither a segment's criteria nor its size.",
		Effect: Read,
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in segmentsIn) (segmentsOut, error) {
			q := exports.SegmentQuery{Text: in.Query, Creator: in.Creator, Limit: in.Limit, Cursor: in.Cursor}
			for {
				page, err := a.Segments(ctx, q)
				if err != nil {
					return segmentsOut{}, err
				}
				out := segmentsResult(page, in)
				n := exports.Fitting(out.Segments)
				if n == 0 && in.Query != "" && !out.HasMore {
					out.Summary = strings.TrimSpace(out.Summary + " " + a.NearSegments(ctx, in.Query))
				}
				if n == len(out.Segments) {
					return out, nil
				}
				q.Limit = n
			}
		}),
	}
}

func segmentsResult(page client.SegmentPage, in segmentsIn) segmentsOut {
	out := segmentsOut{Segments: []segmentRow{}, HasMore: page.Next != "", NextCursor: page.Next}
	for _, s := range page.Segments {
		row := segmentRow{ID: s.ID, Name: client.Clean(s.Name, 120), Creator: client.Clean(s.Creator, 80), URL: s.URL}
		if !s.Created.IsZero() {
			row.Created = s.Created.UTC().Format(time.RFC3339)
		}
		out.Segments = append(out.Segments, row)
	}
	switch n := len(out.Segments); {
	case n == 0 && in.Query != "":
		out.Summary = "No segment matches the query."
		out.Next = "Call list_segments without query, or ask the user for the link of the segment; everyone is all people."
	case n == 0:
		out.Summary = "The organisation lists no segments."
		out.Next = "Use the built-in segment everyone."
	case out.HasMore:
		out.Summary = exports.Counted(n, "segment") + ", and there are more."
		out.Next = "Call again with next_cursor for more, or give a query."
	default:
		out.Summary = exports.Counted(n, "segment") + "."
		out.Next = "Plan with plan_time_chunks or export with create_segment_export, giving the id."
	}
	if slices.ContainsFunc(out.Segments, func(s segmentRow) bool { return s.ID == preflight.Everyone }) {
		out.Summary += " everyone is all people."
	}
	out.Summary += exports.LeftOut(page)
	return out
}
