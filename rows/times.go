package rows

import "time"

// timeParts is the layout of a time up to its seconds, such as 2026-10-01T10:00:00;
// d is a digit.
const timeParts = "dddd-dd-ddTdd:dd:dd"

// longestFraction is the most digits of a fraction of a second.
const longestFraction = 9

// ParseTime reads a time as rows and manifests spell it: RFC 3339 with up to
// nine digits after the seconds, with a space instead of the T, an offset such
// as +02, +0200 or +02:00, or without a zone, which means UTC. zoned reports
// whether a zone was given; ok, whether text is such a time.
func ParseTime(text string) (t time.Time, zoned, ok bool) { return parseTime([]byte(text)) }

// ParseTimeBytes is ParseTime without a copy.
func ParseTimeBytes(text []byte) (t time.Time, zoned, ok bool) { return parseTime(text) }

// parseTime is ParseTime for bytes. It runs once for each row, so it neither allocates
// nor tries one layout of package time after another.
func parseTime(b []byte) (t time.Time, zoned, ok bool) {
	if len(b) < len(timeParts) || !hasTimeParts(b) {
		return time.Time{}, false, false
	}
	year, month, day := 100*two(b, 0)+two(b, 2), two(b, 5), two(b, 8)
	hour, minute, second := two(b, 11), two(b, 14), two(b, 17)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false, false
	}
	nanos, rest, ok := fraction(b[len(timeParts):])
	if !ok {
		return time.Time{}, false, false
	}
	offset, zoned, ok := zone(rest)
	if !ok {
		return time.Time{}, false, false
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if offset != 0 {
		t = t.Add(-time.Duration(offset) * time.Minute)
	}
	return t, zoned, true
}

// hasTimeParts reports whether b, which is at least as long, begins like timeParts.
func hasTimeParts(b []byte) bool {
	for i := range len(timeParts) {
		switch want := timeParts[i]; want {
		case 'd':
			if b[i] < '0' || b[i] > '9' {
				return false
			}
		case 'T':
			if b[i] != 'T' && b[i] != 't' && b[i] != ' ' {
				return false
			}
		default:
			if b[i] != want {
				return false
			}
		}
	}
	return true
}

// two returns the number of the two digits at b[i:].
func two(b []byte, i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// fraction reads the fraction of a second at the start of b, if there is one.
func fraction(b []byte) (nanos int, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' {
		return 0, b, true
	}
	digits := 0
	for b = b[1:]; len(b) > 0 && b[0] >= '0' && b[0] <= '9'; b = b[1:] {
		if digits++; digits > longestFraction {
			return 0, nil, false
		}
		nanos = 10*nanos + int(b[0]-'0')
	}
	for n := digits; n < longestFraction; n++ { // .5 are 500,000,000 ns
		nanos *= 10
	}
	return nanos, b, digits > 0
}

// zone reads Z, an offset, or nothing, and returns the offset in minutes.
func zone(b []byte) (offset int, zoned, ok bool) {
	switch {
	case len(b) == 0:
		return 0, false, true
	case len(b) == 1 && (b[0] == 'Z' || b[0] == 'z'):
		return 0, true, true
	case b[0] != '+' && b[0] != '-':
		return 0, false, false
	}
	sign, digits := 1, make([]byte, 0, 4)
	if b[0] == '-' {
		sign = -1
	}
	// Two or four digits; a colon may only be in the middle of +00:00.
	for i, c := range b[1:] {
		switch {
		case c >= '0' && c <= '9' && len(digits) < 4:
			digits = append(digits, c)
		case c != ':' || i != 2 || len(b) != len("+00:00"):
			return 0, false, false
		}
	}
	if len(digits) == 2 {
		digits = append(digits, '0', '0')
	}
	if len(digits) != 4 || two(digits, 0) > 23 || two(digits, 2) > 59 {
		return 0, false, false
	}
	return sign * (60*two(digits, 0) + two(digits, 2)), true, true
}

// checkTime checks and counts the time of the current row; stamp is empty if the row
// has none.
func (rr *rowReader) checkTime(stamp []byte) error {
	if len(stamp) == 0 {
		rr.Warnings.MissingTime++
		return nil
	}
	t, zoned, ok := parseTime(stamp)
	switch {
	case !ok:
		return rr.bad(KindTime, "row %d has %.40q as its %s, which is not a time", rr.Rows, stamp, rr.TimeColumn)
	case !rr.Start.IsZero() && t.Before(rr.Start) || !rr.End.IsZero() && !t.Before(rr.End):
		return rr.bad(KindWindow, "row %d has the %s %s, outside the window that was exported", rr.Rows, rr.TimeColumn, stamp)
	}
	if !zoned {
		rr.Warnings.TimesWithoutZone++
	}
	rr.timed++
	// stamp is only valid until the next row, so its text is copied.
	if rr.timed == 1 || t.Before(rr.First) {
		rr.First, rr.first = t, append(rr.first[:0], stamp...)
	}
	if rr.timed == 1 || t.After(rr.Last) {
		rr.Last, rr.last = t, append(rr.last[:0], stamp...)
	}
	rr.hours.add(t)
	return nil
}
