package plan

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestExpressions reads each form of expression in a zone, relative to one now.
func TestExpressions(t *testing.T) {
	now := at(t, "2026-11-05T12:34:56.789Z") // a Thursday
	for _, test := range []struct{ zone, text, from, to string }{
		{"UTC", "2026-10-01T08:30:00+02:00", "2026-10-01T06:30:00Z", ""},
		{"Europe/Berlin", "2026-10-25", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		{"Europe/Berlin", "2026-10", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		{"UTC", "2026-Q3", "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		{"UTC", "2026-q4", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"UTC", "2026-W40", "2026-09-28T00:00:00Z", "2026-10-05T00:00:00Z"},
		{"UTC", "2026-W01", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"},
		{"UTC", "2026-W53", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"},
		{"Europe/Berlin", "2026-10-01/2026-11-01", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		{"UTC", "2026-10-01/P30D", "2026-10-01T00:00:00Z", "2026-10-31T00:00:00Z"},
		{"UTC", "P1D/2026-10-02", "2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"},
		{"UTC", "2026-09/2026-11", "2026-09-01T00:00:00Z", "2026-11-01T00:00:00Z"},
		{"UTC", "2026-10-01/now", "2026-10-01T00:00:00Z", "2026-11-05T12:34:56.789Z"},
		{"Asia/Tokyo", "now", "2026-11-05T12:34:56.789Z", ""},
		{"Asia/Tokyo", "today", "2026-11-05T00:00:00+09:00", "2026-11-06T00:00:00+09:00"},
		{"Pacific/Auckland", "today", "2026-11-06T00:00:00+13:00", "2026-11-07T00:00:00+13:00"},
		{"UTC", "yesterday", "2026-11-04T00:00:00Z", "2026-11-05T00:00:00Z"},
		{"UTC", "last_7_days", "2026-10-29T00:00:00Z", "2026-11-05T00:00:00Z"},
		{"UTC", "Last_90_Days", "2026-08-07T00:00:00Z", "2026-11-05T00:00:00Z"},
		{"UTC", "last_week", "2026-10-26T00:00:00Z", "2026-11-02T00:00:00Z"},
		{"UTC", "this_week", "2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z"},
		{"Europe/Berlin", "last_month", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		{"UTC", "this_month", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"UTC", "last_quarter", "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		{"UTC", "this_quarter", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"Europe/Berlin", "now-30d/d", "2026-10-06T00:00:00+02:00", ""},
		{"UTC", "now/w", "2026-11-02T00:00:00Z", ""},
		{"UTC", "now-1M/M", "2026-10-01T00:00:00Z", ""},
		{"UTC", "now/Q", "2026-10-01T00:00:00Z", ""},
		{"UTC", "now-1y/y", "2025-01-01T00:00:00Z", ""},
		{"UTC", "now-90m", "2026-11-05T11:04:56.789Z", ""},
		{"Asia/Kathmandu", "now/h", "2026-11-05T18:00:00+05:45", ""},
		{"UTC", "now+1d-2h/m", "2026-11-06T10:34:00Z", ""},
	} {
		r := reader{Calendar{zone(t, test.zone), time.Monday}, now.In(zone(t, test.zone))}
		got, err := r.read("start", test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if !got.from.Equal(at(t, test.from)) || got.period() != (test.to != "") ||
			test.to != "" && !got.to.Equal(at(t, test.to)) {
			t.Errorf("%s in %s: got %v to %v, want %s to %s", test.text, test.zone, got.from, got.to, test.from, test.to)
		}
	}
	sunday := reader{Calendar{time.UTC, time.Sunday}, now}
	if got, err := sunday.read("start", "last_week"); err != nil || !got.from.Equal(at(t, "2026-10-25T00:00:00Z")) {
		t.Errorf("last_week from Sunday: %v, %v", got, err)
	}
	end := reader{Calendar{time.UTC, time.Monday}, at(t, "2026-03-31T10:00:00Z")}
	if got, err := end.read("start", "now-1M"); err != nil || !got.from.Equal(at(t, "2026-02-28T10:00:00Z")) {
		t.Errorf("a month before 31 March: %v, %v", got, err)
	}
}

func TestExpressionsRejected(t *testing.T) {
	r := reader{Calendar{zone(t, "Europe/Berlin"), time.Monday}, at(t, "2026-11-05T12:00:00Z")}
	for text, says := range map[string]string{
		"2026-13":                     "no such month",
		"2026-02-30":                  "no such date",
		"2026-Q5":                     "not understood",
		"2025-W53":                    "2025 has no week 53",
		"2026-W00":                    "has no week 0",
		"2026-10-01/2026-09-01":       "ends before it starts",
		"2026-10-01/":                 "an interval is",
		"2026-10-01/P1M":              "fixed length",
		"a/b":                         "not understood",
		"2026-10-01/2026-10-02/P1D":   "an interval is",
		"03/04/2026":                  "day first",
		"last week":                   "did you mean last_week?",
		"previous month":              "did you mean last_month?",
		"7d":                          "did you mean now-7d?",
		"3 weeks ago":                 "did you mean now-3w?",
		"1759276800000":               "write 2025-10-01T00:00:00Z",
		"2026-10-01T10:00:00-0700":    "write the offset with a colon: 2026-10-01T10:00:00-07:00",
		"September 2025":              "such as 2025-09",
		"last 30 days":                "did you mean last_30_days?",
		"last_0_days":                 "not understood",
		"now-30":                      "not understood",
		"now-1f":                      "not understood",
		"tomorrow":                    "not understood",
		"2026-10-01T00:00:00":         "2026-10-01T00:00:00+02:00",
		strings.Repeat("now-1d", 9e4): "not understood",
	} {
		_, err := r.read("start", text)
		var rejected *Error
		if !errors.As(err, &rejected) || !strings.Contains(err.Error(), says) || len(err.Error()) > 600 {
			t.Errorf("%.40s: got %.300v, want: … %s", text, err, says)
		}
	}
}
