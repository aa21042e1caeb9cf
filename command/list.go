package command

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/ledger"
)

// listCommand is `list`: the bulk exports of the folder.
type listCommand struct {
	State string `help:"Only those that are running, paused, complete, partial, failed or cancelled." enum:",running,paused,complete,partial,failed,cancelled" default:"" placeholder:"STATE"`
	Limit int    `help:"Most to list, newest first. Default: 50." default:"50" placeholder:"N"`
	JSON  bool   `help:"Print one JSON object for each, a line each." name:"json"`
}

// Run lists bulk exports, newest first. It changes nothing.
func (l *listCommand) Run(ctx context.Context, a *app) error {
	if l.Limit < 1 {
		return &exitError{statusUsage, fmt.Errorf("--limit: got %d; give a whole number of 1 or more", l.Limit)}
	}
	return a.observe(ctx, func(account *exports.Account) error {
		var found []exports.BulkSummary
		more := false
		for offset := 0; ; {
			page, err := account.Bulks(ctx, ledger.BulkState(l.State), offset, l.Limit-len(found))
			if err != nil {
				return err
			}
			found, offset = append(found, page.Bulks...), page.Next
			if more = offset > 0; !more || len(found) >= l.Limit {
				break
			}
		}
		if l.JSON {
			return printEach(printableJSON{a.newView(a.stdout).out}, found)
		}
		l.show(a.newView(a.stdout), found, more)
		return nil
	})
}

// show prints a table of bulk exports.
func (l *listCommand) show(v view, found []exports.BulkSummary, more bool) {
	if len(found) == 0 {
		v.line("No bulk exports here yet. fullstory-export-mcp run starts one.")
		return
	}
	var rows [][]string
	for _, b := range found {
		segment := ""
		if b.Export != nil {
			segment = segmentOf(*b.Export)
		}
		rows = append(rows, []string{
			b.Name, b.State, fmt.Sprintf("%d/%d", b.Chunks.Stored, b.Chunks.All),
			humanize.Comma(b.Rows), humanize.Bytes(uint64(b.Bytes)), segment,
		})
	}
	v.table([]string{"NAME", "STATE", "FILES", "ROWS", "SIZE", "SEGMENT"}, rows, 2, 3, 4)
	if more {
		v.line(fmt.Sprintf("There are more; --limit %d lists more of them.", 2*l.Limit))
	}
}

// segmentOf returns the name and id of the segment of an export.
func segmentOf(d exports.Description) string {
	if d.SegmentName == "" || d.SegmentName == d.SegmentID {
		return d.SegmentID
	}
	return d.SegmentName + " (" + d.SegmentID + ")"
}
