package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// Everyone is the id of the built-in segment of all people. Its own window is the
// last 30 days, according to the documentation of the create-export call.
const Everyone = "everyone"

// Segments are the segments of an account. A *client.Client has them.
type Segments interface {
	Segment(ctx context.Context, id string) (client.Segment, error)
	Segments(ctx context.Context, q client.SegmentQuery) (client.SegmentPage, error)
}

const (
	// pageSize is the most segments that the API returns in one page.
	pageSize = 100
	// mostPages is how many pages are read to find a name.
	mostPages = 200
)

// ambiguous is the error of a name that several segments have.
func ambiguous(text string, matches []client.Segment) error {
	var ids []string
	for _, s := range matches {
		ids = append(ids, s.ID)
	}
	return reject("segment_id", "%d segments are named %q. Give the id instead, one of: %s.",
		len(matches), client.Clean(text, shownLimit), strings.Join(ids[:min(len(ids), mostIDs)], ", "))
}

// unknown is the error of a text that is neither the id nor the name of a segment.
// more is a sentence about it, or "". near are the segments whose names resemble it, nearest
// first.
func unknown(text, more string, near []client.Segment) error {
	message := fmt.Sprintf("no segment has the id or name %q.%s", client.Clean(text, shownLimit), more)
	if names := nearText(near); names != "" {
		message += " " + names
	}
	return reject("segment_id", "%s Take one from `list_segments`, or everyone for all people.", message)
}

const (
	// shownLimit is the most characters of a name in an error.
	shownLimit = 100
	// mostIDs is the most ids in an error.
	mostIDs = 10
	// textLimit is the most characters of a text that may be a name.
	textLimit = 500
)

// Renewable are Segments that may answer from memory. Renewed returns segments without
// any answer given before this search, or nil if the search had none of those.
type Renewable interface{ Renewed() Segments }

// FindSegment returns the segment with the id, the URL in the app, or the name
// text. An id goes before a name, and an exact name before one that differs in
// case. It fails with a *plan.Error if no segment matches, or several do. Before it
// fails, it looks again in c.Renewed(), because a segment may have been saved in
// Fullstory a moment ago.
func FindSegment(ctx context.Context, c Segments, text string) (client.Segment, error) {
	s, err := findSegment(ctx, c, text)
	if _, notFound := errors.AsType[*plan.Error](err); !notFound {
		return s, err
	}
	if from, ok := c.(Renewable); ok {
		if again := from.Renewed(); again != nil {
			return findSegment(ctx, again, text)
		}
	}
	return s, err
}

func findSegment(ctx context.Context, c Segments, text string) (client.Segment, error) {
	text = strings.TrimSpace(text)
	link := ""
	if id, ok := SegmentURL(text); ok {
		link, text = text, id
	}
	s, err := SegmentByID(ctx, c, text)
	if err != nil {
		return client.Segment{}, err
	}
	if s != nil {
		return *s, nil
	}
	all, err := allSegments(ctx, c)
	if err != nil {
		return client.Segment{}, err
	}
	name := client.Plain(text, textLimit) // as the names of segments are
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		var found []client.Segment
		for _, s := range all {
			if same(s.Name, name) {
				found = append(found, s)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return client.Segment{}, ambiguous(text, found)
		}
	}
	return client.Segment{}, unknown(text, otherOrganisation(link, all), near(text, all))
}

// otherOrganisation says that the link of a segment is of another organisation than the
// segments of the API key; "" if it is not known to be.
func otherOrganisation(link string, all []client.Segment) string {
	named := organisation(link)
	for _, s := range all {
		if own := organisation(s.URL); named != "" && own != "" && own != named {
			return fmt.Sprintf(" The link is of the organisation %s, and the API key is of %s: an export needs a key of the "+
				"organisation of its segment.", client.Clean(named, shownLimit), client.Clean(own, shownLimit))
		}
	}
	return ""
}

// organisation returns the organisation in the URL of a segment in the app; "" for other text.
func organisation(link string) string {
	if _, after, ok := strings.Cut(link, "/ui/"); ok {
		id, _, _ := strings.Cut(after, "/")
		return id
	}
	return ""
}

// SegmentByID returns the segment with the given id, or nil if there is none. It
// does not ask the API about text with white space, which cannot be an id.
func SegmentByID(ctx context.Context, c Segments, id string) (*client.Segment, error) {
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

// SegmentURL returns the segment id in the URL of a segment in the app, such as
// https://app.fullstory.com/ui/ORG/segments/ID/people. ok is false for other text.
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

// allSegments returns the segments of all pages. It stops at an empty page or a
// repeated cursor, and fails after mostPages, so that a faulty answer cannot make it
// loop forever.
func allSegments(ctx context.Context, c Segments) ([]client.Segment, error) {
	var all []client.Segment
	cursor := ""
	for range mostPages {
		page, err := c.Segments(ctx, client.SegmentQuery{Limit: pageSize, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Segments...)
		if page.Next == "" || page.Next == cursor || len(page.Segments)+page.Unusable == 0 {
			return all, nil
		}
		cursor = page.Next
	}
	return nil, reject("segment_id", "there are more than %d segments, too many to look for a name. Give the id.",
		mostPages*pageSize)
}

// NearNames describes up to three segments with names similar to text, such as `Near ones:
// "Checkout visitors" (tz81RtIU1Rw8).`; "" if there are none or the text is a link.
func NearNames(ctx context.Context, c Segments, text string) (string, error) {
	if _, link := SegmentURL(text); link {
		return "", nil
	}
	all, err := allSegments(ctx, c)
	return nearText(near(text, all)), err
}

// nearText is the sentence of NearNames.
func nearText(near []client.Segment) string {
	var names []string
	for _, s := range near {
		names = append(names, fmt.Sprintf("%q (%s)", client.Clean(s.Name, shownLimit), s.ID))
	}
	if len(names) == 0 {
		return ""
	}
	return "Near ones: " + strings.Join(names, ", ") + "."
}

// wordDistance returns the edit distance of text to name or, if that is less, to as many
// successive words of name as text has, each of which resembles its counterpart: "all users"
// is not near "Mobile app users".
func wordDistance(text, name string) int {
	distance := levenshtein.ComputeDistance(text, name)
	given, words := strings.Fields(text), strings.Fields(name)
	for i := 0; len(given) > 0 && i+len(given) <= len(words); i++ {
		sum, alike := 0, true
		for j, word := range given {
			d := levenshtein.ComputeDistance(word, words[i+j])
			sum, alike = sum+d, alike && d <= max(1, len(word)/4)
		}
		if alike {
			distance = min(distance, sum)
		}
	}
	return distance
}

// near returns up to three segments with names similar to text, the most similar
// first. A name that contains text, or that text contains, counts as equal. Only the
// first shownLimit characters count, so that long names cost no more.
func near(text string, all []client.Segment) []client.Segment {
	type candidate struct {
		client.Segment
		distance int
	}
	text = strings.ToLower(client.Clean(text, shownLimit))
	var close []candidate
	for _, s := range all {
		name, distance := strings.ToLower(client.Clean(s.Name, shownLimit)), 0
		if !strings.Contains(name, text) && !strings.Contains(text, name) {
			distance = wordDistance(text, name)
		}
		if name != "" && distance <= max(2, len(text)/3) {
			close = append(close, candidate{s, distance})
		}
	}
	slices.SortStableFunc(close, func(a, b candidate) int { return a.distance - b.distance })
	var nearest []client.Segment
	for _, c := range close[:min(3, len(close))] {
		nearest = append(nearest, c.Segment)
	}
	return nearest
}
