package plan

import (
	"fmt"
	"strings"
	"time"
)

// Forms that are rejected with specific advice.
var (
	noOffset  = form(`^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?$`)
	ambiguous = form(`^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})$`)
	yearFirst = form(`^(\d{4})(?:[/.-](\d{1,2})[/.-](\d{1,2})|(\d{2})(\d{2}))$`)
)

const accepted = "write a date 2026-10-01, a month 2026-10, 2026-Q3, 2026-W40, an interval with /, an RFC 3339 " +
	"instant, date math such as now-30d/d, or now, today, yesterday, last_7_days, last_week, last_month, " +
	"last_quarter, this_week, this_month, this_quarter"

// Resolve reads a range whose sides are expressions in the forms that the
// package comment lists. A period as start, with an empty end, is the whole
// range; otherwise an empty side is open. It fails with an *Error whose Field is
// start or end.
func Resolve(start, end string, c Calendar, now time.Time) (Range, error) {
	start, end = strings.TrimSpace(start), strings.TrimSpace(end)
	r := reader{Calendar: c, now: now.In(c.Zone)}
	from, err := r.side("start", start)
	if err != nil {
		return Range{}, err
	}
	to, err := r.side("end", end)
	if err != nil {
		return Range{}, err
	}
	if end == "" {
		return Range{from.from, from.to}, nil
	}
	if start == "" || from.from.Before(to.from) {
		return Range{from.from, to.from}, nil
	}
	switch {
	case to.from.Before(from.from):
		return Range{}, reject("end", end, "the end is before the start, %s; swap them or correct one", Stamp(from.from))
	case to.period():
		return Range{}, reject("end", end, "the range is empty, because the end is excluded; to include all of it, "+
			"write %s", to.to.Format(time.DateOnly))
	}
	return Range{}, reject("end", end, "the range is empty, because the end is excluded and equals the start; give a "+
		"later end")
}

// side reads one side of a range. Empty text is an open side, the zero span.
func (r reader) side(field, text string) (span, error) {
	if text == "" {
		return span{}, nil
	}
	s, err := r.read(field, text)
	if err != nil {
		return span{}, err
	}
	// The zero time already means an open side, and RFC 3339 allows four digits
	// for the year.
	if !s.from.After(time.Time{}) || s.from.UTC().Year() > 9999 {
		return span{}, reject(field, text, "outside the years 1 to 9999 in UTC; leave an open side empty")
	}
	if field == "start" && s.to.UTC().Year() > 9999 {
		return span{}, reject(field, text, "it ends beyond the year 9999")
	}
	return s, nil
}

// rejectLocal returns an error that shows the instants that a time without an
// offset may mean: in zone, and in UTC. In zone it may come twice or never.
func rejectLocal(field, text string, zone *time.Location) *Error {
	layout := "2006-01-02T15:04:05.999999999"[:min(len(text), 19)]
	t, err := time.ParseInLocation(layout, strings.Replace(text, " ", "T", 1), zone)
	if err != nil {
		return reject(field, text, "there is no such time; %s", accepted)
	}
	wanted, err := time.Parse(layout, strings.Replace(text, " ", "T", 1))
	if err != nil {
		return reject(field, text, "there is no such time; %s", accepted)
	}
	_, before := t.Add(-36 * time.Hour).Zone() // more than the longest gap
	_, after := t.Add(36 * time.Hour).Zone()
	first, second := inOffset(wanted, max(before, after), zone), inOffset(wanted, min(before, after), zone)
	isFirst, isSecond := wall(first).Equal(wanted), wall(second).Equal(wanted)
	switch {
	case isFirst && isSecond && !first.Equal(second):
		return reject(field, text, "clocks in %s show this time twice, at %s and at %s; give one with its offset", zone,
			Stamp(first), Stamp(second))
	case !isFirst && !isSecond:
		return reject(field, text, "clocks in %s skip this time; give %s or %s instead", zone, Stamp(first), Stamp(second))
	}
	if t.Equal(wanted) {
		return reject(field, text, "the offset is missing; in UTC this may be %s", Stamp(t))
	}
	return reject(field, text, "the offset is missing; in %s this may be %s, in UTC %sZ", zone, Stamp(t),
		wanted.Format("2006-01-02T15:04:05"))
}

// inOffset returns the instant at which clocks with an offset in seconds show a wall
// time, in zone.
func inOffset(wanted time.Time, offset int, zone *time.Location) time.Time {
	return wanted.Add(-time.Duration(offset) * time.Second).In(zone)
}

// rejectAmbiguous returns an error that shows the dates that three numbers may
// mean, day first or month first.
func rejectAmbiguous(field, text string) *Error {
	m := ambiguous().FindStringSubmatch(text)
	var readings []string
	for _, order := range [][2]string{{m[2], m[1]}, {m[1], m[2]}} {
		t, err := time.Parse("2006-1-2", fmt.Sprintf("%s-%s-%s", m[3], order[0], order[1]))
		if reading := t.Format(time.DateOnly); err == nil && (len(readings) == 0 || readings[0] != reading) {
			readings = append(readings, reading)
		}
	}
	switch len(readings) {
	case 0:
		return reject(field, text, "there is no such date; %s", accepted)
	case 1:
		return reject(field, text, "write the date as %s", readings[0])
	}
	return reject(field, text, "this may be %s (day first) or %s (month first); write the one you mean", readings[0],
		readings[1])
}

// rejectYearFirst returns an error that shows how to write a date such as
// 2026/10/1, whose order is clear.
func rejectYearFirst(field, text string) *Error {
	m := yearFirst().FindStringSubmatch(text)
	t, err := time.Parse("2006-1-2", m[1]+"-"+m[2]+m[4]+"-"+m[3]+m[5])
	if err != nil {
		return reject(field, text, "there is no such date; %s", accepted)
	}
	return reject(field, text, "write the date as %s", t.Format(time.DateOnly))
}
