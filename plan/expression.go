package plan

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// span is the meaning of one expression: a half-open period, or an instant. to
// is zero for an instant.
type span struct{ from, to time.Time }

func (s span) period() bool { return !s.to.IsZero() }

// reader reads expressions in a calendar, relative to one fixed now.
type reader struct {
	Calendar
	now time.Time // in Calendar.Zone
}

// form returns a function that compiles pattern at its first call and returns
// the same expression afterwards. Compiling every pattern at program start
// would delay each process, also those that read no expression.
func form(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

var (
	instantForm  = form(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$`)
	dateForm     = form(`^(\d{4})-(\d{2})-(\d{2})$`)
	monthForm    = form(`^(\d{4})-(\d{2})$`)
	quarterForm  = form(`^(\d{4})-[Qq]([1-4])$`)
	weekForm     = form(`^(\d{4})-?[Ww](\d{2})$`)
	mathForm     = form(`^now((?:[+-]\d{1,6}[smhdwMQy])*)(?:/([smhdwMQy]))?$`)
	mathStep     = form(`([+-]\d+)([smhdwMQy])`)
	yearForm     = form(`^\d{4}$`)
	sinceForm    = form(`(?i)^(since|from|after|seit|ab|desde|depuis)\b`)
	lastDaysForm = form(`^last_(\d{1,4})_days$`)
)

// words lists the named expressions; last_7_days is an example of
// last_<number>_days.
var words = []string{
	"now", "today", "yesterday", "last_7_days", "last_week", "last_month", "last_quarter",
	"this_week", "this_month", "this_quarter",
}

// read reads one expression, which is not empty. Intervals are tried before
// calendar dates; a date with slashes is neither and is rejected with advice.
func (r reader) read(field, text string) (span, error) {
	if upper := strings.ToUpper(text); instantForm().MatchString(upper) {
		t, err := time.Parse(time.RFC3339, upper)
		if err != nil {
			return span{}, reject(field, text, "there is no such time; %s", accepted)
		}
		return span{from: t.In(r.Zone)}, nil
	}
	if m := mathForm().FindStringSubmatch(text); m != nil {
		return span{from: r.math(m[1], m[2])}, nil
	}
	if strings.Contains(text, "/") && !ambiguous().MatchString(text) && !yearFirst().MatchString(text) {
		return r.interval(field, text)
	}
	if s, ok, err := r.calendar(field, text); ok || err != nil {
		return s, err
	}
	if s, ok := r.word(strings.ToLower(text)); ok {
		return s, nil
	}
	return span{}, r.reject(field, text)
}

// calendar reads a date, a month, a quarter or an ISO week. ok is false if text
// has none of these forms.
func (r reader) calendar(field, text string) (s span, ok bool, err error) {
	number := func(digits string) int { n, _ := strconv.Atoi(digits); return n }
	switch {
	case dateForm().MatchString(text):
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return span{}, true, reject(field, text, "there is no such date; %s", accepted)
		}
		s = r.days(day.Year(), day.Month(), day.Day(), 1)
		// Samoa, for example, had no 30 December 2011.
		if !s.from.Before(s.to) {
			return span{}, true, reject(field, text,
				"%s skipped this date; the day before ends, and the day after starts, at %s", r.Zone, Stamp(s.from))
		}
		return s, true, nil
	case monthForm().MatchString(text):
		m := monthForm().FindStringSubmatch(text)
		year, month := number(m[1]), number(m[2])
		if month < 1 || month > 12 {
			return span{}, true, reject(field, text, "there is no such month; %s", accepted)
		}
		return r.months(year, time.Month(month), 1), true, nil
	case quarterForm().MatchString(text):
		m := quarterForm().FindStringSubmatch(text)
		return r.months(number(m[1]), time.Month(3*number(m[2])-2), 3), true, nil
	case weekForm().MatchString(text):
		m := weekForm().FindStringSubmatch(text)
		year, week := number(m[1]), number(m[2])
		// 4 January is always in ISO week 1.
		fourth := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC)
		monday := fourth.AddDate(0, 0, -(int(fourth.Weekday())+6)%7+7*(week-1))
		if y, w := monday.ISOWeek(); y != year || w != week {
			return span{}, true, reject(field, text, "%d has no week %d", year, week)
		}
		return r.days(monday.Year(), monday.Month(), monday.Day(), 7), true, nil
	}
	return span{}, false, nil
}

// word reads a named period; ok is false for an unknown name. Periods are
// complete: this_month ends at the end of the month, not now.
func (r reader) word(text string) (s span, ok bool) {
	y, m, d := r.now.Date()
	sinceWeek := (int(r.now.Weekday()) - int(r.Week) + 7) % 7
	quarter := m - (m-1)%3
	if n := lastDaysForm().FindStringSubmatch(text); n != nil {
		days, _ := strconv.Atoi(n[1])
		return r.days(y, m, d-days, days), days > 0
	}
	switch text {
	case "today":
		return r.days(y, m, d, 1), true
	case "yesterday":
		return r.days(y, m, d-1, 1), true
	case "this_week":
		return r.days(y, m, d-sinceWeek, 7), true
	case "last_week":
		return r.days(y, m, d-sinceWeek-7, 7), true
	case "this_month":
		return r.months(y, m, 1), true
	case "last_month":
		return r.months(y, m-1, 1), true
	case "this_quarter":
		return r.months(y, quarter, 3), true
	case "last_quarter":
		return r.months(y, quarter-3, 3), true
	}
	return span{}, false
}

// days returns the period of n dates that begins on the given one. A month or
// day out of range is carried over, as time.Date does.
func (r reader) days(y int, m time.Month, d, n int) span {
	return span{startOf(y, m, d, r.Zone), startOf(y, m, d+n, r.Zone)}
}

// months returns the period of n months that begins with the given one.
func (r reader) months(y int, m time.Month, n int) span {
	return span{startOf(y, m, 1, r.Zone), startOf(y, m+time.Month(n), 1, r.Zone)}
}

// interval reads an ISO 8601 interval: start/end, start/duration or
// duration/end. Each end that is a period counts as its first instant.
func (r reader) interval(field, text string) (span, error) {
	first, second, _ := strings.Cut(text, "/")
	if first == "" || second == "" || strings.Contains(second, "/") {
		return span{}, reject(field, text, "an interval is a start and an end, or a start and a duration: "+
			"2026-10-01/2026-11-01 or 2026-10-01/P30D")
	}
	if strings.HasPrefix(strings.ToUpper(first), "P") {
		length, err := duration(field, first)
		if err != nil {
			return span{}, err
		}
		end, err := r.read(field, second)
		return span{end.from.Add(-length), end.from}, err
	}
	start, err := r.read(field, first)
	if err != nil {
		return span{}, err
	}
	if strings.HasPrefix(strings.ToUpper(second), "P") {
		length, err := duration(field, second)
		return span{start.from, start.from.Add(length)}, err
	}
	end, err := r.read(field, second)
	if err == nil && !start.from.Before(end.from) {
		return span{}, reject(field, text, "the interval ends before it starts, or is empty")
	}
	return span{start.from, end.from}, err
}

// duration reads an ISO 8601 duration of fixed length.
func duration(field, text string) (time.Duration, error) {
	g, err := ParseGranularity(text)
	if err != nil || g.unit != "" {
		return 0, reject(field, text, "not a duration of fixed length; write P30D or PT6H, or give the end instead")
	}
	return g.length, nil
}

// math evaluates date math on now. It applies the steps in order (d, w, M, Q and
// y on the zone's calendar; s, m and h as elapsed time) and rounds the result
// down to the unit round; "" leaves it as it is.
func (r reader) math(steps, round string) time.Time {
	t := r.now
	for _, step := range mathStep().FindAllStringSubmatch(steps, -1) {
		n, _ := strconv.Atoi(step[1])
		switch step[2] {
		case "s":
			t = t.Add(time.Duration(n) * time.Second)
		case "m":
			t = t.Add(time.Duration(n) * time.Minute)
		case "h":
			t = t.Add(time.Duration(n) * time.Hour)
		case "d":
			t = t.AddDate(0, 0, n)
		case "w":
			t = t.AddDate(0, 0, 7*n)
		case "M":
			t = addMonths(t, n)
		case "Q":
			t = addMonths(t, 3*n)
		case "y":
			t = addMonths(t, 12*n)
		}
	}
	y, m, d := t.Date()
	switch round {
	case "s":
		return t.Truncate(time.Second)
	case "m":
		return t.Add(-time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	case "h":
		return t.Add(-intoHour(t))
	case "d":
		return startOf(y, m, d, r.Zone)
	case "w":
		return startOf(y, m, d-(int(t.Weekday())-int(r.Week)+7)%7, r.Zone)
	case "M":
		return startOf(y, m, 1, r.Zone)
	case "Q":
		return startOf(y, m-(m-1)%3, 1, r.Zone)
	case "y":
		return startOf(y, 1, 1, r.Zone)
	}
	return t
}

// addMonths adds n months to t and keeps the time of day. In a month that is
// too short, the result is on its last day: one month after 31 January is 28 or
// 29 February.
func addMonths(t time.Time, n int) time.Time {
	y, m, d := t.Date()
	last := time.Date(y, m+time.Month(n)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(y, m+time.Month(n), min(d, last), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
}

// reject returns an error for text that is not an expression, with what was
// probably meant if that is clear.
func (r reader) reject(field, text string) error {
	switch {
	case yearFirst().MatchString(text):
		return rejectYearFirst(field, text)
	case noOffset().MatchString(text):
		return rejectLocal(field, text, r.Zone)
	case ambiguous().MatchString(text):
		return rejectAmbiguous(field, text)
	case yearForm().MatchString(text):
		return reject(field, text, "not understood; write %s-01-01 as the start, and the first day after the range, or now, "+
			"as the end", text)
	case sinceForm().MatchString(text):
		return reject(field, text, "not understood; write the first date, such as 2026-10-01, as the start, and now "+
			"as the end")
	}
	if near := nearWord(text); near != "" {
		return reject(field, text, "not understood; did you mean %s?", near)
	}
	if meant := r.spoken(text); meant != "" {
		return reject(field, text, "not understood; %s", meant)
	}
	return reject(field, text, "not understood; %s", accepted)
}

var (
	shortOffset = form(`^(\d{4}-\d{2}-\d{2}T[\d:.]+[+-]\d{2})(\d{2})$`)
	agoForm     = form(`(?i)^(?:last |past )?-?(\d{1,4}) ?(d|h|w|day|hour|week)s?(?: ago)?$`)
	secondsForm = form(`^(\d{10})(?:\d{3})?$`)
	namedMonth  = form(`(?i)^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?[ -]?(\d{4})?$`)
)

// spoken returns what to write instead of an offset without a colon, a number of days back,
// the seconds of Unix or the name of a month; "" for other text.
func (r reader) spoken(text string) string {
	if m := shortOffset().FindStringSubmatch(text); m != nil {
		return "write the offset with a colon: " + m[1] + ":" + m[2]
	}
	if m := agoForm().FindStringSubmatch(text); m != nil {
		return "did you mean now-" + m[1] + strings.ToLower(m[2][:1]) + "?"
	}
	if m := secondsForm().FindStringSubmatch(text); m != nil {
		seconds, _ := strconv.ParseInt(m[1], 10, 64)
		return "if these are seconds since 1970, write " + Stamp(time.Unix(seconds, 0))
	}
	if m := namedMonth().FindStringSubmatch(text); m != nil {
		month, err := time.Parse("Jan", m[1])
		if err != nil {
			return ""
		}
		year := m[2]
		if year == "" {
			year = strconv.Itoa(r.now.Year())
		}
		return fmt.Sprintf("write a month with its year and number, such as %s-%02d", year, month.Month())
	}
	return ""
}

// nearWord returns the named expression that differs from text only in spaces,
// dashes and synonyms such as previous for last; "" if there is none.
func nearWord(text string) string {
	plain := func(s string) string {
		synonyms := strings.NewReplacer(" ", "", "_", "", "-", "",
			"previous", "last", "past", "last", "current", "this")
		return synonyms.Replace(strings.ToLower(s))
	}
	for _, w := range words {
		if plain(w) == plain(text) {
			return w
		}
	}
	if m := regexp.MustCompile(`^last(\d{1,4})d(ays?)?$`).FindStringSubmatch(plain(text)); m != nil {
		return "last_" + m[1] + "_days"
	}
	return ""
}
