package command

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/plan"
)

// statusCommand is `status`: one bulk export.
type statusCommand struct {
	Name  string `arg:"" help:"Name or id of the bulk export."`
	Watch bool   `help:"Show its progress until it ends. Ctrl-C ends only the watching." short:"w"`
	JSON  bool   `help:"Print the status as one JSON object on stdout; with --watch the last one, progress goes to stderr." name:"json"`
}

// Run prints the status of a bulk export. It changes nothing.
func (c *statusCommand) Run(ctx context.Context, a *app) error {
	return a.observe(ctx, func(account *exports.Account) error {
		s, err := account.BulkStatus(ctx, c.Name)
		if err == nil && s.State == "running" {
			if led, err := account.Led(ctx); err == nil && !led {
				a.newView(a.warned()).warn(
					"No process carries it out at present. Continue it: fullstory-export-mcp resume " + shellWord(s.Name))
			}
		}
		if err == nil && c.Watch && s.State == "running" {
			s, err = a.watch(ctx, account, s.BulkID, a.told(c.JSON))
		}
		if err != nil && (ctx.Err() == nil || s.BulkID == "") {
			return err
		}
		if c.JSON {
			return printableJSON{a.newView(a.stdout).out}.print(s)
		}
		calendar, err := account.BulkCalendar(context.WithoutCancel(ctx), s.BulkID)
		if err != nil {
			return err
		}
		showStatus(a.newView(a.stdout), s, calendar)
		return nil
	})
}

// showStatus prints a bulk export with its calendar and its problems.
func showStatus(v view, s exports.BulkStatus, calendar exports.Calendar) {
	switch summary := exports.ForTerminal(s.Summary); s.State {
	case "complete":
		v.good(summary)
	case "partial", "failed":
		v.bad(summary)
	default:
		v.line(summary)
	}
	files := fmt.Sprintf("%d of %d", s.Chunks.Stored, s.Chunks.All)
	rows := [][]string{{"state", s.State}, {"files", files}}
	for _, n := range []struct {
		name  string
		count int
	}{
		{"running", s.Chunks.Running}, {"planned", s.Chunks.Planned}, {"failed", s.Chunks.Failed},
		{"missing", s.Chunks.Missing}, {"provisional", s.Provisional},
	} {
		if n.count > 0 {
			rows = append(rows, []string{n.name, fmt.Sprint(n.count)})
		}
	}
	rows = append(rows, []string{"rows", humanize.Comma(s.Rows)}, []string{"size", humanize.Bytes(uint64(s.Bytes))})
	if s.Export != nil {
		rows = append(rows, []string{"segment", segmentOf(*s.Export)},
			[]string{"range", inZone(s, s.Export.TimeRange.Start) + " to " + inZone(s, s.Export.TimeRange.End) + " (" +
				cmp.Or(s.Export.Timezone, "UTC") + ")"})
	}
	rows = append(rows, []string{"folder", s.Folder})
	if s.Object != "" {
		rows = append(rows, []string{"copy", s.Object})
	}
	v.table(nil, rows)
	v.calendar(calendar)
	for _, p := range s.Problems[:min(len(s.Problems), maxProblems)] {
		text := exports.ForTerminal(p.Problem)
		if s.State == "paused" && strings.Contains(exports.ForTerminal(s.Summary), text) {
			continue // the summary has it
		}
		if p.Start != "" {
			text = inZone(s, p.Start) + " to " + inZone(s, p.End) + ": " + text
		}
		v.bad(text)
	}
	if more := len(s.Problems) - maxProblems; more > 0 {
		v.line(fmt.Sprintf("%s more; --json has them.", exports.Counted(more, "problem")))
	}
	if next := nextFor(s); next != "" {
		v.line(next)
	}
}

// inZone returns an instant in the zone of the request. It returns other text, such as that
// of an open end, as it is.
func inZone(s exports.BulkStatus, instant string) string {
	t, err := time.Parse(time.RFC3339, instant)
	if err != nil || s.Export == nil {
		return instant
	}
	zone, err := plan.Zone(s.Export.Timezone)
	if err != nil {
		return instant
	}
	return t.In(zone).Format(time.RFC3339)
}

// nextFor says what can be done with a bulk export.
func nextFor(s exports.BulkStatus) string {
	command := func(name string) string { return "fullstory-export-mcp " + name + " " + s.Name }
	switch s.State {
	case "running":
		return "Watch it: " + command("status --watch")
	case "paused":
		return "Resume it: " + command("resume")
	case "partial", "failed":
		return "Export what is missing: " + command("retry")
	case "complete":
		return "Check the files: fullstory-export-mcp verify " + shellWord(s.Folder)
	}
	return ""
}
