package plan

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Granularity is the length by which a range is cut: a unit of the calendar,
// or elapsed time. The zero Granularity is invalid; ParseGranularity returns
// valid ones.
type Granularity struct {
	unit   string        // hour, day, week, month or quarter; empty: elapsed time
	length time.Duration // the elapsed time, at least shortest; only without a unit
}

// shortest is the least elapsed time of a Granularity. maxChunks of it are 694
// days.
const shortest = time.Minute

var units = []string{"hour", "day", "week", "month", "quarter"}

const granularitiesValid = "valid are hour, day, week, month, quarter, or an ISO 8601 duration such as PT6H, PT90M " +
	"or P2D"

// isoDuration matches an ISO 8601 duration whose parts have a fixed length.
var isoDuration = form(`^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$`)

// varying matches an ISO 8601 duration with years or months, whose length
// depends on the date.
var varying = form(`^P(\d+Y(\d+M)?|\d+M)(\d+W)?(\d+D)?(T.*)?$`)

// ParseGranularity reads hour, day, week, month or quarter, in any case, or an
// ISO 8601 duration of at least a minute such as PT6H or P1DT12H. In a duration
// a day is 24 hours and a week is seven of those days. It fails with an *Error.
func ParseGranularity(text string) (Granularity, error) {
	text = strings.TrimSpace(text)
	if slices.Contains(units, strings.ToLower(text)) {
		return Granularity{unit: strings.ToLower(text)}, nil
	}
	upper := strings.ToUpper(text)
	m := isoDuration().FindStringSubmatch(upper)
	switch {
	case m == nil && varying().MatchString(upper):
		return Granularity{}, reject("chunk", text,
			"months and years have no fixed length; use month or quarter for calendar months, or a duration in "+
				"weeks, days or hours")
	case m == nil || strings.HasSuffix(upper, "T") || upper == "P":
		return Granularity{}, reject("chunk", text, "not a chunk; %s%s", granularityMeant(text), granularitiesValid)
	}
	var seconds float64
	for i, unit := range []float64{7 * 86400, 86400, 3600, 60, 1} {
		n, err := strconv.ParseFloat(m[i+1], 64)
		if m[i+1] != "" && err == nil {
			seconds += n * unit
		}
	}
	if seconds < shortest.Seconds() || seconds > math.MaxInt64/1e9 {
		return Granularity{}, reject("chunk", text, "a chunk lasts at least a minute and at most 292 years; %s",
			granularitiesValid)
	}
	return Granularity{length: time.Duration(seconds) * time.Second}, nil
}

// granularityMeant returns a question about what an input such as days, weekly
// or 6h probably means, with a space after it; "" if there is no good guess.
func granularityMeant(text string) string {
	lower := strings.ToLower(text)
	for _, unit := range units {
		if strings.HasPrefix(lower, unit) || lower == "daily" && unit == "day" {
			return "did you mean " + unit + "? "
		}
	}
	if d, err := time.ParseDuration(lower); err == nil && d >= shortest && d%time.Second == 0 {
		return "did you mean " + Granularity{length: d}.String() + "? "
	}
	return ""
}

// String returns g in the form that ParseGranularity reads.
func (g Granularity) String() string {
	if g.unit != "" {
		return g.unit
	}
	d := g.length
	text := "P"
	if days := d / (24 * time.Hour); days > 0 {
		text += strconv.FormatInt(int64(days), 10) + "D"
		d %= 24 * time.Hour
	}
	if d == 0 {
		return text
	}
	return text + "T" + strings.ToUpper(strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String()))
}

// nominal returns a typical length of g, from which the number of chunks is
// estimated. A month counts as its shortest, 28 days.
func (g Granularity) nominal() time.Duration {
	const day = 24 * time.Hour
	switch g.unit {
	case "hour":
		return time.Hour
	case "day":
		return day
	case "week":
		return 7 * day
	case "month":
		return 28 * day
	case "quarter":
		return 90 * day
	}
	return g.length
}

// next returns the first calendar boundary after t. t carries the zone of the
// plan, and weeks begin on the weekday week.
func (g Granularity) next(t time.Time, week time.Weekday) time.Time {
	if g.unit == "" {
		return t.Add(g.length)
	}
	if g.unit == "hour" {
		return nextHour(t)
	}
	// If clocks go back over midnight, t may be in the repeated last hour of a
	// date whose successor has already begun once. The first candidate is then
	// not after t, so the loop tries later ones.
	year, month, day := t.Date()
	for step := 1; ; step++ {
		var b time.Time
		switch g.unit {
		case "day":
			b = startOf(year, month, day+step, t.Location())
		case "week":
			since := (int(t.Weekday()) - int(week) + 7) % 7
			b = startOf(year, month, day-since+7*step, t.Location())
		case "month":
			b = startOf(year, month+time.Month(step), 1, t.Location())
		case "quarter":
			b = startOf(year, month-(month-1)%3+time.Month(3*step), 1, t.Location())
		}
		if b.After(t) {
			return b
		}
	}
}

// fromStart returns the nth boundary of chunks that are counted from start: a
// month after 10 October at noon is 10 November at noon. If the zone's clock
// skips that time of day, the boundary is shifted by the length of the gap.
func (g Granularity) fromStart(start time.Time, n int) time.Time {
	switch g.unit {
	case "hour":
		return start.Add(time.Duration(n) * time.Hour)
	case "day":
		return start.AddDate(0, 0, n)
	case "week":
		return start.AddDate(0, 0, 7*n)
	case "month":
		return addMonths(start, n)
	case "quarter":
		return addMonths(start, 3*n)
	}
	return start.Add(time.Duration(n) * g.length)
}

// nextHour returns the next instant at which the clock of t's zone shows a full
// hour or is changed, whichever comes first.
func nextHour(t time.Time) time.Time {
	full := t.Add(time.Hour - intoHour(t))
	if change := nextChange(t); !change.IsZero() && change.Before(full) {
		return change
	}
	return full
}

// intoHour returns how much of its hour has passed on the clock of t's zone.
func intoHour(t time.Time) time.Duration {
	return time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second +
		time.Duration(t.Nanosecond())
}
