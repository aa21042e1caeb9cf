package exports

import (
	"fmt"
	"strings"
	"time"

	"fullstory-export-mcp/plan"
)

// shownWindows is how many windows a sentence names.
const shownWindows = 5

// windowsText names windows by their dates in a zone, such as "13 Sep" or "13 Sep to 15
// Sep, 1 Oct 14:00 to 15:00 (Europe/Berlin)". Windows that touch are named as one, and
// years only if whole spans several.
func windowsText(windows []plan.Range, whole plan.Range, zone *time.Location) string {
	layout := "2 Jan 2006"
	if whole.Start.In(zone).Year() == whole.End.Add(-1).In(zone).Year() {
		layout = "2 Jan"
	}
	var parts []string
	timed := zone != time.UTC
	joined := plan.NewWindows(windows...)
	for _, w := range joined[:min(len(joined), shownWindows)] {
		name, hours := windowText(w.Start.In(zone), w.End.In(zone), layout)
		parts, timed = append(parts, name), timed || hours
	}
	text := strings.Join(parts, ", ")
	if more := len(joined) - shownWindows; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if timed {
		text += " (" + zone.String() + ")"
	}
	return text
}

// windowText names one window. hours is set if the name has times of day.
func windowText(start, end time.Time, layout string) (name string, hours bool) {
	last := end.Add(-1) // the last date inside
	first, final := start.Format(layout), last.Format(layout)
	midnight := func(t time.Time) bool { return t.Add(-1).Day() != t.Day() } // whatever its clock shows
	switch {
	case midnight(start) && midnight(end) && first == final:
		return first, false
	case midnight(start) && midnight(end):
		return first + " to " + final, false
	case first == final:
		return first + " " + clock(start) + " to " + clock(end), true
	}
	return first + " " + clock(start) + " to " + end.Format(layout) + " " + clock(end), true
}

// clock writes a time of day, with seconds only if it has some.
func clock(t time.Time) string {
	if t.Second() == 0 {
		return t.Format("15:04")
	}
	return t.Format("15:04:05")
}
