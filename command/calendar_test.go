package command

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/exports"
)

// cellsFrom returns cells of a length from an instant on, one for each letter.
func cellsFrom(start time.Time, length time.Duration, states string) (cells []exports.Cell) {
	for i := range len(states) {
		end := start.Add(length)
		cells = append(cells, exports.Cell{Start: start, End: end, State: exports.CellState(states[i]), Windows: 1})
		start = end
	}
	return cells
}

// TestCalendarLines draws windows as a person sees them without colours: hours by day, by month
// and by year, weeks one by one, and the day of 25 hours as one block.
func TestCalendarLines(t *testing.T) {
	t.Parallel()
	october := time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC) // midnight in Berlin, before a day of 25 hours
	for name, test := range map[string]struct {
		cells []exports.Cell
		want  []string
	}{
		"none": {},
		"few hours": {
			cellsFrom(october, time.Hour, strings.Repeat("s", 25)+"vrptfmc"),
			[]string{
				"2026-10-25  █████████████████████████", "2026-10-26  ▓▒·~x?-",
				"█ 25 stored  ▓ 1 provisional  ▒ 1 running  · 1 planned  ~ 1 retrying  x 1 failed  ? 1 missing  " +
					"- 1 cancelled",
			},
		},
		"hours of days": {
			cellsFrom(october, time.Hour, strings.Repeat("s", 24)+"f"+strings.Repeat("s", 10)+strings.Repeat("p", 24*8)),
			[]string{
				"2026-10  " + strings.Repeat(" ", 24) + "x▄·····", "2026-11  ···", "█ 34 stored  · 192 planned  x 1 failed",
			},
		},
		"a gap": {
			append(cellsFrom(october, 24*time.Hour, "s"), cellsFrom(october.AddDate(0, 0, 3), 24*time.Hour, "p")...),
			[]string{"2026-10  " + strings.Repeat(" ", 24) + "█ ·", "█ 1 stored  · 1 planned"},
		},
		"weeks": {
			cellsFrom(october, 7*24*time.Hour, strings.Repeat("s", 12)),
			[]string{"2026  ██████████", "2027  ██", "█ 12 stored"},
		},
		"years of days": {
			cellsFrom(october, 24*time.Hour, strings.Repeat("s", 800)),
			[]string{"2026           ███", "2027  ████████████", "2028  ████████████", "█ 800 stored"},
		},
	} {
		var got []string
		for _, line := range calendarLines(exports.Calendar{Timezone: "Europe/Berlin", Cells: test.cells}) {
			got = append(got, ansi.Strip(line))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestCalendarWidth draws windows of a quarter of an hour and of a week over decades within 80
// columns.
func TestCalendarWidth(t *testing.T) {
	t.Parallel()
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, cells := range [][]exports.Cell{
		cellsFrom(start, 15*time.Minute, strings.Repeat("s", 50)),
		cellsFrom(start, 20*time.Minute, strings.Repeat("s", 10_000)),
		cellsFrom(start, 7*24*time.Hour, strings.Repeat("s", 1500)),
		cellsFrom(start, 31*time.Hour, strings.Repeat("s", 1000)),
	} {
		for _, line := range calendarLines(exports.Calendar{Timezone: "UTC", Cells: cells}) {
			if n := ansi.StringWidth(line); n > 80 {
				t.Errorf("%d columns: %s", n, ansi.Strip(line))
			}
		}
	}
}
