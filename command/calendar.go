package command

import (
	"fmt"
	"image/color"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/plan"
)

// block is how a state is drawn in a terminal: without colours its character tells it apart.
type block struct {
	state exports.CellState
	text  string
	color color.Color
}

// blocks are in the order of the legend. A day or month that is stored in part is partly.
var blocks = []block{
	{exports.CellStored, "█", lipgloss.Green},
	{exports.CellProvisional, "▓", lipgloss.Green},
	{exports.CellRunning, "▒", lipgloss.Blue},
	{exports.CellPlanned, "·", lipgloss.BrightBlack},
	{exports.CellRetrying, "~", lipgloss.Yellow},
	{exports.CellFailed, "x", lipgloss.Red},
	{exports.CellMissing, "?", lipgloss.Red},
	{exports.CellCancelled, "-", lipgloss.BrightBlack},
}

const partly = "▄"

// Windows of a bulk export are drawn one by one if there are few, or if they are longer than a
// day; others by day, and by month if that would be too many lines.
const (
	fewWindows  = 50
	mostMonths  = 24
	longestHour = 20 * time.Hour
	longestDay  = 30 * time.Hour
)

// span is one block of a calendar: windows that are drawn together.
type span struct {
	line    string // that it is on: its month, or its year or day
	column  int    // on that line, from 0
	windows map[exports.CellState]int
	state   exports.CellState
}

// calendarLines draws a calendar in lines of at most 80 columns, with a legend; none without
// windows. They have colours.
func calendarLines(c exports.Calendar) (lines []string) {
	zone, err := plan.Zone(c.Timezone)
	if err != nil {
		zone = time.UTC
	}
	spans := spansOf(c.Cells, zone)
	for begun := ""; len(spans) > 0; {
		line, text, at := spans[0].line, "", 0
		if line == begun {
			at = spans[0].column // the rest of a line that was too long
		}
		begun = line
		for end := at + usualWidth - len(line) - 2; len(spans) > 0 && spans[0].line == line && spans[0].column < end; {
			text += strings.Repeat(" ", spans[0].column-at) + spans[0].drawn()
			at, spans = spans[0].column+1, spans[1:]
		}
		lines = append(lines, line+"  "+text)
	}
	if len(lines) > 0 {
		lines = append(lines, legend(c.Cells))
	}
	return lines
}

// spansOf returns the blocks of cells in their order.
func spansOf(cells []exports.Cell, zone *time.Location) (spans []*span) {
	cells = slices.DeleteFunc(slices.Clone(cells), func(c exports.Cell) bool { return c.Windows == 0 })
	if len(cells) == 0 {
		return nil
	}
	place := placing(cells, zone)
	for _, c := range cells {
		line, column := place(c.Start.In(zone))
		same := len(spans) > 0 && spans[len(spans)-1].line == line
		if column < 0 {
			if column = 0; same {
				column = spans[len(spans)-1].column + 1
			}
		}
		if !same || spans[len(spans)-1].column != column {
			spans = append(spans, &span{line, column, map[exports.CellState]int{}, exports.CellNone})
		}
		s := spans[len(spans)-1]
		if s.windows[c.State] += c.Windows; c.State.Worse(s.state) {
			s.state = c.State
		}
	}
	return spans
}

// placing returns the function that says on which line and in which column a window is drawn; a
// negative column is the next one of the line.
func placing(cells []exports.Cell, zone *time.Location) func(time.Time) (line string, column int) {
	var total time.Duration
	for _, c := range cells {
		total += c.End.Sub(c.Start)
	}
	average := total / time.Duration(len(cells))
	first, last := cells[0].Start.In(zone), cells[len(cells)-1].Start.In(zone)
	months := 12*(last.Year()-first.Year()) + int(last.Month()-first.Month()) + 1
	switch {
	case average > longestDay:
		return func(t time.Time) (string, int) { return t.Format("2006"), -1 }
	case average <= longestHour && len(cells) <= fewWindows:
		return func(t time.Time) (string, int) { return t.Format(time.DateOnly), -1 }
	case months > mostMonths:
		return func(t time.Time) (string, int) { return t.Format("2006"), int(t.Month()) - 1 }
	}
	return func(t time.Time) (string, int) { return t.Format("2006-01"), t.Day() - 1 }
}

// drawn returns the block of a span.
func (s *span) drawn() string {
	stored := s.windows[exports.CellStored]+s.windows[exports.CellProvisional] > 0
	for _, b := range blocks {
		if b.state != s.state {
			continue
		}
		text := b.text
		if stored && (s.state == exports.CellPlanned || s.state == exports.CellRunning) {
			text, b.color = partly, lipgloss.Green
		}
		return lipgloss.NewStyle().Foreground(b.color).Render(text)
	}
	return " "
}

// legend counts the windows of each state, such as "█ 516 stored  · 634 planned".
func legend(cells []exports.Cell) string {
	counts := map[exports.CellState]int{}
	for _, c := range cells {
		counts[c.State] += c.Windows
	}
	var parts []string
	for _, b := range blocks {
		if n := counts[b.state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s %s",
				lipgloss.NewStyle().Foreground(b.color).Render(b.text), humanize.Comma(int64(n)), b.state))
		}
	}
	return strings.Join(parts, "  ")
}

// calendar writes a calendar.
func (v view) calendar(c exports.Calendar) {
	for _, line := range calendarLines(c) {
		_, _ = fmt.Fprintln(v.out, line)
	}
}

// drawnLines are the lines of a calendar above a bar, which another goroutine draws. It is safe
// for concurrent use.
type drawnLines struct {
	coloured bool
	mu       sync.Mutex
	lines    []string
}

func (d *drawnLines) set(lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = lines
}

// fillers return what draws each line, the last one first, as the library wants them. There are as
// many as lines now.
func (d *drawnLines) fillers() (list []mpb.BarFiller) {
	for i := len(d.lines) - 1; i >= 0; i-- {
		list = append(list, mpb.BarFillerFunc(func(w io.Writer, _ decor.Statistics) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			line := ""
			if i < len(d.lines) {
				line = d.lines[i]
			}
			if !d.coloured {
				line = ansi.Strip(line)
			}
			_, err := fmt.Fprintln(w, "  "+line)
			return err
		}))
	}
	return list
}
