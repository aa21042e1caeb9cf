package query

import (
	"strings"
	"time"
)

const (
	// timeCollation is the collation of the columns of times.
	timeCollation = "isotime"
	// timeForm is how SQL sees times, in UTC. All have the same length.
	timeForm = "2006-01-02 15:04:05.000000"
)

// The times that a column can have.
const (
	firstMicros = -62135596800000000 // 0001-01-01 00:00:00
	lastMicros  = 253402300799999999 // 9999-12-31 23:59:59.999999
)

// appendTime appends a time, in microseconds since 1970, as SQL sees it.
func appendTime(b []byte, micros int64) []byte {
	const day = 24 * 60 * 60 * 1_000_000
	days := micros / day
	if micros -= days * day; micros < 0 {
		days, micros = days-1, micros+day
	}
	year, month, date := civil(days)
	if year < 0 || year > 9999 {
		return time.UnixMicro(days*day+micros).UTC().AppendFormat(b, timeForm)
	}
	seconds := micros / 1_000_000
	b = append(digits(b, year, 4), '-')
	b = append(digits(b, month, 2), '-')
	b = append(digits(b, date, 2), ' ')
	b = append(digits(b, seconds/3600, 2), ':')
	b = append(digits(b, seconds/60%60, 2), ':')
	b = append(digits(b, seconds%60, 2), '.')
	return digits(b, micros%1_000_000, 6)
}

// digits appends n digits of a number.
func digits(b []byte, v int64, n int) []byte {
	for range n {
		b = append(b, '0')
	}
	for i := len(b) - 1; v > 0; i-- {
		b[i] = '0' + byte(v%10)
		v /= 10
	}
	return b
}

// civil returns the date of a day since 1970, by the algorithm of Howard Hinnant: an era has
// 400 years, which begin on the first of March.
func civil(day int64) (year, month, date int64) {
	day += 719468
	era := day / 146097
	if day < 0 {
		era = (day - 146096) / 146097
	}
	of := day - era*146097
	yearOf := (of - of/1460 + of/36524 - of/146096) / 365
	dayOf := of - (365*yearOf + yearOf/4 - yearOf/100)
	shifted := (5*dayOf + 2) / 153
	date, month, year = dayOf-(153*shifted+2)/5+1, shifted+3, yearOf+era*400
	if month > 12 {
		return year + 1, month - 12, date
	}
	return year, month, date
}

// compareTimes is the collation isotime. It compares the keys of texts, byte by byte.
func compareTimes(a, b string) int {
	if !canonical(a) || !canonical(b) {
		a, b = timeKey(a), timeKey(b)
	}
	return strings.Compare(a, b)
}

// canonical reports whether a text looks as times of columns do. It only looks at what
// tells it from other forms of times.
func canonical(s string) bool {
	if len(s) != len(timeForm) {
		return false
	}
	for i := range len(s) {
		digit := timeForm[i] >= '0' && timeForm[i] <= '9'
		if c := s[i]; digit != (c >= '0' && c <= '9') || !digit && c != timeForm[i] {
			return false
		}
	}
	return true
}

// timeKey returns what the collation compares of a text: of a day, or of a time as RFC 3339
// or SQLite write it, the text of the same instant in a column; of any other text, the text.
func timeKey(s string) string {
	if canonical(s) {
		return s
	}
	t, ok := parseTime(s)
	if !ok {
		return s
	}
	key := appendTime(nil, t.UnixMicro())
	if nanos := t.Nanosecond() % 1000; nanos > 0 { // between two times that a column can have
		key = append(key, '0'+byte(nanos/100), '0'+byte(nanos/10%10), '0'+byte(nanos%10))
	}
	return string(key)
}

// longestTime is longer than any time that parseTime knows.
const longestTime = 40

func parseTime(s string) (t time.Time, ok bool) {
	if len(s) < len("2006-01-02") || len(s) > longestTime || s[0] < '0' || s[0] > '9' || s[4] != '-' || s[7] != '-' {
		return t, false
	}
	for _, form := range []string{
		time.DateOnly, "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05",
		"2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04",
	} {
		if t, err := time.Parse(form, s); err == nil {
			t = t.UTC()
			return t, t.Year() >= 1 && t.Year() <= 9999
		}
	}
	return t, false
}
