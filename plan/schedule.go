package plan

import (
	"strings"
	"time"
)

// Schedule says when something recurs by the clock of a zone: every hour, day, week or
// month, at a time of day. A time that clocks skip is the first instant after the gap; one
// that comes twice counts once, the first time.
type Schedule struct {
	Every Granularity // a unit of the calendar up to a month
	// At is the time since midnight: of each day, of the first day of each week or of each
	// month. For hours only its minutes count, after each full hour.
	At       time.Duration
	Calendar Calendar
}

// ParseEvery reads how often something recurs: hour, day, week or month. It fails with an
// *Error about the argument every.
func ParseEvery(text string) (Granularity, error) {
	g, err := ParseGranularity(text)
	if err != nil || g.unit == "" || g.unit == "quarter" {
		return Granularity{}, reject("every", strings.TrimSpace(text), "give hour, day, week or month")
	}
	return g, nil
}

// ParseAt reads a time of day, such as 06:00, as the time since midnight. It fails with an
// *Error about the argument at.
func ParseAt(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", strings.TrimSpace(text))
	if err != nil {
		return 0, reject("at", strings.TrimSpace(text), "give a time of day such as 06:00")
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// ParseElapsed reads an elapsed time, such as 24h, 90m, PT24H, P1D or 0. It fails with an
// *Error about the argument lag.
func ParseElapsed(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if d, err := time.ParseDuration(strings.ToLower(text)); err == nil {
		return d, nil
	}
	if g, err := ParseGranularity(text); err == nil && g.unit == "" {
		return g.length, nil
	}
	return 0, reject("lag", text, "give an elapsed time such as 24h or PT24H")
}

// Next returns the first instant after t at which s recurs.
func (s Schedule) Next(t time.Time) time.Time {
	t = t.In(s.Calendar.Zone)
	if s.Every.unit == "hour" {
		return s.nextInHour(t)
	}
	year, month, day := t.Date()
	for step := 0; ; step++ {
		var at time.Time
		switch s.Every.unit {
		case "week":
			since := (int(t.Weekday()) - int(s.Calendar.Week) + 7) % 7
			at = clockAt(year, month, day-since+7*step, s.At, s.Calendar.Zone)
		case "month":
			at = clockAt(year, month+time.Month(step), 1, s.At, s.Calendar.Zone)
		default:
			at = clockAt(year, month, day+step, s.At, s.Calendar.Zone)
		}
		if at.After(t) {
			return at
		}
	}
}

// nextInHour is Next for hours. It counts a minute that comes twice each time, and leaves out
// one that clocks skip.
func (s Schedule) nextInHour(t time.Time) time.Time {
	for part := t.Add(-intoHour(t)); ; { // an hour, or the part of one that a change of clocks leaves
		next := nextHour(part)
		if at := part.Add(s.At%time.Hour - intoHour(part)); at.After(t) && !at.Before(part) && at.Before(next) {
			return at
		}
		part = next
	}
}

// Missing returns the windows from anchor on that are not recorded: the parts of the range up
// to the instant until that no recorded window covers, cut by the granularity where its
// periods begin, without the period that is not over at until. The first window begins at
// anchor, also within a period. At most limit of them are returned, the earliest first;
// more reports that there are others.
//
// What is recorded decides, not when Missing was called before: a call that is late, doubled
// or lost changes nothing, and a zone whose rules change leaves neither gap nor overlap.
func Missing(
	anchor, until time.Time, recorded Windows, g Granularity, c Calendar, limit int,
) (missing []Range, more bool) {
	for _, gap := range NewWindows(Range{anchor, until}).Without(recorded) {
		for start := gap.Start; start.Before(gap.End); {
			end := g.next(start.In(c.Zone), c.Week)
			if end.After(gap.End) {
				if gap.End.Equal(until) {
					break // it is not over
				}
				end = gap.End
			}
			if len(missing) == limit {
				return missing, true
			}
			missing = append(missing, Range{start.UTC(), end.UTC()})
			start = end
		}
	}
	return missing, false
}

// NextBoundary returns the first instant after t at which a period of g begins.
func (g Granularity) NextBoundary(t time.Time, c Calendar) time.Time {
	return g.next(t.In(c.Zone), c.Week)
}
