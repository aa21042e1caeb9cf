package preflight

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"fullstory-export-mcp/client"
)

// Everyone is the id of the built-in segment of all people. Its own window is
// the last 30 days (documentation of the create-export call).
const Everyone = "everyone"

// pageSize is the most segments the API lists at once.
const pageSize = 100

// SegmentError says that a text names no segment, or more than one.
type SegmentError struct {
	Asked   string
	Matches []client.Segment // two or more share the name; empty: none has it
	Near    []client.Segment // names close to the text, nearest first
}

func (e *SegmentError) Error() string {
	if len(e.Matches) > 0 {
		return "several segments are named " + e.Asked
	}
	return "no segment has the id or name " + e.Asked
}

// FindSegment returns the segment that text means: an id, the URL of a segment
// in the app, or a name, exactly or else without regard to case. It fails with
// a *SegmentError when none or several fit.
func FindSegment(ctx context.Context, c *client.Client, text string) (client.Segment, error) {
	text = strings.TrimSpace(text)
	if id, ok := SegmentURL(text); ok {
		text = id
	}
	s, err := SegmentByID(ctx, c, text)
	if s != nil || err != nil {
		return deref(s), err
	}
	all, err := allSegments(ctx, c)
	if err != nil {
		return client.Segment{}, err
	}
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		var found []client.Segment
		for _, s := range all {
			if same(s.Name, text) {
				found = append(found, s)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return client.Segment{}, &SegmentError{Asked: text, Matches: found}
		}
	}
	return client.Segment{}, &SegmentError{Asked: text, Near: near(text, all)}
}

// SegmentByID returns the segment with that id, or nil when there is none.
// Text with white space is no id and is not asked for.
func SegmentByID(ctx context.Context, c *client.Client, id string) (*client.Segment, error) {
	if id == "" || strings.ContainsAny(id, " \t\r\n") {
		return nil, nil
	}
	s, err := c.Segment(ctx, id)
	var failed *client.Error
	if errors.As(err, &failed) && (failed.Status == http.StatusNotFound || failed.Status == http.StatusBadRequest) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// SegmentURL returns the segment id in the address of a segment in the app,
// such as https://app.fullstory.com/ui/ORG/segments/ID/people.
func SegmentURL(text string) (id string, ok bool) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return "", false
	}
	parts := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	i := slices.IndexFunc(parts, func(p string) bool { return p == "segments" || p == "segment" })
	if i < 0 || i+1 >= len(parts) {
		return "", false
	}
	id, err = url.PathUnescape(parts[i+1])
	return id, err == nil && id != ""
}

// allSegments walks every page. It stops at an empty page or a repeated
// cursor, so that a faulty answer cannot make it walk for ever.
func allSegments(ctx context.Context, c *client.Client) ([]client.Segment, error) {
	var all []client.Segment
	for cursor := ""; ; {
		page, err := c.Segments(ctx, client.SegmentQuery{Limit: pageSize, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Segments...)
		if page.Next == "" || page.Next == cursor || len(page.Segments) == 0 {
			return all, nil
		}
		cursor = page.Next
	}
}

// near returns up to three segments whose names resemble text.
func near(text string, all []client.Segment) []client.Segment {
	text = strings.ToLower(text)
	distance := func(s client.Segment) int {
		name := strings.ToLower(s.Name)
		if strings.Contains(name, text) || strings.Contains(text, name) {
			return 0
		}
		return levenshtein.ComputeDistance(text, name)
	}
	var close []client.Segment
	for _, s := range all {
		if s.Name != "" && distance(s) <= max(2, len(text)/3) {
			close = append(close, s)
		}
	}
	slices.SortStableFunc(close, func(a, b client.Segment) int { return distance(a) - distance(b) })
	return close[:min(3, len(close))]
}

func deref(s *client.Segment) client.Segment {
	if s == nil {
		return client.Segment{}
	}
	return *s
}
