package plan

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

var (
	instant   = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$`)
	date      = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	noOffset  = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?$`)
	ambiguous = regexp.MustCompile(`^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})$`)
	yearFirst = regexp.MustCompile(`^(\d{4})(?:[/.-](\d{1,2})[/.-](\d{1,2})|(\d{2})(\d{2}))$`)
)

const accepted = "write a date such as 2026-10-01, or an RFC 3339 instant such as 2026-10-01T08:30:00+02:00"

// Resolve reads a range whose sides are written as the package comment says,
// dates meaning those of zone. A date as start without an end is that day;
// otherwise an empty side is open. It fails with an *Error whose Field is start
// or end.
func Resolve(start, end string, zone *time.Location, _ time.Time) (Range, error) {
	start, end = strings.TrimSpace(start), strings.TrimSpace(end)
	var r Range
	var err error
	if r.Start, err = side("start", start, zone); err != nil {
		return Range{}, err
	}
	if r.End, err = side("end", end, zone); err != nil {
		return Range{}, err
	}
	if end == "" && date.MatchString(start) {
		day, _ := time.Parse(time.DateOnly, start)
		r.End = startOf(day.Year(), day.Month(), day.Day()+1, zone)
		if r.End.UTC().Year() > 9999 {
			return Range{}, refuse("start", start, "the day ends beyond the year 9999")
		}
	}
	if r.Start.IsZero() || r.End.IsZero() {
		return r, nil
	}
	switch {
	case r.Start.Before(r.End):
		return r, nil
	case r.End.Before(r.Start):
		return Range{}, refuse("end", end, "the end is before the start, %s; swap them or correct one", r.Start.In(zone).Format(time.RFC3339Nano))
	case date.MatchString(end):
		day, _ := time.Parse(time.DateOnly, end)
		return Range{}, refuse("end", end, "the range is empty, because the end is excluded; if that day is meant, write %s", day.AddDate(0, 0, 1).Format(time.DateOnly))
	}
	return Range{}, refuse("end", end, "the range is empty, because the end is excluded and equals the start; give a later end")
}

func side(field, text string, zone *time.Location) (time.Time, error) {
	var t time.Time
	var err error
	switch {
	case text == "":
		return time.Time{}, nil
	case instant.MatchString(strings.ToUpper(text)):
		if t, err = time.Parse(time.RFC3339, strings.ToUpper(text)); err != nil {
			err = refuse(field, text, "there is no such time; %s", accepted)
		}
	case date.MatchString(text):
		t, err = dateSide(field, text, zone)
	case yearFirst.MatchString(text):
		err = refuseYearFirst(field, text)
	case noOffset.MatchString(text):
		err = refuseLocal(field, text, zone)
	case ambiguous.MatchString(text):
		err = refuseAmbiguous(field, text)
	default:
		err = refuse(field, text, "not understood; %s", accepted)
	}
	if err != nil {
		return time.Time{}, err
	}
	// The zero time means an open side, and RFC 3339 has four digits for a year.
	if !t.After(time.Time{}) || t.UTC().Year() > 9999 {
		return time.Time{}, refuse(field, text, "outside the years 1 to 9999 in UTC; leave an open side empty")
	}
	return t.In(zone), nil
}

func dateSide(field, text string, zone *time.Location) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, refuse(field, text, "there is no such date; %s", accepted)
	}
	t := startOf(day.Year(), day.Month(), day.Day(), zone)
	if next := startOf(day.Year(), day.Month(), day.Day()+1, zone); !t.Before(next) {
		return time.Time{}, refuse(field, text, "%s skipped this date; the day before ends, and the day after starts, at %s", zone, t.Format(time.RFC3339))
	}
	return t, nil
}

// refuseLocal shows the instant that a time without an offset may mean.
func refuseLocal(field, text string, zone *time.Location) *Error {
	layout := "2006-01-02T15:04:05.999999999"[:min(len(text), 19)]
	t, err := time.ParseInLocation(layout, strings.Replace(text, " ", "T", 1), zone)
	if err != nil {
		return refuse(field, text, "there is no such time; %s", accepted)
	}
	return refuse(field, text, "the offset is missing; in %s this may be %s, in UTC %sZ", zone, t.Format(time.RFC3339), wall(t).Format("2006-01-02T15:04:05"))
}

// refuseAmbiguous shows the two dates that numbers without an order may mean.
func refuseAmbiguous(field, text string) *Error {
	m := ambiguous.FindStringSubmatch(text)
	var readings []string
	for _, order := range [][2]string{{m[2], m[1]}, {m[1], m[2]}} {
		t, err := time.Parse("2006-1-2", fmt.Sprintf("%s-%s-%s", m[3], order[0], order[1]))
		if reading := t.Format(time.DateOnly); err == nil && (len(readings) == 0 || readings[0] != reading) {
			readings = append(readings, reading)
		}
	}
	switch len(readings) {
	case 0:
		return refuse(field, text, "there is no such date; %s", accepted)
	case 1:
		return refuse(field, text, "write the date as %s", readings[0])
	}
	return refuse(field, text, "this may be %s (day first) or %s (month first); write the one that is meant", readings[0], readings[1])
}

// refuseYearFirst shows how a date is written whose order is clear.
func refuseYearFirst(field, text string) *Error {
	m := yearFirst.FindStringSubmatch(text)
	t, err := time.Parse("2006-1-2", m[1]+"-"+m[2]+m[4]+"-"+m[3]+m[5])
	if err != nil {
		return refuse(field, text, "there is no such date; %s", accepted)
	}
	return refuse(field, text, "write the date as %s", t.Format(time.DateOnly))
}
