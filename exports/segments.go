package exports

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

// textLength is the most characters of a text that is looked for in names.
const textLength = 500

// sharedSegments are the segments of an account, for one search in one goroutine. Equal
// questions of all searches within answerLife are asked once.
type sharedSegments struct {
	a     *Account
	since time.Time // no answer to a request made before it is used
	began time.Time // when the search began
	old   bool      // an answer was that of a request made before began
}

func (a *Account) segments() *sharedSegments { return &sharedSegments{a: a, began: time.Now()} }

// Renewed implements preflight.Renewable.
func (s *sharedSegments) Renewed() preflight.Segments {
	if !s.old {
		return nil
	}
	return &sharedSegments{a: s.a, since: s.began, began: s.began}
}

func (s *sharedSegments) Segment(ctx context.Context, id string) (client.Segment, error) {
	ask := func(ctx context.Context) (client.Segment, error) { return s.a.Client.Segment(ctx, id) }
	segment, asked, err := s.a.segment.since(ctx, s.since, s.a.segmentQuestion(id), answerLife, ask)
	s.old = s.old || asked.Before(s.began)
	return segment, err
}

func (s *sharedSegments) Segments(ctx context.Context, q client.SegmentQuery) (client.SegmentPage, error) {
	ask := func(ctx context.Context) (client.SegmentPage, error) { return s.a.Client.Segments(ctx, q) }
	page, asked, err := s.a.segmentPages.since(ctx, s.since, s.a.pageQuestion(q), answerLife, ask)
	s.old = s.old || asked.Before(s.began)
	page.Segments = slices.Clone(page.Segments) // callers change it
	return page, err
}

// segmentQuestion and pageQuestion identify what Fullstory is asked.
func (a *Account) segmentQuestion(id string) string {
	return fmt.Sprintf("%s %q", a.Client.KeyHash(), id)
}

func (a *Account) pageQuestion(q client.SegmentQuery) string {
	return fmt.Sprintf("%s %q %d %q", a.Client.KeyHash(), q.Creator, q.Limit, q.Cursor)
}

// SegmentQuery selects segments. Its zero value selects all.
type SegmentQuery struct {
	Text    string // part of a name, an id, or the URL of a segment
	Creator string // email, exactly
	Limit   int    // of segments on the page
	Cursor  string // Next of the page before
}

// Segments returns a page of the API's list or, with a text, of the segments that match
// it: the one with that id or URL, or those whose names contain it. A text that nothing
// matches in answers to earlier calls is looked for again in new ones.
func (a *Account) Segments(ctx context.Context, q SegmentQuery) (client.SegmentPage, error) {
	segments := a.segments()
	if q.Text == "" {
		return segments.Segments(ctx, client.SegmentQuery{Creator: q.Creator, Limit: q.Limit, Cursor: q.Cursor})
	}
	page, err := searchSegments(ctx, segments, q)
	if again := segments.Renewed(); err == nil && len(page.Segments) == 0 && again != nil {
		return searchSegments(ctx, again, q)
	}
	return page, err
}

// NearSegments describes segments with names similar to a text that no segment matches; "" if
// there are none, or they cannot be listed.
func (a *Account) NearSegments(ctx context.Context, text string) string {
	names, err := preflight.NearNames(ctx, a.segments(), text)
	if err != nil {
		return ""
	}
	return names
}

// searchSegments returns the page of a query with a text.
func searchSegments(ctx context.Context, c preflight.Segments, q SegmentQuery) (client.SegmentPage, error) {
	if q.Cursor == "" {
		id, isURL := preflight.SegmentURL(q.Text)
		if !isURL {
			id = q.Text
		}
		s, err := preflight.SegmentByID(ctx, c, id)
		if err != nil {
			return client.SegmentPage{}, err
		}
		if s != nil && (q.Creator == "" || s.Creator == q.Creator) {
			return client.SegmentPage{Segments: []client.Segment{*s}}, nil
		}
	}
	return filterSegments(ctx, c, q)
}

// LeftOut says that segments of a page are left out; "" if none are.
func LeftOut(p client.SegmentPage) string { return leftOut(p.Unusable, "segment") }

// pagesOfCall bounds the pages of the API's list that one call reads. The next call
// continues after them.
const pagesOfCall = 50

// filterSegments walks the API's list until q.Limit segments match the text. Its cursor
// is N.CURSOR: the API's cursor of a page, and the number of matching segments of that
// page that earlier pages of the result had.
func filterSegments(ctx context.Context, c preflight.Segments, q SegmentQuery) (client.SegmentPage, error) {
	var found client.SegmentPage
	given, cursor, _ := strings.Cut(q.Cursor, ".")
	number, _ := strconv.Atoi(given)
	skip := max(0, number)
	text := strings.ToLower(client.Plain(q.Text, textLength))
	for n := 1; ; n++ {
		page, err := c.Segments(ctx, client.SegmentQuery{Creator: q.Creator, Limit: 100, Cursor: cursor})
		if err != nil {
			return client.SegmentPage{}, err
		}
		matches := slices.DeleteFunc(page.Segments, func(s client.Segment) bool {
			return !strings.Contains(strings.ToLower(s.Name), text)
		})
		matches = matches[min(skip, len(matches)):]
		take := min(len(matches), q.Limit-len(found.Segments))
		found.Segments = append(found.Segments, matches[:take]...)
		found.Unusable += page.Unusable
		if take < len(matches) {
			found.Next = fmt.Sprintf("%d.%s", skip+take, cursor)
			return found, nil
		}
		if page.Next == "" || page.Next == cursor {
			return found, nil
		}
		cursor, skip = page.Next, 0
		if len(found.Segments) == q.Limit || n == pagesOfCall {
			found.Next = "0." + cursor
			return found, nil
		}
	}
}
