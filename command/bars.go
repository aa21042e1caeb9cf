package command

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/local"
)

// chartBar is a line of a chart.
type chartBar struct {
	label string
	n     int64
}

const (
	// usualWidth is the width of charts that are not on a terminal, in columns.
	usualWidth = 80
	// longestBar is the most columns of a bar.
	longestBar = 60
)

// eighths are blocks of an eighth of a column to a whole one.
var eighths = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"}

// bars writes a chart: labels, numbers, and bars in proportion to the longest.
func (v view) bars(bars []chartBar) {
	label, number, most := 0, 0, int64(1)
	for i := range bars {
		bars[i].label = ansi.Truncate(local.Printable(bars[i].label), 30, "…")
		label = max(label, ansi.StringWidth(bars[i].label))
		number = max(number, len(humanize.Comma(bars[i].n)))
		most = max(most, bars[i].n)
	}
	width := v.width
	if width == 0 {
		width = usualWidth
	}
	room := max(1, min(longestBar, width-label-number-4))
	for _, b := range bars {
		parts := int(b.n * int64(room) * 8 / most)
		drawn := strings.Repeat("█", parts/8) + eighths[parts%8]
		if b.n > 0 && drawn == "" {
			drawn = eighths[1]
		}
		padded := b.label + strings.Repeat(" ", label-ansi.StringWidth(b.label))
		line := fmt.Sprintf("%s  %*s  %s", padded, number, humanize.Comma(b.n),
			lipgloss.NewStyle().Foreground(lipgloss.Cyan).Render(drawn))
		_, _ = fmt.Fprintln(v.out, strings.TrimRight(line, " "))
	}
}

func eventBars(found exports.Look) (bars []chartBar) {
	for _, e := range found.Events {
		bars = append(bars, chartBar{e.Type, e.Rows})
	}
	return bars
}

func dayBars(found exports.Look) (bars []chartBar) {
	for _, d := range found.Days {
		bars = append(bars, chartBar{d.Day, d.Rows})
	}
	return bars
}

func hourBars(found exports.Look) (bars []chartBar) {
	for hour, n := range found.Hours() {
		bars = append(bars, chartBar{fmt.Sprintf("%02d", hour), n})
	}
	return bars
}
