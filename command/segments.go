package command

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

// segmentsCommand is `segments`: the segments that can be exported.
type segmentsCommand struct {
	Query   string `arg:"" optional:"" help:"Part of a name, an id, or the URL of a segment. Default: all segments."`
	Creator string `help:"Only segments of this creator." placeholder:"EMAIL"`
	Limit   int    `help:"Most to list. Default: 100." default:"100" placeholder:"N"`
	JSON    bool   `help:"Print one JSON object for each, a line each." name:"json"`
}

// listedSegment is a line of --json.
type listedSegment struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Creator string `json:"creator,omitempty"`
	Created string `json:"created,omitempty"`
	URL     string `json:"url,omitempty"`
}

// Run lists segments.
func (c *segmentsCommand) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 {
		return &exitError{statusUsage, fmt.Errorf("--limit: got %d; give a whole number of 1 or more", c.Limit)}
	}
	return a.observe(ctx, func(account *exports.Account) error {
		q := exports.SegmentQuery{Text: c.Query, Creator: c.Creator}
		var found []client.Segment
		for {
			q.Limit = min(100, c.Limit-len(found))
			page, err := account.Segments(ctx, q)
			if err != nil {
				return err
			}
			if text := exports.LeftOut(page); text != "" {
				a.newView(a.stderr).warn(text)
			}
			found, q.Cursor = append(found, page.Segments...), page.Next
			if q.Cursor == "" || len(found) >= c.Limit {
				break
			}
		}
		if c.JSON {
			return printEach(printableJSON{a.newView(a.stdout).out}, listed(found))
		}
		c.show(ctx, a.newView(a.stdout), account, found, q.Cursor != "")
		return nil
	})
}

// show prints a table of segments.
func (c *segmentsCommand) show(
	ctx context.Context, v view, account *exports.Account, found []client.Segment, more bool,
) {
	if len(found) == 0 {
		near := account.NearSegments(ctx, c.Query)
		v.line("No segment matches. " + cmp.Or(near, "fullstory-export-mcp segments without a word lists all of them."))
		return
	}
	var rows [][]string
	for _, s := range listed(found) {
		rows = append(rows, []string{s.ID, s.Name, s.Creator})
	}
	v.table([]string{"ID", "NAME", "CREATOR"}, rows)
	if more {
		v.line(fmt.Sprintf("There are more; --limit %d lists more of them.", 2*c.Limit))
	}
}

func listed(segments []client.Segment) (list []listedSegment) {
	for _, s := range segments {
		created := ""
		if !s.Created.IsZero() {
			created = s.Created.UTC().Format(time.RFC3339)
		}
		list = append(list, listedSegment{s.ID, s.Name, s.Creator, created, s.URL})
	}
	return list
}
