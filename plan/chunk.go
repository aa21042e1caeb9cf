package plan

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Chunk is a length to cut by: a unit of the calendar, or elapsed time. The
// zero Chunk is none; ParseChunk makes one.
type Chunk struct {
	unit   string        // hour, day, week, month, quarter; empty: length
	length time.Duration // of elapsed time, at least shortest
}

// shortest is the least length of a chunk.
const shortest = time.Minute

var units = []string{"hour", "day", "week", "month", "quarter"}

const chunksValid = "valid are hour, day, week, month, quarter, or an ISO 8601 duration such as PT6H, PT90M or P2D"

// isoDuration is an ISO 8601 duration of parts that always have one length.
var isoDuration = regexp.MustCompile(`^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$`)

// varying is an ISO 8601 duration with years or months.
var varying = regexp.MustCompile(`^P(\d+Y(\d+M)?|\d+M)(\d+W)?(\d+D)?(T.*)?$`)

// ParseChunk reads hour, day, week, month, quarter, or an ISO 8601 duration of
// at least a minute such as PT6H or P1DT12H, in which a day is 24 hours and a
// week seven of them. It fails with an *Error.
func ParseChunk(text string) (Chunk, error) {
	text = strings.TrimSpace(text)
	if slices.Contains(units, strings.ToLower(text)) {
		return Chunk{unit: strings.ToLower(text)}, nil
	}
	upper := strings.ToUpper(text)
	m := isoDuration.FindStringSubmatch(upper)
	switch {
	case m == nil && varying.MatchString(upper):
		return Chunk{}, refuse("chunk", text, "months and years have no fixed length; use month or quarter for those of the calendar, or a duration in weeks, days or hours")
	case m == nil || strings.HasSuffix(upper, "T") || upper == "P":
		return Chunk{}, refuse("chunk", text, "not a chunk; %s%s", chunkMeant(text), chunksValid)
	}
	var seconds float64
	for i, unit := range []float64{7 * 86400, 86400, 3600, 60, 1} {
		n, err := strconv.ParseFloat(m[i+1], 64)
		if m[i+1] != "" && err == nil {
			seconds += n * unit
		}
	}
	if seconds < shortest.Seconds() || seconds > math.MaxInt64/1e9 {
		return Chunk{}, refuse("chunk", text, "a chunk lasts at least a minute and at most 292 years; %s", chunksValid)
	}
	return Chunk{length: time.Duration(seconds) * time.Second}, nil
}

// chunkMeant asks about the chunk that days, weekly or 6h may mean; it is empty
// when there is none.
func chunkMeant(text string) string {
	lower := strings.ToLower(text)
	for _, unit := range units {
		if strings.HasPrefix(lower, unit) || lower == "daily" && unit == "day" {
			return "did you mean " + unit + "? "
		}
	}
	if d, err := time.ParseDuration(lower); err == nil && d >= shortest && d%time.Second == 0 {
		return "did you mean " + Chunk{length: d}.String() + "? "
	}
	return ""
}

// String returns the chunk as it may be given again.
func (c Chunk) String() string {
	if c.unit != "" {
		return c.unit
	}
	d := c.length
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

// nominal is the usual length of the chunk.
func (c Chunk) nominal() time.Duration {
	const day = 24 * time.Hour
	switch c.unit {
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
	return c.length
}

// next returns the first boundary after t, which is in the zone of the plan,
// with weeks that begin on week.
func (c Chunk) next(t time.Time, week time.Weekday) time.Time {
	if c.unit == "" {
		return t.Add(c.length)
	}
	if c.unit == "hour" {
		return nextHour(t)
	}
	// A date in which clocks were set back over midnight has a start before
	// its own last hour, so that the first candidate may be behind t.
	year, month, day := t.Date()
	for step := 1; ; step++ {
		var b time.Time
		switch c.unit {
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
// month after 10 October at noon is 10 November at noon. Where the clock does
// not show that time it is an hour or so beside it.
func (c Chunk) fromStart(start time.Time, n int) time.Time {
	switch c.unit {
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
	return start.Add(time.Duration(n) * c.length)
}

// nextHour returns the next instant at which the zone's clock shows a full
// hour, or at which it is set.
func nextHour(t time.Time) time.Time {
	into := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	full := t.Add(time.Hour - into)
	if change := nextChange(t); !change.IsZero() && change.Before(full) {
		return change
	}
	return full
}
